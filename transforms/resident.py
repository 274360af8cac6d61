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
from transforms.remembered import ID_COST, Marks, Remembered

REMEMBERED = 7
"""Days that a seen id is remembered after its own day."""

NOBODY = (0, -1)
"""The day and mark of an id that was never seen."""
ROW_COST, WAKE_COST = 150, 200
"""About how many bytes an entry takes in memory beside its own; for the bound of the cache."""


class Delta(Struct, frozen=True, array_like=True, gc=False):
    """What one batch changed. `seen` holds ids and 16-bit body marks by day; days before `since` are forgotten."""

    rows: dict[bytes, bytes | None]
    armed: list[Wake]
    taken: list[Wake]
    seen: dict[int, Marks]
    since: int


class Resident:
    """One shard's whole state; a `Cabinet`. `seal` gives what changed since the last seal."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self._bytes = 0
        self._armed: set[Wake] = set()
        self._heap: list[Wake] = []
        self._seen = Remembered()
        self._since = 0  # days before this one are forgotten
        self._clear()

    def _clear(self) -> None:
        self._changed: dict[bytes, bytes | None] = {}
        self._touched: set[Wake] = set()
        self._fresh: dict[int, tuple[int, int]] = {}  # id → its day and mark

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
        fresh, verdicts = self._fresh, []
        for number, body, mark in zip(ids, bodies, self._seen.find(ids), strict=True):
            known = fresh.get(number, NOBODY)[1] if mark < 0 else mark
            if known < 0:
                fresh[number] = today, body
                verdicts.append(NEW)
            else:
                verdicts.append(REPEATED if known == body else CONFLICT)
        return verdicts

    def next_wake(self) -> int | None:
        heap, armed = self._heap, self._armed
        while heap and heap[0] not in armed:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def forget(self, ids: Iterable[int]) -> None:
        for number in ids:
            self._fresh.pop(number, None)

    @property
    def size(self) -> int:
        """About how many bytes of memory this takes."""
        return self._bytes + WAKE_COST * len(self._armed) + ID_COST * len(self._seen)

    # --- how it is kept -----------------------------------------------------------------------------------------------

    def seal(self) -> bytes | None:
        """The delta since the last seal, packed; None if nothing changed."""
        if not (self._changed or self._touched or self._fresh):
            return None
        armed = [wake for wake in self._touched if wake in self._armed]
        taken = [wake for wake in self._touched if wake not in self._armed]
        seen: dict[int, Marks] = {}
        for number, (day, mark) in self._fresh.items():
            seen.setdefault(day, []).append((number, mark))
        for day, marks in seen.items():
            self._seen.add(day, marks)
        delta = Delta(self._changed, sorted(armed), sorted(taken), seen, self._since)
        self._clear()
        return pack(delta)

    def snapshot(self) -> bytes:
        """Everything up to the last seal, as the delta from nothing."""
        return pack(Delta(dict(self.rows), sorted(self._armed), [], dict(self._seen.days()), self._since))

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
            self._seen.add(day, marks)

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
        if day <= self._since:
            return
        self._since = day
        self._seen.forget_before(day)
        self._fresh = {number: kept for number, kept in self._fresh.items() if kept[0] >= day}
