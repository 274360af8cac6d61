"""How far time has come for a reader whose server keeps no order: the watermark, and what is later than it.

    all records to come were published after min(
        the oldest message that waits here,
        the oldest message that came within the last `lateness`,
        the last sign of life of the server, less `lateness`)

So a message is on time if it reaches us at most `lateness` after those published together with it. Time stands still
while the server is silent, and for `settle` after it is found (again): what piled up meanwhile comes first. It never
goes back. Times are microseconds.
"""

from __future__ import annotations

from collections import deque

from schemas.records import SECOND

SILENCE = 3 * SECOND
"""A server that is asked every second and answers nothing for so long, or for `lateness`, is not there."""


class Frontier:
    """The watermark of one reader, from what it sees. No clock of its own: each call says what time it is."""

    def __init__(self, start: int, lateness: int, settle: int) -> None:
        self._watermark = start
        self._lateness = lateness
        self._settle = settle
        self._heard = 0
        self._settled_at = 0
        self._came: deque[tuple[int, int]] = deque()

    def heard(self, now: int) -> None:
        """The server answered something. After a silence, time waits for what was kept back."""
        if now - self._heard > max(SILENCE, self._lateness):
            self._settled_at = now + self._settle
        self._heard = max(self._heard, now)

    def came(self, published: int, now: int) -> None:
        """Messages came, the oldest of them published then."""
        self.heard(now)
        if published > self._watermark:  # what is late already holds up nothing
            self._came.append((now, published))

    def watermark(self, waiting: int | None = None) -> int:
        """All records still to come are later than this; `waiting` is the oldest message that waits here."""
        while self._came and self._came[0][0] <= self._heard - self._lateness:
            self._came.popleft()
        if self._heard < self._settled_at:
            return self._watermark
        reached = self._heard - self._lateness
        reached = min(reached, *(published - 1 for _, published in self._came)) if self._came else reached
        reached = reached if waiting is None else min(reached, waiting - 1)
        self._watermark = max(self._watermark, reached)
        return self._watermark
