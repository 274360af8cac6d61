"""A whole shard in memory, for engines whose state is cells: rows, wakes and what was seen, and the deltas they leave.

Snapshots and deltas are one form: a snapshot is the delta from nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from schemas.codec import pack, unpack
from schemas.records import DAY
from transforms.attempt import Wake
from transforms.logic.shard import CONFLICT, NEW, REPEATED

REMEMBERED = 7
"""Days that a seen id is remembered after its own day."""

ROW_COST, WAKE_COST, SEEN_COST = 150, 200, 180
"""About how many bytes an entry takes in memory beside its own; for the bound of the cache."""


class Delta(Struct, frozen=True, array_like=True, gc=False):
    """What one batch changed. `seen` holds ids and 16-bit body marks by day; days before `since` are forgotten."""

    rows: dict[bytes, bytes | None]
    armed: list[Wake]
    taken: list[Wake]
    seen: dict[int, list[tuple[int, int]]]
    since: int


class Resident:
    """One shard's whole state; a `Cabinet`. `seal` gives what changed since the last seal."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self._bytes = 0
        self._armed: set[Wake] = set()
        self._heap: list[Wake] = []
        self._seen: dict[int, int] = {}
        self._days: dict[int, dict[int, int]] = {}
        self._clear()

    def _clear(self) -> None:
        self._changed: dict[bytes, bytes | None] = {}
        self._touched: set[Wake] = set()
        self._fresh: dict[int, int] = {}  # id → its day

    # --- the shard ----------------------------------------------------------------------------------------------------

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.rows.get(key) for key in keys]

    def put_many(self, rows: Mapping[bytes, bytes | None]) -> None:
        for key, row in rows.items():
            self._put(key, row)
        self._changed.update(rows)

    def wake_many(self, wakes: Iterable[Wake]) -> None:
        for wake in wakes:
            self._arm(wake)
            self._touched.add(wake)

    def due(self, upto: int) -> list[Wake]:
        """Take what is due, in order; a wake whose row is gone does not ring."""
        taken = []
        while self._heap and self._heap[0][0] <= upto:
            wake = heapq.heappop(self._heap)
            if wake in self._armed:
                self._armed.remove(wake)
                self._touched.add(wake)
                taken.append(wake)
        return [wake for wake in taken if wake[1] in self.rows]

    def first_seen(self, ids: Sequence[int], bodies: Sequence[int], now: int) -> list[int]:
        today = now // DAY
        self._forget_before(today - REMEMBERED)
        day = self._days.setdefault(today, {})
        seen, verdicts = self._seen, []
        for number, body in zip(ids, bodies, strict=True):
            mark = seen.get(number)
            if mark is None:
                seen[number] = day[number] = body
                self._fresh[number] = today
                verdicts.append(NEW)
            else:
                verdicts.append(REPEATED if mark == body else CONFLICT)
        return verdicts

    def next_wake(self) -> int | None:
        heap, armed = self._heap, self._armed
        while heap and heap[0] not in armed:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def forget(self, ids: Iterable[int]) -> None:
        for number in ids:
            self._seen.pop(number, None)
            self._days.get(self._fresh.pop(number, -1), {}).pop(number, None)

    @property
    def size(self) -> int:
        """About how many bytes of memory this takes."""
        return self._bytes + WAKE_COST * len(self._armed) + SEEN_COST * len(self._seen)

    # --- how it is kept -----------------------------------------------------------------------------------------------

    def seal(self) -> bytes | None:
        """The delta since the last seal, packed; None if nothing changed."""
        if not (self._changed or self._touched or self._fresh):
            return None
        armed = [wake for wake in self._touched if wake in self._armed]
        taken = [wake for wake in self._touched if wake not in self._armed]
        seen: dict[int, list[tuple[int, int]]] = {}
        for number, day in self._fresh.items():
            seen.setdefault(day, []).append((number, self._seen[number]))
        delta = Delta(self._changed, sorted(armed), sorted(taken), seen, min(self._days, default=0))
        self._clear()
        return pack(delta)

    def snapshot(self) -> bytes:
        """Everything, as the delta from nothing."""
        seen = {day: list(marks.items()) for day, marks in self._days.items()}
        return pack(Delta(dict(self.rows), sorted(self._armed), [], seen, min(self._days, default=0)))

    @classmethod
    def load(cls, deltas: Iterable[bytes]) -> Resident:
        """The shard that a snapshot and the deltas after it, in order, describe."""
        resident = cls()
        for delta in deltas:
            resident._apply(unpack(delta, Delta))
        return resident

    def _apply(self, delta: Delta) -> None:
        for key, row in delta.rows.items():
            self._put(key, row)
        self._armed.difference_update(delta.taken)
        for wake in delta.armed:
            self._arm(wake)
        self._forget_before(delta.since)  # first: an id may have been forgotten and seen again
        for day, marks in delta.seen.items():
            self._days.setdefault(day, {}).update(marks)
            self._seen.update(marks)

    def _put(self, key: bytes, row: bytes | None) -> None:
        old = self.rows.pop(key, None) if row is None else self.rows.get(key)
        if row is not None:
            self.rows[key] = row
            self._bytes += len(row)
        self._bytes += (old is None) * (len(key) + ROW_COST) - (row is None) * (len(key) + ROW_COST) - len(old or b"")

    def _arm(self, wake: Wake) -> None:
        if wake not in self._armed:
            self._armed.add(wake)
            heapq.heappush(self._heap, wake)

    def _forget_before(self, day: int) -> None:
        for old in [other for other in self._days if other < day]:
            for number in self._days.pop(old):
                self._seen.pop(number, None)
                self._fresh.pop(number, None)
