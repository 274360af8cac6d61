"""One contract for state in all its forms: rows on disk, rows in memory, cells in memory, cells loaded again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from apache_beam import DoFn, ParDo
from apache_beam.pvalue import PCollection
from engine_runs import on_engine, on_test_stream
from engine_stages import Read, Tally, block, entry

from pipelines.local.store import ShardOfRows
from schemas.records import DAY, SECOND
from transforms.attempt import Attempt, Cabinet
from transforms.batches import Events, Pull
from transforms.held import HELD, Held, HeldShards, Version
from transforms.logic.shard import CONFLICT, NEW, REPEATED
from transforms.resident import Resident
from transforms.rows_state import RowsSpec, UnsupportedState
from transforms.shards import Keyed
from transforms.stores.memory import MemoryRows
from transforms.stores.rows import RowStore
from transforms.stores.transaction import Store


class Form(Protocol):
    """One form of state: the cabinet, and how a batch is kept or given up."""

    cabinet: Cabinet

    def commit(self) -> None: ...


class RowsForm:
    def __init__(self, store: Store) -> None:
        self._transaction = store.begin()
        self._stamp = 0
        self.cabinet = ShardOfRows(self._transaction, "stage", 3)

    def commit(self) -> None:
        self._stamp += 1
        self._transaction.commit(self._stamp, b"")


class CellsForm:
    """`reload` loads the shard from its deltas (and every third time from a snapshot) after each batch."""

    def __init__(self, reload: bool) -> None:
        self._reload, self._deltas, self._batches = reload, list[bytes](), 0
        self.cabinet = Resident()

    def commit(self) -> None:
        delta = self.cabinet.seal()
        if delta is not None:
            self._deltas.append(delta)
        self._batches += 1
        if self._reload and self._batches % 3 == 0:
            self._deltas = [self.cabinet.snapshot()]
        if self._reload:
            self.cabinet = Resident.load(self._deltas)


FORMS: dict[str, Callable[[Path], Form]] = {
    "memory": lambda _: RowsForm(MemoryRows()),
    "disk": lambda folder: RowsForm(RowStore(folder, graph="test", sync=False)),
    "cells": lambda _: CellsForm(reload=False),
    "cells loaded again": lambda _: CellsForm(reload=True),
}


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest, tmp_path: Path) -> Form:
    return FORMS[request.param](tmp_path)


def test_rows_are_replaced_whole_and_deleted(form: Form) -> None:
    form.cabinet.put_many({b"a": b"1", b"b": b"2"})
    assert form.cabinet.get_many([b"b", b"a", b"c"]) == [b"2", b"1", None]
    form.commit()
    form.cabinet.put_many({b"a": b"3", b"b": None})
    form.commit()
    assert form.cabinet.get_many([b"a", b"b"]) == [b"3", None]


def test_wakes_ring_once_in_order_of_time_and_key(form: Form) -> None:
    form.cabinet.put_many({b"a": b"1", b"b": b"2"})
    form.cabinet.wake_many([(20, b"a"), (10, b"b"), (10, b"a"), (30, b"a"), (10, b"a")])
    assert form.cabinet.next_wake() == 10
    form.commit()
    assert form.cabinet.due(20) == [(10, b"a"), (10, b"b"), (20, b"a")]
    assert form.cabinet.due(20) == []
    assert form.cabinet.next_wake() == 30
    form.commit()
    assert form.cabinet.due(29) == []
    assert form.cabinet.due(30) == [(30, b"a")]
    assert form.cabinet.next_wake() is None


def test_a_wake_set_before_others_rings_before_them(form: Form) -> None:
    form.cabinet.put_many({b"a": b"1"})
    form.cabinet.wake_many([(20, b"a")])
    form.commit()
    form.cabinet.wake_many([(10, b"a")])
    assert form.cabinet.next_wake() == 10
    assert form.cabinet.due(15) == [(10, b"a")]


def test_the_wake_of_a_row_that_is_gone_does_not_ring(form: Form) -> None:
    form.cabinet.put_many({b"a": b"1", b"b": b"2"})
    form.cabinet.wake_many([(10, b"a"), (10, b"b"), (10, b"never there")])
    form.commit()
    form.cabinet.put_many({b"a": None})
    form.commit()
    assert form.cabinet.due(10) == [(10, b"b")]


def test_what_was_seen_is_told_from_what_is_new_and_from_what_differs(form: Form) -> None:
    now = 20_000 * DAY
    assert form.cabinet.first_seen([1, 2, 1, 1], [7, 7, 7, 8], now) == [NEW, NEW, REPEATED, CONFLICT]
    form.commit()
    assert form.cabinet.first_seen([2, 3, 1], [7, 7, 9], now + 7 * DAY) == [REPEATED, NEW, CONFLICT]
    form.commit()
    assert form.cabinet.first_seen([1, 3], [7, 7], now + 8 * DAY) == [NEW, REPEATED]


def test_an_attempt_that_is_dropped_changes_nothing(form: Form) -> None:
    form.cabinet.put_many({b"a": b"1"})
    form.cabinet.wake_many([(10, b"a")])
    form.cabinet.first_seen([1], [7], DAY)
    form.commit()
    attempt = Attempt(form.cabinet)
    attempt.put_many({b"a": b"2", b"b": b"2"})
    attempt.wake_many([(5, b"a")])
    assert attempt.due(10) == [(10, b"a")]
    assert attempt.first_seen([1, 2], [7, 7], DAY) == [REPEATED, NEW]
    assert attempt.get_many([b"a", b"b"]) == [b"2", b"2"]
    attempt.drop()
    form.commit()
    assert form.cabinet.get_many([b"a", b"b"]) == [b"1", None]
    assert form.cabinet.first_seen([1, 2], [7, 7], DAY) == [REPEATED, NEW]
    assert form.cabinet.next_wake() == 10
    assert form.cabinet.due(10) == [(10, b"a")]


def test_all_forms_agree_on_random_work(tmp_path: Path) -> None:
    forms = [make(tmp_path / str(number)) for number, make in enumerate(FORMS.values())]
    for seed in range(3):
        told = [list(_work(form, random.Random(seed), seed)) for form in forms]
        assert all(each == told[0] for each in told)


def _work(form: Form, chance: random.Random, seed: int) -> Iterator[Any]:
    keys = [b"key %d" % number for number in range(12)]
    now = (seed + 1) * 100 * DAY
    for _ in range(60):
        now += chance.randrange(DAY // 4)
        some = chance.sample(keys, 4)
        form.cabinet.put_many({key: chance.choice([None, b"x" * chance.randrange(9)]) for key in some})
        form.cabinet.wake_many([(now + chance.randrange(DAY), key) for key in some])
        if chance.random() < 0.7:
            yield form.cabinet.due(now)
        yield form.cabinet.first_seen([chance.randrange(40) for _ in some], [chance.randrange(2) for _ in some], now)
        yield form.cabinet.get_many(keys)
        if chance.random() < 0.5:
            form.commit()


# --- the same stage in every form, on the engine and on Beam's TestStream ---------------------------------------------

STORY = (
    block(0, 0, entry("ana"), entry("bo"), entry("cy", "once x")),
    block(3 * SECOND, 3, entry("ana", "fail"), entry("dee", "poisoned wake"), entry("cy", "once x"), entry("ana")),
    block(4 * SECOND + 500, 7, entry("eve"), entry("cy", "once yy")),
    block(13 * SECOND, 9, entry("ana"), entry("bo")),
    block(40 * SECOND + 123, 11, entry("ana"), entry("fay", "fail")),
)


def tally(state: str) -> Callable[[PCollection], dict[str, PCollection]]:
    def build(pulls: PCollection) -> dict[str, PCollection]:
        events = pulls | "read events" >> ParDo(Read()).with_output_types(Events)
        told = events | "tally" >> Keyed(Tally, Events, 3, state)
        return {"rows": told.rows, "failures": told.failures}

    return build


def lines(outputs: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The records of all batches, sorted: partitions may finish in any order."""
    return {
        name: sorted((each for batch in batches for each in batch.items), key=repr) for name, batches in outputs.items()
    }


