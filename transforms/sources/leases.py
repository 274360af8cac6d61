"""What a server has lent to this process: messages taken, handed out as elements, settled, given back.

A lease has three ends. It is *settled* once a checkpoint holds what came of the message: it may be acknowledged. It is
*given back* when its reader goes: the server may lend it to somebody else at once. Or it *runs out*, because nobody
said anything for as long as we are ready to hold it: the server hands the message out again, which does no harm.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import NamedTuple


class Due(NamedTuple):
    """What to tell the server, by lease id."""

    settled: list[str]
    returned: list[str]
    held: list[str]


class Leases:
    """The leases of one reader; used by its bundles, its threads, and by whoever finalizes its checkpoints.

    Times are microseconds of any one clock. `hold` is how long a lease is renewed after the message came.
    """

    def __init__(self, hold: int) -> None:
        self._hold = hold
        self._lock = Lock()
        self._ahead: dict[str, int] = {}
        self._out: deque[tuple[int, str, int]] = deque()
        self._settled: list[str] = []
        self._returned: list[str] = []
        self._number = 0

    def take(self, leases: Iterable[str], now: int) -> None:
        """Messages came; they are not handed out yet."""
        with self._lock:
            self._ahead.update(dict.fromkeys(leases, now))

    def hand_out(self, leases: Iterable[str]) -> int:
        """Messages became elements, in this order. Gives the number of the last one so far."""
        with self._lock:
            for lease in leases:
                self._number += 1
                self._out.append((self._number, lease, self._ahead.pop(lease, 0)))
            return self._number

    @property
    def out(self) -> int:
        """How many were handed out and are not settled."""
        return len(self._out)

    def settle(self, number: int) -> None:
        """All up to `number` are durable. An older number, or one heard before, changes nothing."""
        with self._lock:
            while self._out and self._out[0][0] <= number:
                self._settled.append(self._out.popleft()[1])

    def give_back(self, leases: Iterable[str]) -> None:
        """Messages that will not be handed out after all."""
        with self._lock:
            self._returned += [lease for lease in leases if self._ahead.pop(lease, None) is not None]

    def give_back_after(self, number: int) -> None:
        """A reader goes on at `number` elsewhere: whatever it does not hold must come again, and soon."""
        with self._lock:
            while self._out and self._out[-1][0] > number:
                self._returned.append(self._out.pop()[1])
            self._returned += self._ahead
            self._ahead.clear()

    def due(self, now: int, *, renew: bool) -> Due:
        """Take what there is to tell. Leases held too long are let go of; the others are listed if it is time to."""
        with self._lock:
            while self._out and self._out[0][2] <= now - self._hold:
                self._out.popleft()
            settled, self._settled = self._settled, []
            returned, self._returned = self._returned, []
            held = [lease for _, lease, _ in self._out] + self._fresh(now) if renew else []
            return Due(settled, returned, held)

    def owe(self, settled: Sequence[str]) -> None:
        """The server could not be told: say it again."""
        with self._lock:
            self._settled += settled

    @property
    def idle(self) -> bool:
        """Nothing is lent and nothing is to be told."""
        with self._lock:
            return not (self._ahead or self._out or self._settled or self._returned)

    def _fresh(self, now: int) -> list[str]:
        return [lease for lease, since in self._ahead.items() if since > now - self._hold]
