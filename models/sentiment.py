"""Three-way sentiment: negative, neutral or positive, by the hashed linear model.

The model's sums are whole numbers, exact in any order, so a score does not depend on the batch that a text came in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.features import matrix

CHUNK = 32
NOTHING_SAID = ("neutral", 0.0)
"""For a text without a single word or sign."""


class Sentiment:
    """An opened model: `score(["I love it"]) -> [("positive", 0.83)]`, three decimals."""

    def __init__(self, session: Any, labels: Sequence[str]) -> None:
        self._session = session
        self._labels = tuple(labels)

    def score(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """The likeliest label of each text and its probability."""
        found: list[tuple[str, float]] = []
        for start in range(0, len(texts), CHUNK):  # one long text must not pad thousands
            found += self._chunk(texts[start : start + CHUNK])
        return found

    def _chunk(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        slots = matrix(texts)
        scores = self._session.run(["scores"], {"slots": slots})[0]
        best = scores.argmax(axis=1)
        said = slots[:, 0] > 0
        return [
            (self._labels[label], round(float(score), 3)) if some else NOTHING_SAID
            for label, score, some in zip(best, np.take_along_axis(scores, best[:, None], 1)[:, 0], said, strict=True)
        ]
