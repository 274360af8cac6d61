"""Which ids a resident shard has seen in the last days, each with 16 bits of its body: some 40 bytes an id.

As Python's own dictionaries this would be most of a shard's memory, for it grows with the events of a week.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from transforms.stores.packed import ABSENT, Numbers, PackedMap

MARK = 16
"""Bits of a mark; the day lies above them."""
ID_COST = 48
"""About how many bytes an id takes: its place in a table that is at least a third full, and in its day's list."""

Marks = list[tuple[int, int]]
"""Ids and marks."""


class Remembered:
    """Ids by day. An id is added once, and may come again after its day was forgotten."""

    def __init__(self) -> None:
        self._marks = PackedMap()
        self._days: dict[int, list[Numbers]] = {}

    def __len__(self) -> int:
        return len(self._marks)

    def find(self, ids: Sequence[int]) -> list[int]:
        """The mark of each id, -1 where there is none."""
        if not len(self._marks):
            return [-1] * len(ids)
        found = self._marks.get_many(np.array(ids, np.uint64))
        marks = (found & np.uint64((1 << MARK) - 1)).astype(np.int64)
        marks[found == ABSENT] = -1
        return marks.tolist()

    def add(self, day: int, marks: Marks) -> None:
        """Remember ids that are not there yet, for a day."""
        pairs = np.array(marks, np.uint64).reshape(-1, 2)
        self._marks.put_many(pairs[:, 0], pairs[:, 1] | np.uint64(day << MARK))
        self._days.setdefault(day, []).append(pairs[:, 0].copy())

    def forget_before(self, day: int) -> None:
        """Forget all ids of older days."""
        for old in [other for other in self._days if other < day]:
            self._marks.remove_many(np.concatenate(self._days.pop(old)))

    def days(self) -> Iterator[tuple[int, Marks]]:
        """All ids by day."""
        for day, parts in self._days.items():
            ids = np.concatenate(parts)
            marks = self._marks.get_many(ids) & np.uint64((1 << MARK) - 1)
            yield day, list(zip(ids.tolist(), marks.tolist(), strict=True))
