"""A circuit breaker: after some failures in a row nobody asks any more for a while, then one asks for all. Pure.

Waiting for a server that is gone costs every caller its time limit; a breaker makes all but a few of them free.
"""

from __future__ import annotations

FAILURES = 3
SHORTEST, LONGEST = 0.5, 5.0


class Breaker:
    """Closed until `FAILURES` in a row, then open for half a second, twice as long after each vain trial, at most 5 s.

    Times are seconds of any clock that never goes back.
    """

    def __init__(self) -> None:
        self.failures = 0
        self._rest = SHORTEST
        self._until = 0.0

    @property
    def open(self) -> bool:
        """Whether callers are turned away (all but the trials)."""
        return self.failures >= FAILURES

    def may(self, now: float) -> bool:
        """Whether to ask now. Of those who come after the rest only the first may, until it has told what came."""
        if not self.open:
            return True
        if now < self._until:
            return False
        self._until = now + self._rest
        return True

    def worked(self) -> None:
        """The server answered: all may ask again."""
        self.failures, self._rest = 0, SHORTEST

    def failed(self, now: float) -> None:
        """No answer, or one that says to come back later."""
        if self.open:
            self._rest = min(2 * self._rest, LONGEST)
        self.failures += 1
        if self.open:
            self._until = now + self._rest
