"""Measure language identification: python -m models.train.language --data FOLDER --out models/

Nothing is trained: the identifier is a library. This writes its card with what it gets right on posts and film lines.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from models.language import CERTAIN, LETTERS, UNKNOWN, Languages
from models.train.posts import SPOKEN

LINES = 150
"""Lines a language; enough for two digits, and done in seconds."""
SHORT = 30
_SAME = {"br": "pt", "cn": "zh", "tw": "zh", "nb": "no", "nn": "no", "bs": "hr", "sr": "hr"}
"""Codes that count as one: spelling variants of files, and languages that one line cannot tell apart."""

_TEXT = """# language: which language a text is in

Written by `python -m models.train.language`; do not edit by hand.

py3langid {version} (BSD-3, a library of the `nlp` extra, not trained by us) with three rules of ours around it
(`models/language.py`): account names and page addresses are not read; an alphabet that one language uses decides at
once; under {letters} letters or under probability {certain} the answer is `und`, because a wrong language is worse than
none: it picks the template that a person reads.

| texts | count | answered | right of the answered | right of all |
|---|---|---|---|---|
{lines}

## By language (film lines)

{languages}

Counted as one: Norwegian nb nn no, Serbian Croatian Bosnian, the Chinese and Portuguese variants. Hindi posts are left
out of the first row: they are romanised and mixed with English, which no identifier calls Hindi.

## Data

UMSAB validation posts (Apache-2.0 repository), XED film lines (CC BY 4.0, Helsinki-NLP), read in place, never copied.

## Limits

Film lines are short: two or three words tell little. Languages with close relatives (Danish and Norwegian, Czech and
Slovak, Galician and Portuguese, Malay and Indonesian) are confused first. Mixed texts get one label.
"""


@dataclass(slots=True)
class Tally:
    """Texts seen, answered (not `und`) and answered rightly."""

    count: int = 0
    answered: int = 0
    right: int = 0

    def add(self, truth: str, said: str) -> None:
        self.count += 1
        self.answered += said != UNKNOWN
        self.right += _SAME.get(said, said) == _SAME.get(truth, truth)

    def row(self, name: str) -> str:
        """A line of the card's table."""
        shares = (self.answered / self.count, self.right / max(self.answered, 1), self.right / self.count)
        return f"| {name} | {self.count:,} | " + " | ".join(f"{share:.1%}" for share in shares) + " |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the data folder; read in place")
    parser.add_argument("--out", type=Path, default=Path("models"), help="the card goes to cards/ in it")
    options = parser.parse_args(arguments)
    card = _measured(options.data)
    (options.out / "cards" / "language.md").write_text(card, "utf-8")
    print(card)


def _measured(data: Path) -> str:
    languages = Languages()
    posts, films, short, long = Tally(), Tally(), Tally(), Tally()
    each: dict[str, Tally] = {}
    for truth, text in _posts(data):
        posts.add(truth, languages.language(text)[0])
    for truth, text in _films(data):
        said = languages.language(text)[0]
        for tally in (films, short if len(text) < SHORT else long, each.setdefault(truth, Tally())):
            tally.add(truth, said)
    lines = [
        posts.row("posts, 7 languages"),
        films.row(f"film lines, {len(each)} files"),
        short.row(f"… under {SHORT} characters"),
        long.row(f"… of {SHORT} and more"),
    ]
    cells = [f"{name} {tally.right / tally.count:.0%}" for name, tally in sorted(each.items())]
    return _TEXT.format(
        version=version("py3langid"),
        letters=LETTERS,
        certain=CERTAIN,
        lines="\n".join(lines),
        languages="Right of all: " + ", ".join(cells) + ".",
    )


def _posts(data: Path) -> list[tuple[str, str]]:
    found = []
    for name, language in SPOKEN.items():
        texts = (data / "text/umsab-sentiment" / name / "val_text.txt").read_text("utf-8").split("\n")
        found += [(language, text) for text in texts if language != "hi"]
    return found


def _films(data: Path) -> list[tuple[str, str]]:
    found = []
    for file in sorted((data / "text/xed").glob("*-projections*.tsv.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            found += [(file.name[:2], line.partition("\t")[0]) for line in islice(lines, LINES)]
    return found


if __name__ == "__main__":
    main()
