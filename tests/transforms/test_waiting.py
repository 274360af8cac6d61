"""Exact order as plain logic: however elements, timers and watermarks interleave, what is told is the same."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import le, lt
from typing import Any

import pytest
from engine_job import crowd
from engine_runs import END, on_engine
from engine_stages import START, Chain, Events, Read, Tally, block, entry
from hypothesis import given, settings
from hypothesis import strategies as st
from model import FOREVER, Keyed, Passes, run

from schemas.records import SECOND, Block, Event
from transforms import shards as beam
from transforms.batches import Pull
from transforms.logic.shard import Outputs
from transforms.resident import Resident
from transforms.waiting import MILLISECOND, Exact, Waiting, pass_time

STAGES = (Tally, Chain)


def events_of(blocks: Sequence[Block]) -> list[Event]:
    return [event for batch in Read().process(Pull(blocks)) for event in batch.items]


def test_a_slot_is_over_only_when_its_timer_has_rung() -> None:
    for behind in range(3):
        slots = Exact(5 * MILLISECOND, behind)
        for slot in (0, 1, 77):
            assert slots.over(slots.rings(slot)) == slot + 1
            assert slots.over(slots.rings(slot) - 1) == slot
            assert slots.of(slots.end(slot + 1)) == slot
            assert slots.of(slots.end(slot + 1) + 1) == slot + 1


def test_timers_are_whole_milliseconds_and_later_in_each_stage() -> None:
    rings = [Exact(MILLISECOND, behind).rings(3) for behind in range(3)]
    assert rings == [4 * MILLISECOND, 5 * MILLISECOND, 6 * MILLISECOND]


@pytest.mark.parametrize("grain", [0, 999, 1_001, -1_000])
def test_slots_are_whole_milliseconds(grain: int) -> None:
    with pytest.raises(ValueError, match="whole milliseconds"):
        Exact(grain)


def test_what_waits_is_given_up_in_order_once_and_what_is_late_joins_the_next() -> None:
    first, second, third = events_of([block(SECOND * time, time, entry("ana")) for time in range(3)])
    waiting = Waiting(Exact(SECOND))
    slot = Exact(SECOND).of(first.received_at)
    assert sorted(waiting.add([second, first])) == [slot, slot + 1]
    assert waiting.take(slot) == []
    assert waiting.take(slot + 2) == [first, second]
    assert (waiting.gone, waiting.late, len(waiting)) == (2, 0, 0)
    assert list(waiting.add([third, second])) == [slot + 2]
    assert (waiting.late, len(waiting)) == (1, 2)
    assert waiting.take(slot + 3) == [second, third]


def test_wakes_ring_behind_the_records_of_their_time_until_none_is_due() -> None:
    stage, shard = Tally(idle=SECOND), Resident()
    came, again = events_of([block(0, 0, entry("ana")), block(SECOND, 1, entry("ana"))])
    told = pass_time(stage, shard, [came, again], START + 2 * SECOND)
    assert [(row.type, row.sequence) for row in told.rows] == [("click", 1), ("click", 2), ("still", 2)]
    assert shard.next_wake() is None


# --- any order of elements, timers and watermarks ---------------------------------------------------------------------


def keyed(grain: int, shards: int) -> list[Keyed]:
    return [Keyed(stage(), Exact(grain, behind), shards) for behind, stage in enumerate(STAGES)]


def scrambled(events: Sequence[Event], seed: int) -> Iterator[tuple[list[Event], int]]:
    """Some records in any order, in any pieces; then time moves on as far as the next one allows."""
    chance, start, passed = random.Random(seed), 0, 0
    while start < len(events):
        end = start + chance.randint(1, 60)
        some = list(events[start:end])
        chance.shuffle(some)
        while some:
            size = chance.randint(1, len(some))
            piece, some = some[:size], some[size:]
            if not some:
                passed = events[end].received_at // MILLISECOND * MILLISECOND if end < len(events) else FOREVER
            yield piece, passed
        start = end


def lines(told: Outputs) -> Counter[str]:
    return Counter(repr(each) for each in (*told.rows, *told.failures))


def by_engine(blocks: Sequence[Block]) -> Counter[str]:
    """What the embedded engine tells, which knows of no such order."""

    def build(pulls: Any) -> dict[str, Any]:
        events = pulls | "read events" >> beam.ParDo(Read()).with_output_types(Events)
        tallied = events | "tally" >> beam.Keyed(Tally, Events, 3, "rows")
        chained = tallied.events | "chain" >> beam.Keyed(Chain, Events, 3, "rows")
        return {"one": tallied.rows, "two": chained.rows, "three": tallied.failures}

    told = on_engine(build, blocks, end=END * 100)
    return Counter(repr(each) for batches in told.values() for batch in batches for each in batch.items)


CROWD = crowd(7, 200)
EVENTS = events_of(CROWD)
EXPECTED = by_engine(CROWD)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 1 << 30),
    st.sampled_from([le, lt]),
    st.sampled_from([1, 3, 7]),
    st.sampled_from([MILLISECOND, 100 * MILLISECOND, 7 * SECOND]),
)
def test_any_interleaving_tells_the_same(seed: int, passes: Passes, shards: int, grain: int) -> None:
    told = run(keyed(grain, shards), list(scrambled(EVENTS, seed)), seed, passes)
    assert lines(told) == EXPECTED


def test_the_property_fails_where_stages_do_not_wait_for_each_other() -> None:
    """The same without the millisecond that a stage waits for the one before it, if timers ring at their very time."""
    hasty = [Keyed(stage(), Exact(MILLISECOND, 0), 3) for stage in STAGES]
    assert any(
        lines(run(hasty_again(hasty), list(scrambled(EVENTS, seed)), seed, le)) != EXPECTED for seed in range(10)
    )


def hasty_again(stages: Sequence[Keyed]) -> list[Keyed]:
    return [Keyed(each.stage, each.slots, each.shards) for each in stages]
