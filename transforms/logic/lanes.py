"""Who may go next at one sink: transactional first, a limit of attempts at a time, a token bucket, pauses. Pure.

Each sink has a lane of its own, so that a sink that is down or slow holds up nobody else's messages.
"""

from __future__ import annotations

from collections import deque

from schemas.records import DAY, SECOND
from transforms.logic.delivery import Sink

LONGEST_PAUSE = 60 * SECOND


class Lane:
    """The queue in front of one sink. Times are microseconds; `speed` is how fast they run against real time."""

    def __init__(self, sink: Sink, speed: float = 1.0) -> None:
        self.sink = sink
        self.speed = speed
        self.rate = sink.rate / speed / 1e6
        self.tokens = sink.burst
        self.filled_at = 0
        self.flying = 0
        self.paused_until = 0
        self.disabled = False
        self.troubles = 0
        self.urgent: deque[str] = deque()
        self.rest: deque[str] = deque()

    def __len__(self) -> int:
        return len(self.urgent) + len(self.rest)

    def offer(self, key: str, *, urgent: bool) -> None:
        """Queue a send whose time has come."""
        (self.urgent if urgent else self.rest).append(key)

    def ready(self, now: int) -> int:
        """How many may go now."""
        if self.disabled or now < self.paused_until or not len(self):
            return 0
        self._fill(now)
        return max(0, min(self.sink.lanes - self.flying, int(self.tokens), len(self)))

    def take(self, now: int, most: int | None = None) -> list[str]:
        """The keys that go now, at most `most`; each must be given back with `landed` after its attempt."""
        count = self.ready(now) if most is None else min(most, self.ready(now))
        taken = [(self.urgent or self.rest).popleft() for _ in range(count)]
        self.flying += len(taken)
        self.tokens -= len(taken)
        return taken

    def landed(self) -> None:
        """An attempt is over."""
        self.flying -= 1

    def throttle(self, now: int, wish: int | None) -> None:
        """Spare the sink: for as long as it wishes, a day at most, else 1 s, doubling with each trouble to a minute."""
        self.troubles += 1
        pause = (
            min(SECOND << min(self.troubles - 1, 10), LONGEST_PAUSE) * self.speed if wish is None else min(wish, DAY)
        )
        self.paused_until = max(self.paused_until, now + int(pause))

    def relax(self) -> None:
        """The sink took something: its troubles are over."""
        self.troubles = 0

    def drain(self) -> list[str]:
        """Take everybody out of the queue, because the sink takes nothing any more."""
        waiting = [*self.urgent, *self.rest]
        self.urgent.clear()
        self.rest.clear()
        return waiting

    def _fill(self, now: int) -> None:
        passed = max(0, now - self.filled_at) if self.filled_at else 0
        self.tokens = min(self.sink.burst, self.tokens + passed * self.rate)
        self.filled_at = now
