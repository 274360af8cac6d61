"""What reading a post costs: texts a second on one core, step by step and for the whole stage.

python tests/bench/bench_classify.py
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "support")]

from posts import mention  # noqa: E402
from shop import shop  # noqa: E402

from models.features import features  # noqa: E402
from models.registry import Models  # noqa: E402
from transforms.logic.brands import gazetteers  # noqa: E402
from transforms.logic.classify import classify  # noqa: E402

COUNT = 6_000
BATCH = 32
_SAID = (
    "@fernweh waited two hours for the courier and nobody came, this is the third time this month #never {n}",
    "Just got my new Fernweh trail shoes, {n} km on day one and not a single blister :) love them",
    "Kompass opens a shop in Kraków on Friday, doors at {n}, first hundred visitors get a mug",
    "Zamówiłam buty w Fernweh, przesyłka nr {n} przyszła następnego dnia. Jestem zachwycona, polecam!",
    "Nothing to do with any brand, just {n} pictures of my cat sleeping in the sun https://pics.example/{n}",
)


def texts(count: int) -> list[str]:
    """Posts of our own making, about 95 characters each, no two alike."""
    return [_SAID[number % len(_SAID)].format(n=number) for number in range(count)]


def rate(work: Callable[[Sequence[str]], object], said: Sequence[str]) -> float:
    """Texts a CPU second at the best of three passes, in batches as the listen lane has them."""
    seconds = []
    for _ in range(3):
        start = time.process_time()
        for place in range(0, len(said), BATCH):
            work(said[place : place + BATCH])
        seconds.append(time.process_time() - start)
    return len(said) / min(seconds)


def main() -> dict[str, float]:
    """Print the table; gives the figures by name."""
    models = Models().open()
    brands = gazetteers([("shop", shop().brands)])
    known, said = brands["shop"], texts(COUNT)
    steps: dict[str, Callable[[Sequence[str]], object]] = {
        "classify_features_per_s": lambda some: [features(text) for text in some],
        "classify_sentiment_per_s": models.score,
        "classify_language_per_s": lambda some: [models.language(text) for text in some],
        "classify_brands_per_s": lambda some: [known.named(text, "chirp") for text in some],
        "classify_posts_per_s": lambda some: classify([mention(text) for text in some], brands, models),
    }
    figures = {name: round(rate(work, said)) for name, work in steps.items()}
    for name, figure in figures.items():
        print(f"{name:28} {figure:>9,}")
    return figures


if __name__ == "__main__":
    main()
