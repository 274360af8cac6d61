"""What the engine tells people about itself, once a second, in a small file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

import msgspec
from msgspec import Struct

from pipelines.local.steps import Running


class Figures(Struct):
    """Counts since the start; times in microseconds, of the stages per event.

    `trouble` says what keeps the engine from going on, else it is empty. `lag` is how much journal time lies between
    the journal's newest record and the watermark, -1 if nobody knows.
    """

    events: int = 0
    bundles: int = 0
    commits: int = 0
    poison: int = 0
    watermark: int = 0
    lag: int = -1
    commit_ms: float = 0.0
    stages: dict[str, float] = {}
    trouble: str = ""


class Gauge:
    """Keeps the figures and writes them to `file` (None: nowhere) at most once a second of real time."""

    EVERY = 1.0

    def __init__(self, file: Path | None, head: Callable[[], int] | None) -> None:
        self._file, self._head = file, head
        self._written = -self.EVERY
        self.figures = Figures()

    def committed(self, seconds: float) -> None:
        """One commit took so long; the average leans to the last ones."""
        figures = self.figures
        figures.commits += 1
        figures.commit_ms += (seconds * 1000 - figures.commit_ms) / min(figures.commits, 20)

    def due(self) -> bool:
        """Whether a second has passed since the last writing."""
        return monotonic() - self._written >= self.EVERY

    def write(self, steps: Sequence[Running]) -> None:
        """Write now."""
        self._written = monotonic()
        figures = self.figures
        figures.stages = {step.label: round(step.spent / 1000 / max(1, figures.events), 3) for step in steps}
        if self._head is not None:
            figures.lag = max(0, self._head() - figures.watermark)
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._file.with_suffix(".new")
            fresh.write_bytes(msgspec.json.encode(figures))
            fresh.replace(self._file)
