"""A hostile scheduler on whole worlds: only disorder makes a difference, and only about people whom it befell."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
import worlds
from compared import by_stream
from told import Blocks, Told, embedded, from_source, live, pulls_of

from pipelines.local.hostile import Hostile, Skewed
from pipelines.local.runner import Hooks
from schemas.records import Block, Event, Known, Order


@dataclass
class Watch:
    """Sees every record that a keyed step is given: who is kin to whom, and about whom one came after a later one.

    `late` counts by kind of record. Names are addresses and cookies in hex, and numbers of records.
    """

    kin: dict[str, str] = field(default_factory=dict)
    last: dict[tuple[type[Any], str], Order] = field(default_factory=dict)
    late: Counter[tuple[type[Any], str]] = field(default_factory=Counter)

    def __call__(self, item: Known | Event) -> str:
        name = self._name(item)
        place = type(item), name
        if item.order < self.last.get(place, (0, 0, 0, 0)):
            self.late[place] += 1
        else:
            self.last[place] = item.order
        return name

    def _name(self, item: Known | Event) -> str:
        if isinstance(item, Event):
            name = item.ids.cookie or item.ids.customer or item.ids.email or item.id
            self.join(name, f"#{item.sequence}")
            return name
        name = item.address.hex()
        for other in (item.event.ids.cookie, item.link.hex(), f"#{item.event.sequence}"):
            if other:
                self.join(name, other)
        return name

    def root(self, name: str) -> str:
        while name in self.kin:
            name = self.kin[name]
        return name

    def join(self, one: str, other: str) -> None:
        first, second = self.root(one), self.root(other)
        if first != second:
            self.kin[first] = second

    @property
    def befallen(self) -> set[str]:
        return {self.root(name) for _, name in self.late}


def whom(kind: str, item: tuple[Any, ...]) -> str:
    """Whom a line of the comparison is about."""
    if kind in ("records", "failures"):
        return f"#{item[0]}"
    if kind == "returned":
        return str(item[2].hex())
    return str(item[0])[:32]


def unlike(calm: Told, stormy: Told) -> set[str]:
    """Everybody about whom two runs did not tell the same."""
    first, second = by_stream(calm), by_stream(stormy)
    return {whom(kind, item) for kind in first for item in (first[kind] - second[kind]) + (second[kind] - first[kind])}


def journal(seed: int) -> tuple[list[Block], Told]:
    return live(worlds.TENANT, worlds.blocks(seed))


@pytest.mark.parametrize("seed", range(4))
def test_only_disorder_makes_a_difference_and_it_is_counted_exactly(seed: int) -> None:
    blocks, calm = journal(seed)
    watch = Watch()
    hostile = Hostile(seed, discard=0.0, who=watch)
    chance = random.Random(seed)
    source = Skewed(Blocks(pulls_of(blocks, [chance.randint(1, 40) for _ in blocks])), seed)
    stormy = from_source(worlds.TENANT, source, hooks=Hooks(schedule=hostile))
    counted = sum(count for step, count in hostile.disordered.items() if "engage" in step)
    assert counted == sum(count for (kind, _), count in watch.late.items() if kind is Known) > 0
    differing = {watch.root(name) for name in unlike(calm, stormy)}
    assert differing <= watch.befallen
    reminders = [{row.id for row in told.decisions if row.campaign == "abandoned-cart"} for told in (calm, stormy)]
    assert reminders[0] == reminders[1], "what is decided by waiting does not see disorder shorter than the wait"
    assert len(differing) < len({watch.root(row.person) for row in calm.decisions}) / 2, "most people are untouched"


@pytest.mark.parametrize("seed", range(4))
def test_attempts_that_were_thrown_away_make_none(seed: int) -> None:
    blocks, calm = journal(seed)
    hostile = Hostile(seed, discard=0.4, skew=1)
    chance = random.Random(seed)
    pulls = pulls_of(blocks, [chance.randint(1, 40) for _ in blocks])
    stormy = embedded(worlds.TENANT, pulls, shards=3, hooks=Hooks(schedule=hostile))
    assert hostile.left["rows"], "expected attempts that were thrown away after their output had left"
    assert stormy.bytes() == calm.bytes()
