"""Train the three-way sentiment model: python -m models.train.sentiment --data FOLDER --out models/

Logistic regression on hashed n-grams, one model for all languages, about half a minute on one core. Nothing is drawn
by chance and sums run on one thread: on one kind of machine, training again gives the same bytes.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse  # type: ignore[import-untyped]
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.features import SLOTS, features
from models.registry import find, session
from models.train.card import write_card
from models.train.export import graph, register, table
from models.train.posts import LABELS, Post, posts
from models.train.scores import Report, report

NAME = "sentiment"
RELEASE = "1"
STRENGTH = 1.0
ROUNDS = 80
WEIGHT = {"semeval": 1.0, "umsab": 1.0, "xed": 0.3}
"""What a post counts, by data set: film lines with emotions are a weak stand-in for posts with sentiment."""

Matrix = Any  # scipy has no types


def main(arguments: Sequence[str] | None = None) -> None:
    """Read, train, export, judge the exported model through the gate, write its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the data folder; read in place")
    parser.add_argument("--out", type=Path, default=Path("models"), help="where model, registry and card go")
    options = parser.parse_args(arguments)

    split = posts(options.data)
    print(f"{len(split.train)} posts to train on, {len(split.dev)} to set temperature, {len(split.held)} held out")
    model = fit(split.train, split.dev)
    (options.out / "cards").mkdir(parents=True, exist_ok=True)
    register(options.out, NAME, model, RELEASE, {})
    judged = report(split.held, session(options.out, find(options.out, NAME)))
    pinned = register(options.out, NAME, model, RELEASE, judged.metrics())
    write_card(options.out / "cards" / f"{NAME}.md", pinned, split, judged)
    _tell(judged, pinned.sha256, len(model))


def fit(train: Sequence[Post], dev: Sequence[Post]) -> bytes:
    """The ONNX bytes of a model for `train`, its temperature set on `dev`."""
    counted = _counted(train)
    idf_squared = _idf_squared(counted)
    learner = LogisticRegression(C=STRENGTH, max_iter=ROUNDS, tol=1e-9, random_state=1)
    labels, counts = np.array([post.label for post in train]), _weights(train)
    telling = _telling(counted, labels, counts)
    _learn(learner, _directions(counted, idf_squared) @ sparse.diags(telling), labels, counts)
    rows, step = table(learner.coef_.T * telling[:, None], idf_squared)
    sums = _counted(dev) @ sparse.csr_matrix(rows.astype(np.float32))
    logits = _logits(np.asarray(sums.todense()), step, learner.intercept_)
    sharper = _temperature(logits, np.array([post.label for post in dev]))
    return graph(rows, step * sharper, learner.intercept_ * sharper)


def _learn(learner: Any, directions: Matrix, labels: NDArray[Any], counts: NDArray[Any]) -> None:
    """A fixed number of rounds on one thread, so that sums run in one order."""
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early is part of the recipe
        learner.fit(directions, labels, sample_weight=counts)


def _counted(found: Sequence[Post]) -> Matrix:
    """Posts as sparse rows of slots, ones where a slot occurs."""
    rows = [features(post.text) for post in found]
    ends = np.concatenate(([0], np.cumsum([len(row) for row in rows])))
    ones = np.ones(ends[-1], np.float32)
    return sparse.csr_matrix((ones, np.concatenate(rows), ends), shape=(len(rows), SLOTS))


def _idf_squared(counted: Matrix) -> NDArray[Any]:
    """How telling a slot is, squared, as a whole number of 1 to 127: it has to fit into a byte."""
    seen = np.asarray(counted.sum(axis=0)).ravel()
    idf = 1 + np.log((counted.shape[0] + 1) / (seen + 1))
    squared: NDArray[Any] = np.clip(np.rint(idf**2), 1, 127)
    return squared


def _telling(counted: Matrix, labels: NDArray[Any], counts: NDArray[Any]) -> NDArray[Any]:
    """How far a slot speaks for or against a label: half the largest log ratio of its shares within and without, + 0.5.

    Learning then trusts such slots sooner. The factor ends up in the weights; serving does not know of it.
    """
    seen = sparse.diags(counts) @ counted
    ratios = []
    for label in range(len(LABELS)):
        within, without = (_shares(seen[part]) for part in (labels == label, labels != label))
        ratios.append(np.abs(np.log(within / without)))
    telling: NDArray[Any] = (0.5 + 0.5 * np.max(ratios, axis=0)).astype(np.float32)
    return telling


def _shares(seen: Matrix) -> NDArray[Any]:
    """Each slot's share of all that is seen, none zero."""
    sums = np.asarray(seen.sum(axis=0)).ravel() + 1
    shares: NDArray[Any] = sums / sums.sum()
    return shares


def _directions(counted: Matrix, idf_squared: NDArray[Any]) -> Matrix:
    """tf-idf rows of length (almost) one, as the exported graph computes them."""
    lengths = np.sqrt(counted @ idf_squared + 1)
    scaled = sparse.diags(1 / lengths) @ counted @ sparse.diags(np.sqrt(idf_squared))
    return scaled.astype(np.float32).tocsr()


def _weights(train: Sequence[Post]) -> NDArray[Any]:
    """Each label counts the same within a data set; data sets count by WEIGHT."""
    kinds = [(post.source.partition("-")[0], post.label) for post in train]
    counts = {kind: kinds.count(kind) for kind in set(kinds)}
    sizes = {source: sum(n for (other, _), n in counts.items() if other == source) for source in WEIGHT}
    return np.array([WEIGHT[source] * sizes[source] / len(LABELS) / counts[source, label] for source, label in kinds])


def _logits(sums: NDArray[Any], step: float, bias: NDArray[Any]) -> NDArray[Any]:
    scaled: NDArray[Any] = sums[:, :-1] / np.sqrt(sums[:, -1:] + 1) * step + bias
    return scaled


def _temperature(logits: NDArray[Any], labels: NDArray[Any]) -> float:
    """The factor on the logits with the least log loss."""

    def loss(factor: float) -> float:
        scaled = logits * factor
        spread = np.log(np.exp(scaled - scaled.max(1, keepdims=True)).sum(1)) + scaled.max(1)
        return float((spread - scaled[np.arange(len(labels)), labels]).mean())

    return min((round(float(factor), 2) for factor in np.arange(0.5, 3.01, 0.05)), key=loss)


def _tell(judged: Report, digest: str, size: int) -> None:
    for name, value in judged.metrics().items():
        print(f"{name:28} {value:.3f}")
    print(f"sha256 {digest}, {size} bytes")


if __name__ == "__main__":
    main()
