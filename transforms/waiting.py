"""Exact order where records may overtake each other: what arrives waits until nothing earlier can still come.

Journal time is cut into slots. A slot of a shard is over once the watermark has passed it: then its records are taken
together, in their total order, and its wakes ring after them, just as if they had been one bundle of the embedded
engine. How the input was cut, and in which order the pieces came, makes no difference any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from transforms.attempt import Cabinet, ring, run, together
from transforms.logic.shard import Outputs, Stage

MILLISECOND = 1_000
RECORD_COST = 2_000
"""About how many bytes a waiting record takes in memory."""
_ORDER = attrgetter("order")


@dataclass(frozen=True, slots=True)
class Exact:
    """The slots of one stage that takes its records in exact order.

    `grain` is a slot's length in microseconds (whole milliseconds). No result depends on it. A longer one costs fewer
    calls, for each shard is called once a slot and stage; a shorter one answers earlier.

    `behind` is how many keyed stages the records have come through already. A timer may ring while records of its own
    millisecond are still on the way (Beam's runners differ in this), and what a timer emits is as old as that timer. So
    a stage's timers ring a millisecond after those of the stage before it.
    """

    grain: int = 100 * MILLISECOND
    behind: int = 0

    def __post_init__(self) -> None:
        if self.grain < MILLISECOND or self.grain % MILLISECOND:
            raise ValueError(f"grain: expected whole milliseconds, one or more, got {self.grain} microseconds")

    def of(self, time: int) -> int:
        """The slot of a moment."""
        return time // self.grain

    def rings(self, slot: int) -> int:
        """When the timer of a slot rings, in microseconds: whole milliseconds, as all runners want them."""
        return (slot + 1) * self.grain + self.behind * MILLISECOND

    def over(self, time: int) -> int:
        """The first slot that is not over yet when a timer set for `time` rings."""
        return (time - self.behind * MILLISECOND) // self.grain

    def end(self, over: int) -> int:
        """The last microsecond before a slot begins."""
        return over * self.grain - 1


class Waiting:
    """The records of one shard whose slots are not over yet.

    `over` is the first slot that is not, `late` how many records came when theirs was, `gone` how many were taken since
    the count was last set to 0 (they lie in the shard's bag still).
    """

    def __init__(self, slots: Exact, over: int = 0) -> None:
        self.over = over
        self.late = self.gone = 0
        self._slots = slots
        self._groups: dict[int, list[Any]] = {}

    def add(self, items: Iterable[Any]) -> dict[int, list[Any]]:
        """Hold records; gives them by slot. One that is too late joins the first slot that is not over."""
        fresh: dict[int, list[Any]] = {}
        of, over = self._slots.of, self.over
        for item in items:
            slot = of(item.order[0])
            if slot < over:
                slot, self.late = over, self.late + 1
            fresh.setdefault(slot, []).append(item)
        for slot, group in fresh.items():
            self._groups.setdefault(slot, []).extend(group)
        return fresh

    def take(self, over: int) -> list[Any]:
        """Give up the records of all slots before `over`, in their total order."""
        self.over = max(self.over, over)
        ripe = [slot for slot in self._groups if slot < self.over]
        taken = [item for slot in ripe for item in self._groups.pop(slot)]
        self.gone += len(taken)
        return sorted(taken, key=_ORDER)

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def __iter__(self) -> Iterator[tuple[int, list[Any]]]:
        """What waits, by slot."""
        return iter(self._groups.items())

    @property
    def size(self) -> int:
        """About how many bytes of memory this takes."""
        return RECORD_COST * len(self)


def pass_time(stage: Stage[Any], cabinet: Cabinet, items: Sequence[Any], upto: int) -> Outputs:
    """What the stage makes of records at or before `upto`, and of the wakes due by then, until none is due."""
    parts = [run(stage, cabinet, items)] if items else []
    while (soonest := cabinet.next_wake()) is not None and soonest <= upto:
        parts.append(ring(stage, cabinet, upto))
    return together(parts)
