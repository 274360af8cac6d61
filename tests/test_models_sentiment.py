"""The shipped model: what it must get right, in sentences of our own, and on real posts where the data is at hand."""

from __future__ import annotations

import csv
import pickle

import pytest
from posts import HOSTILE, cost

from models.registry import HERE, Models, OpenModels, find
from models.train.keywords import guess
from tests.real.history import POSTS
from tests.real.real_input import FOLDER, missing

pytest.importorskip("py3langid", reason="opening all models needs py3langid (extra: nlp)")

LABELS = ("negative", "neutral", "positive")
MISSING = missing(POSTS)

SAID = {
    "en": {
        "I love these boots, best shop ever!": "positive",
        "Thank you so much for the quick delivery, you are amazing :)": "positive",
        "So happy with my new jacket": "positive",
        "What a great day, thanks Fernweh!": "positive",
        "Worst service ever, my parcel is late again and nobody answers": "negative",
        "I hate waiting for hours, this is terrible": "negative",
        "My order arrived broken. Very disappointed and angry.": "negative",
        "The shop opens at 9 on Monday": "neutral",
        "New store in Warsaw on Friday, press conference at noon": "neutral",
    },
    "pl": {
        "Uwielbiam te buty, są świetne": "positive",
        "Dziękuję, jesteście wspaniali!": "positive",
        "Okropna obsługa, paczka znowu się spóźnia, jestem wściekły": "negative",
        "Nienawidzę czekać, to straszne": "negative",
    },
    "de": {
        "Ich liebe diese Schuhe, danke!": "positive",
        "Super Laden, ich freue mich so": "positive",
        "Schrecklicher Service, nie wieder": "negative",
        "Ich bin so traurig, das Paket ist kaputt": "negative",
    },
    "es": {
        "Me encantan estas botas, gracias": "positive",
        "Qué feliz estoy con mi chaqueta, la mejor": "positive",
        "Qué mal servicio, estoy muy triste": "negative",
        "Odio esta tienda, es lo peor": "negative",
    },
}


@pytest.fixture(scope="module")
def models() -> OpenModels:
    return Models().open()


@pytest.mark.parametrize("language", SAID)
def test_plain_feelings_are_understood(models: OpenModels, language: str) -> None:
    said = SAID[language]
    right = sum(label == wanted for (label, _), wanted in zip(models.score(list(said)), said.values(), strict=True))
    assert right >= len(said) - 1


@pytest.mark.parametrize("language", SAID)
def test_glad_is_never_taken_for_sore(models: OpenModels, language: str) -> None:
    opposite = {"positive": "negative", "negative": "positive"}
    for text, wanted in SAID[language].items():
        assert models.score([text])[0][0] != opposite.get(wanted), text


def test_a_score_does_not_depend_on_the_batch(models: OpenModels) -> None:
    texts = [text for said in SAID.values() for text in said] * 5
    together = models.score(texts)
    alone = [models.score([text])[0] for text in texts]
    assert together == alone
    assert models.score(texts[::-1]) == together[::-1]


def test_golden_scores(models: OpenModels) -> None:
    """Another processor may differ in the last digit."""
    (label, score), *_ = models.score(["I love these boots, best shop ever!"])
    assert label == "positive"
    assert score == pytest.approx(0.999, abs=2e-3)


def test_a_text_that_says_nothing_is_neutral(models: OpenModels) -> None:
    assert models.score(["", "@fernweh", "\u202e"]) == [("neutral", 0.0)] * 3
    assert models.score([]) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_cheap_and_only_get_a_label(models: OpenModels, name: str) -> None:
    text = HOSTILE[name]
    assert cost(lambda: (models.score([text]), models.language(text))) < 0.010
    label, score = models.score([text])[0]
    assert label in LABELS
    assert 0 <= score <= 1


def test_models_travel_by_name_and_are_stamped(models: OpenModels) -> None:
    assert pickle.loads(pickle.dumps(Models())) == Models()
    pinned = find(HERE, "sentiment")
    assert models.stamp == f"sentiment@{pinned.sha256[:12]}"
    assert pinned.labels == LABELS


def test_the_registry_promises_what_the_gates_ask() -> None:
    metrics = find(HERE, "sentiment").metrics
    assert metrics["semeval_macro_recall"] >= 0.625
    assert metrics["umsab_macro_f1"] >= 0.54
    assert metrics["calibration_error"] <= 0.05


def test_the_card_is_of_this_model() -> None:
    card = (HERE / "cards" / "sentiment.md").read_text("utf-8")
    assert find(HERE, "sentiment").sha256 in card


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_real_posts_to_airlines_are_understood_better_than_by_keywords(models: OpenModels) -> None:
    """Posts of another time and topic than any that was trained on."""
    with (FOLDER / POSTS).open(encoding="utf-8", errors="replace", newline="") as lines:
        posts = [(row["text"], row["airline_sentiment"]) for row in csv.DictReader(lines)]
    truth = [label for _, label in posts]
    texts = [text for text, _ in posts]
    ours = macro_f1(truth, [label for label, _ in models.score(texts)])
    keywords = macro_f1(truth, [LABELS[number] for number in guess(texts)])
    assert ours >= 0.60
    assert ours >= keywords + 0.10


def macro_f1(truth: list[str], said: list[str]) -> float:
    scores = []
    for label in LABELS:
        hits = sum(one == other == label for one, other in zip(truth, said, strict=True))
        scores.append(2 * hits / max(truth.count(label) + said.count(label), 1))
    return sum(scores) / len(LABELS)
