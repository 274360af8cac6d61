"""The twin of `RowStore` that keeps everything in memory: for replay, tests and benchmarks."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from transforms.stores.transaction import LONG_AGO, NEVER, Store, Wake, Work, checked_topics


class MemoryRows(Store):
    """Rows, wakes and memory in Python's own dictionaries.

    `topics` keeps the records handed over by transactions, `parts` the packed ones of `commit`.
    """

    def __init__(self) -> None:
        self.topics: dict[str, list[Any]] = {}
        self.parts: dict[str, list[tuple[bytes, int]]] = {}
        self._rows: dict[bytes, bytes] = {}
        self._lanes: dict[str, _Lane] = {}
        self._seen: dict[tuple[str, int], dict[int, int]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All committed rows, in any order."""
        yield from self._rows.items()

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self._rows.get(key) for key in keys]

    def earliest(self, lane: str, after: int) -> int:
        return self._lane(lane).earliest(after)

    def ripe(self, lane: str, after: int, upto: int, fresh: Mapping[bytes, bytes | None]) -> list[Wake]:
        ripe = self._lane(lane).ripe(after, upto)
        return [wake for wake in ripe if wake[1] in self._rows or wake[1] in fresh]

    def seen(self, stage: str, ids: Sequence[int], since: int) -> list[int | None]:
        days = [marks for (of, day), marks in self._seen.items() if of == stage and day >= since]
        return [next((marks[number] for marks in days if number in marks), None) for number in ids]

    def next_wake(self) -> int | None:
        soonest = min((lane.earliest(LONG_AGO) for lane in self._lanes.values()), default=NEVER)
        return None if soonest == NEVER else soonest

    def write(self, work: Work, stamp: int, position: bytes) -> None:
        checked_topics([*work.topics, *work.parts])
        if stamp < self.stamp:
            raise ValueError(f"stamp: expected {self.stamp} or later, got {stamp}")
        self.position, self.stamp = position, stamp
        for key, row in work.rows.items():
            if row is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = row
        self._keep_wakes(work)
        for where, marks in work.seen.items():
            self._seen.setdefault(where, {}).update(marks)
        for topic, records in work.topics.items():
            self.topics.setdefault(topic, []).extend(records)
        for topic, part in work.parts.items():
            self.parts.setdefault(topic, []).append(part)

    def close(self) -> None:
        """Nothing to free."""

    def _keep_wakes(self, work: Work) -> None:
        for lane, upto in work.taken.items():
            self._lane(lane).take(upto)
        for lane, wakes in work.armed.items():
            self._lane(lane).arm(wakes)

    def _lane(self, lane: str) -> _Lane:
        return self._lanes.setdefault(lane, _Lane())


class _Lane:
    """Wakes of one lane: a heap, and in front of it those that were looked at and not taken for good."""

    def __init__(self) -> None:
        self._heap: list[Wake] = []
        self._front: list[Wake] = []  # sorted; nothing in the heap that was asked for by `ripe` is earlier

    def earliest(self, after: int) -> int:
        at = bisect_left(self._front, (after + 1, b""))
        return min(self._front[at][0] if at < len(self._front) else NEVER, self._heap[0][0] if self._heap else NEVER)

    def ripe(self, after: int, upto: int) -> list[Wake]:
        while self._heap and self._heap[0][0] <= upto:
            insort(self._front, heapq.heappop(self._heap))
        return self._front[self._place(after) : self._place(upto)]

    def take(self, upto: int) -> None:
        del self._front[: self._place(upto)]

    def arm(self, wakes: list[Wake]) -> None:
        for wake in wakes:
            heapq.heappush(self._heap, wake)

    def _place(self, upto: int) -> int:
        return bisect_left(self._front, (upto + 1, b""))