def rows_of(store: Store) -> dict[bytes, bytes]:
    return {key: row for key, row in store.items() if key.startswith(b"tally/") and b"/timers" not in key}


def cells_in_memory() -> dict[bytes, bytes]:
    """The rows of all shards that cells left in this process's memory."""
    return {b"tally/" + key: row for held in HELD._held.values() for key, row in held.resident.rows.items()}


@pytest.fixture
def no_cells() -> None:
    HELD._held.clear()


@pytest.mark.usefixtures("no_cells")
@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_rows_and_cells_give_equal_outputs_and_equal_row_bytes(tmp_path: Path, at_once: int) -> None:
    memory, disk = MemoryRows(), RowStore(tmp_path, graph="test", sync=False)
    expected = lines(on_engine(tally("rows"), STORY, at_once, memory))
    assert [failure.detail for failure in expected["failures"]].count("cannot take this") == 2
    assert [row.type for row in expected["rows"]].count("still") == 6
    assert lines(on_engine(tally("rows"), STORY, at_once, disk)) == expected
    assert rows_of(disk) == rows_of(memory)
    assert lines(on_engine(tally("cells"), STORY, at_once)) == expected
    assert cells_in_memory() == rows_of(memory)
    HELD._held.clear()
    assert lines(on_test_stream(tally("cells"), STORY)) == expected
    assert cells_in_memory() == rows_of(memory)


def test_a_shard_in_memory_that_is_not_what_the_cells_hold_is_loaded_again() -> None:
    expected = lines(on_engine(tally("cells"), STORY))
    assert lines(on_engine(spoilt, STORY)) == expected


def spoilt(pulls: PCollection) -> dict[str, PCollection]:
    """A graph in which every bundle finds the leavings of an attempt that never was."""
    return tally("cells")(pulls | "spoil" >> ParDo(Spoil()).with_output_types(Pull))


class Spoil(DoFn):
    def process(self, pull: Pull) -> Iterator[Pull]:
        for held in HELD._held.values():
            held.resident.rows.clear()
            held.version = Version(held.version.number if held.version else 0, b"another")
        yield pull


def test_the_shards_in_memory_are_bounded() -> None:
    held = HeldShards(10_000)
    for shard in range(100):
        resident = Resident()
        resident.put_many({b"row": bytes(1000)})
        held.put("step", shard, Held(resident))
    assert held.take("step", 99) is not None
    assert held.take("step", 99) is None
    assert sum(held.take("step", shard) is not None for shard in range(99)) == 7


def test_deltas_become_a_snapshot_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.cells_state.LEAST_LOG", 1)
    expected = lines(on_engine(tally("rows"), STORY))
    assert lines(on_engine(spoilt, STORY)) == expected


def test_other_runners_refuse_rows_by_name() -> None:
    with pytest.raises(UnsupportedState, match="embedded engine"):
        RowsSpec("rows").to_runner_api(None)
