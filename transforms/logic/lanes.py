"""Who may go next at one sink: transactional first, a limit of attempts at a time, a token bucket, pauses. Pure.

Each sink has a lane of its own, so that a sink that is down or slow holds up nobody else's messages.
"""

from __future__ import annotations

from collections import deque

from transforms.logic.delivery import Sink


class Lane:
    """The queue in front of one sink. Times are microseconds; `speed` is how fast they run against real time."""

    def __init__(self, sink: Sink, speed: float = 1.0) -> None:
        self.sink = sink
        self.rate = sink.rate / speed / 1e6
        self.tokens = sink.burst
        self.filled_at = 0
        self.flying = 0
        self.paused_until = 0
        self.disabled = False
        self.urgent: deque[str] = deque()
        self.rest: deque[str] = deque()

    def __len__(self) -> int:
        return len(self.urgent) + len(self.rest)

    def offer(self, key: str, *, urgent: bool) -> None:
        """Queue a send whose time has come."""
        (self.urgent if urgent else self.rest).append(key)

    def take(self, now: int) -> list[str]:
        """The keys that may go now; each must be given back with `landed` after its attempt."""
        if self.disabled or now < self.paused_until or not len(self):
            return []
        self._fill(now)
        count = min(self.sink.lanes - self.flying, int(self.tokens), len(self))
        taken = [(self.urgent or self.rest).popleft() for _ in range(count)]
        self.flying += len(taken)
        self.tokens -= len(taken)
        return taken

    def landed(self) -> None:
        """An attempt is over."""
        self.flying -= 1

    def pause(self, until: int) -> None:
        """Start nothing before `until`."""
        self.paused_until = max(self.paused_until, until)

    def _fill(self, now: int) -> None:
        passed = max(0, now - self.filled_at) if self.filled_at else 0
        self.tokens = min(self.sink.burst, self.tokens + passed * self.rate)
        self.filled_at = now
