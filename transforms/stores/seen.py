"""Which 64-bit ids were seen in the last days, with 16 bits of their bodies; a packed map for each day and stage."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from schemas.records import DAY
from transforms.stores.packed import ABSENT, Numbers, PackedMap
from transforms.stores.transaction import MEMORY

DAYS = MEMORY // DAY


class SeenDays:
    """The memory of what was seen. A day goes whole once a stage has seen something eight days later."""

    def __init__(self) -> None:
        self._days: dict[str, dict[int, PackedMap]] = {}

    def find(self, stage: str, ids: Numbers, since: int) -> Numbers:
        """The body mark of each id remembered from the day `since` or later, else ABSENT."""
        found = np.full(len(ids), ABSENT)
        missing = np.arange(len(ids))
        for day, marks in sorted(self._days.get(stage, {}).items(), reverse=True):
            if day >= since and len(marks) and len(missing):
                found[missing] = marks.get_many(ids[missing])
                missing = missing[found[missing] == ABSENT]
        return found

    def add(self, stage: str, day: int, ids: Numbers, bodies: Numbers, expected: int = 0) -> None:
        """Remember ids (which differ from one another) for a day, and forget days that nobody asks for any more.

        `expected` ids are made room for when the day begins.
        """
        days = self._days.setdefault(stage, {})
        if day not in days:
            days[day] = PackedMap(expected)
            for old in [other for other in days if other < max(days) - DAYS]:
                del days[old]
        if day in days:
            days[day].put_many(ids, bodies)

    def maps(self) -> Iterator[tuple[str, int, PackedMap]]:
        """Every day of every stage."""
        for stage, days in self._days.items():
            for day, marks in days.items():
                yield stage, day, marks
