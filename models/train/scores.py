"""How good a sentiment model is: macro recall, macro F1, accuracy and calibration, by data set and language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from models.features import matrix
from models.train.keywords import guess
from models.train.posts import LABELS, Post

BINS = 10


@dataclass(frozen=True, slots=True)
class Line:
    """The scores of one group of posts; `classes` is (precision, recall, F1) a label."""

    name: str
    count: int
    recall: float
    f1: float
    accuracy: float
    majority: float  # accuracy of always giving the commonest label
    keywords: float  # macro F1 of the keyword baseline
    calibration: float  # expected calibration error
    classes: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All held-out groups: SemEval's year, UMSAB by language, film lines by language."""

    lines: list[Line]

    def metrics(self) -> dict[str, float]:
        """The figures that the registry keeps."""
        umsab = [line for line in self.lines if line.name.startswith("umsab")]
        english = next(line for line in self.lines if line.name.startswith("semeval"))
        return {
            "semeval_macro_recall": round(english.recall, 4),
            "semeval_macro_f1": round(english.f1, 4),
            "umsab_macro_f1": round(sum(line.f1 for line in umsab) / len(umsab), 4),
            **{line.name.replace(" ", "_") + "_f1": round(line.f1, 4) for line in umsab},
            "calibration_error": round(english.calibration, 4),
        }


def report(held: Sequence[Post], session: Any) -> Report:
    """Judge an opened model on each group of the held-out posts."""
    groups: dict[str, list[Post]] = {}
    for post in held:
        name = post.source if post.source.startswith("semeval") else f"{post.source.partition('-')[0]} {post.language}"
        groups.setdefault(name, []).append(post)
    return Report([_line(name, group, session) for name, group in sorted(groups.items())])


def probabilities(texts: Sequence[str], session: Any) -> NDArray[Any]:
    """Scores of each text, in chunks."""
    chunks = [texts[start : start + 64] for start in range(0, len(texts), 64)]
    return np.concatenate([session.run(["scores"], {"slots": matrix(chunk)})[0] for chunk in chunks])


def _line(name: str, group: Sequence[Post], session: Any) -> Line:
    texts, labels = [post.text for post in group], np.array([post.label for post in group])
    scores = probabilities(texts, session)
    said = scores.argmax(axis=1)
    classes = _by_class(labels, said)
    return Line(
        name,
        len(group),
        float(np.mean([recall for _, recall, _ in classes])),
        float(np.mean([f1 for _, _, f1 in classes])),
        float(accuracy_score(labels, said)),
        float(np.bincount(labels).max() / len(labels)),
        float(np.mean([f1 for _, _, f1 in _by_class(labels, np.array(guess(texts)))])),
        calibration_error(scores, labels),
        classes,
    )


def _by_class(labels: NDArray[Any], said: NDArray[Any]) -> tuple[tuple[float, float, float], ...]:
    found = precision_recall_fscore_support(labels, said, labels=range(len(LABELS)), zero_division=0)[:3]
    return tuple((float(precision), float(recall), float(f1)) for precision, recall, f1 in zip(*found, strict=True))


def calibration_error(scores: NDArray[Any], labels: NDArray[Any]) -> float:
    """How far the likeliest label's probability is from how often it is right, on average over ten bins."""
    sure, right = scores.max(axis=1), scores.argmax(axis=1) == labels
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = [
        abs(sure[bins == each].mean() - right[bins == each].mean()) * (bins == each).mean() for each in np.unique(bins)
    ]
    return float(sum(gaps))
