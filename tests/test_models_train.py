"""Training: splits without near-copies, a table that computes what was learnt, the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="training needs scikit-learn (extra: train)")
pytest.importorskip("onnx", reason="export needs the package onnx (extra: train)")

from models.features import SLOTS, features
from models.registry import read, session
from models.train.export import graph, register, table
from models.train.keywords import guess
from models.train.posts import Post, posts, unlike
from models.train.scores import calibration_error, probabilities, report
from models.train.sentiment import fit

GOOD = ("love", "great", "wonderful", "thanks", "happy", "best")
BAD = ("hate", "terrible", "awful", "broken", "angry", "worst")
PLAIN = ("opens", "monday", "doors", "press", "street", "number")
THINGS = ("boots", "jacket", "tent", "parcel", "shop", "bag", "lamp", "stove")


def made() -> list[Post]:
    """Sentences of our own, 48 a label."""
    return [
        Post(f"{word} the {thing} {number}", label, "semeval-2013", "en")
        for label, said in enumerate((BAD, PLAIN, GOOD))
        for number, word in enumerate(said)
        for thing in THINGS
    ]


def test_training_twice_gives_the_same_bytes() -> None:
    assert fit(made(), made()[::5]) == fit(made(), made()[::5])


def test_what_was_learnt_is_what_is_served(tmp_path: Path) -> None:
    opened = session(tmp_path, register(tmp_path, "sentiment", fit(made(), made()[::5]), "test", {}))
    scores = probabilities(["love the sofa", "doors of the sofa", "terrible sofa"], opened)
    assert scores.argmax(axis=1).tolist() == [2, 1, 0]
    (line,) = report(made(), opened).lines
    assert line.accuracy == 1.0
    assert line.majority == pytest.approx(1 / 3)


def test_the_graph_computes_the_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    weights, idf_squared = rng.normal(size=(SLOTS, 3)), rng.integers(1, 128, SLOTS).astype(float)
    rows, step = table(weights, idf_squared)
    bias = np.array([0.1, -0.2, 0.3])
    opened = session(tmp_path, register(tmp_path, "sentiment", graph(rows, step, bias), "test", {}))
    slots = features("what is computed here and what is served there")
    sums = rows[slots].astype(float).sum(axis=0)
    logits = sums[:3] / np.sqrt(sums[3] + 1) * step + bias
    wanted = np.exp(logits) / np.exp(logits).sum()
    assert probabilities(["what is computed here and what is served there"], opened)[0] == pytest.approx(
        wanted, abs=1e-5
    )


def test_registering_again_replaces_only_that_model(tmp_path: Path) -> None:
    model = graph(np.ones((SLOTS, 4), np.int8), 1.0, np.zeros(3))
    for name, version in (("one", "1"), ("two", "1"), ("one", "2")):
        register(tmp_path, name, model, version, {"score": 0.5})
    assert {name: pinned.version for name, pinned in read(tmp_path).items()} == {"one": "2", "two": "1"}


def test_near_copies_and_repeats_are_left_out() -> None:
    held = [Post("The press says that the new shop opens on Monday at nine", 1, "held", "en")]
    candidates = [
        Post("RT @ana: the press says that the new shop opens on monday!!! https://x.example", 1, "train", "en"),
        Post("The press says nothing at all", 1, "train", "en"),
        Post("the press SAYS nothing, at all?", 1, "train", "en"),
        Post("", 1, "train", "en"),
    ]
    assert list(unlike(candidates, held)) == [candidates[1]]


def test_a_missing_data_set_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="umsab"):
        posts(tmp_path)


def test_keywords_guess_by_glad_minus_sore() -> None:
    assert guess(["I love it, great", "worst ever", "it opens at nine", "good but late", "świetny"]) == [2, 0, 1, 1, 2]


def test_calibration_error_is_the_gap_between_sure_and_right() -> None:
    scores = np.array([[0.75, 0.25]] * 4)
    assert calibration_error(scores, np.array([0, 0, 0, 1])) == pytest.approx(0.0)
    assert calibration_error(scores, np.array([1, 1, 1, 1])) == pytest.approx(0.75)
