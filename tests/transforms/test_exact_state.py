"""Cells in exact order: what waits is kept like all other state, and fenced by the same version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from apache_beam import DoFn, ParDo, Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import PCollection
from engine_job import crowd, wire
from engine_runs import END, on_engine
from engine_stages import Chain, Listed, Read, Tally

from pipelines.local.hostile import Hostile
from pipelines.local.runner import EmbeddedRunner, Hooks, Limits
from schemas.records import SECOND
from transforms import exact_state
from transforms.batches import Events, Pull
from transforms.exact_state import Bag
from transforms.held import HELD, Version
from transforms.shards import Keyed, State, behind
from transforms.stores.memory import MemoryRows
from transforms.waiting import Exact, Waiting

EXACT = Exact(3 * SECOND)
BLOCKS = crowd(11, 120)


def two_stages(state: State, spoil: bool = False) -> Callable[[PCollection], dict[str, PCollection]]:
    def build(pulls: PCollection) -> dict[str, PCollection]:
        if spoil:
            pulls = pulls | "spoil" >> ParDo(Spoil()).with_output_types(Pull)
        events = pulls | "read events" >> ParDo(Read()).with_output_types(Events)
        tallied = events | "tally" >> Keyed(Tally, Events, 3, state)
        chained = tallied.events | "chain" >> Keyed(Chain, Events, 3, behind(state, 1))
        return {"one": tallied.rows, "two": chained.rows, "three": tallied.failures}

    return build


class Spoil(DoFn):
    """Every bundle finds the leavings of an attempt that never was."""

    def process(self, pull: Pull) -> Iterator[Pull]:
        for held in HELD._held.values():
            held.resident.rows.clear()
            if held.waiting is not None:
                held.waiting.take(1 << 60)
            held.version = Version(held.version.number if held.version else 0, b"another")
        yield pull


def lines(told: dict[str, list[Any]]) -> list[str]:
    return sorted(repr(each) for batches in told.values() for batch in batches for each in batch.items)


def expected() -> list[str]:
    return lines(on_engine(two_stages("rows"), BLOCKS, 7, end=10 * END))


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_rows_and_exact_cells_tell_the_same(at_once: int) -> None:
    assert lines(on_engine(two_stages(EXACT), BLOCKS, at_once, end=10 * END)) == expected()


@pytest.mark.parametrize("least", [0, 1_000])
def test_what_waits_is_loaded_again_where_memory_is_not_what_the_cells_hold(
    least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact_state, "LEAST_DEAD", least)
    assert lines(on_engine(two_stages(EXACT, spoil=True), BLOCKS, 2, end=10 * END)) == expected()


@pytest.mark.parametrize("seed", range(3))
def test_attempts_that_were_thrown_away_leave_nothing_waiting_twice(seed: int) -> None:
    calm, stormy = (handed_over(Hooks()), handed_over(Hooks(schedule=Hostile(seed, discard=0.4, skew=1))))
    assert stormy == calm


def handed_over(hooks: Hooks) -> list[str]:
    store = MemoryRows()
    pipeline = Pipeline(EmbeddedRunner(store, Limits(bundle=8, idle=0), hooks), PipelineOptions([]))
    wire(pipeline, Listed(BLOCKS, 10 * END, 4), state=EXACT)
    pipeline.runner.open(pipeline).run_until_done()
    return sorted(map(repr, store.topics["rows"]))


# --- the bag ----------------------------------------------------------------------------------------------------------


class Cell:
    """A bag of Beam's, as a list."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def read(self) -> Sequence[bytes]:
        return self.parts

    def add(self, part: bytes) -> None:
        self.parts.append(part)

    def clear(self) -> None:
        self.parts = []


def filled(count: int) -> tuple[Cell, Bag, Waiting]:
    """A bag and the queue that equals it, with records in many slots."""
    cell, waiting = Cell(), Waiting(Exact())
    bag = Bag(cell, Events)
    for batch in Read().process(Pull(BLOCKS)):
        bag.add(waiting.add(batch.items[:count]).items())
    return cell, bag, waiting


def test_a_bag_loads_what_was_not_taken() -> None:
    _, bag, waiting = filled(60)
    slots = sorted(slot for slot, _ in waiting)
    waiting.take(slots[len(slots) // 2])
    loaded = bag.load(Waiting(Exact(), waiting.over))
    assert dict(loaded) == dict(waiting) != {}
    assert loaded.gone > 0


def test_the_dead_are_swept_once_they_outnumber_the_living_and_at_once_when_nobody_lives() -> None:
    cell, bag, waiting = filled(60)
    slots = sorted(slot for slot, _ in waiting)
    before = list(cell.parts)
    waiting.take(slots[1])
    bag.sweep(waiting)
    assert cell.parts == before, "expected few dead records to lie on"
    waiting.take(slots[-1] + 1)
    bag.sweep(waiting)
    assert (cell.parts, waiting.gone) == ([], 0)


def test_sweeping_keeps_the_living(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact_state, "LEAST_DEAD", 0)
    cell, bag, waiting = filled(60)
    slots = sorted(slot for slot, _ in waiting)
    waiting.take(slots[-3])
    bag.sweep(waiting)
    assert len(cell.parts) == 3
    assert dict(bag.load(Waiting(Exact(), waiting.over))) == dict(waiting)
