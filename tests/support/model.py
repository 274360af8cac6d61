"""Beam's model of time as a few lists: keyed stages in a row, whose elements and timers come in any order it allows.

`passes` says how a runner reads "the watermark has passed a timer": some let it ring at its very time, others after it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from transforms.attempt import KINDS
from transforms.logic.shard import Outputs, Stage
from transforms.resident import Resident
from transforms.shards import shard_of
from transforms.waiting import MILLISECOND, Exact, Waiting, pass_time

FOREVER = 1 << 62
Passes = Callable[[int, int], bool]


@dataclass
class Place:
    """One shard of one stage, with its timers."""

    waiting: Waiting
    resident: Resident = field(default_factory=Resident)
    timers: set[int] = field(default_factory=set)


@dataclass
class Keyed:
    """One keyed stage: elements on their way to it (their time, their shard, their records), and its shards."""

    stage: Stage[Any]
    slots: Exact
    shards: int
    inbox: list[tuple[int, int, list[Any]]] = field(default_factory=list)
    places: dict[int, Place] = field(default_factory=dict)

    def send(self, time: int, items: Iterable[Any]) -> None:
        """Put records on their way, each shard's as an element of its own."""
        parts: dict[int, list[Any]] = {}
        for item in items:
            parts.setdefault(shard_of(self.stage.key(item), self.shards), []).append(item)
        self.inbox += [(time // MILLISECOND * MILLISECOND, shard, part) for shard, part in parts.items()]

    def reached(self, before: int) -> int:
        """The watermark of what comes in."""
        return min([before, *(time for time, _, _ in self.inbox)])

    def told(self, before: int) -> int:
        """The watermark of what goes out: timers hold it."""
        return min([self.reached(before), *(time for place in self.places.values() for time in place.timers)])

    def take(self, chance: random.Random) -> None:
        """Any element comes next."""
        _, shard, items = self.inbox.pop(chance.randrange(len(self.inbox)))
        place = self.places.setdefault(shard, Place(Waiting(self.slots)))
        place.timers |= {self.slots.rings(slot) for slot in place.waiting.add(items)}

    def ring(self, shard: int) -> tuple[int, Outputs]:
        """The first timer of a shard rings."""
        place = self.places[shard]
        time = min(place.timers)
        place.timers.remove(time)
        over = self.slots.over(time)
        outputs = pass_time(self.stage, place.resident, place.waiting.take(over), self.slots.end(over))
        soonest = place.resident.next_wake()
        if soonest is not None:
            place.timers.add(self.slots.rings(self.slots.of(soonest)))
        return time, outputs


def run(stages: Sequence[Keyed], source: Sequence[tuple[list[Any], int]], seed: int, passes: Passes) -> Outputs:
    """All that the stages tell, but events, which the next stage takes.

    `source` gives records and, behind each, the time that all later ones have at least.
    """
    chance, told, left, passed = random.Random(seed), Outputs(), list(source), 0
    while True:
        moves: list[Callable[[], None]] = []
        reached = passed
        for number, keyed in enumerate(stages):
            coming = keyed.reached(reached)
            if keyed.inbox:
                moves.append(lambda keyed=keyed: keyed.take(chance))
            for shard, place in keyed.places.items():
                if place.timers and passes(min(place.timers), coming):
                    moves.append(lambda number=number, shard=shard: _ring(stages, number, shard, told))
            reached = keyed.told(reached)
        if left:
            moves.append(lambda: stages[0].send(_oldest(left[0][0]), left[0][0]))
        if not moves:
            return told
        move = chance.choice(moves)
        move()
        if left and move is moves[-1]:
            passed = left.pop(0)[1]


def _oldest(items: Sequence[Any]) -> int:
    return min((item.order[0] for item in items), default=0)


def _ring(stages: Sequence[Keyed], number: int, shard: int, told: Outputs) -> None:
    time, outputs = stages[number].ring(shard)
    if number + 1 < len(stages):
        stages[number + 1].send(time, outputs.events)
        outputs.events = []
    for tag in KINDS:
        getattr(told, tag).extend(getattr(outputs, tag))
