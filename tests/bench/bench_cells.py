"""What state costs as cells: `python tests/bench/bench_cells.py [PEOPLE] [EVENTS]`.

The keyed stages of the person lane over the same records, with state as rows of a store, as cells, and as cells in
exact order; no Beam around them, so the difference is the form of state. Then the memory that cells take.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "support"), str(Path(__file__).parent)]

from lane import BUNDLE, FRAME, anonymous, blocks  # noqa: E402
from shop import SECRET, shop  # noqa: E402

from pipelines.local.store import ShardOfRows  # noqa: E402
from schemas.records import Block  # noqa: E402
from transforms.batches import Batch, Events, Knowns  # noqa: E402
from transforms.cells_state import CellsDoFn  # noqa: E402
from transforms.exact_state import ExactDoFn  # noqa: E402
from transforms.held import HELD  # noqa: E402
from transforms.logic.discover import PERSON, discover  # noqa: E402
from transforms.logic.engage import Engage  # noqa: E402
from transforms.logic.pointers import Pointers  # noqa: E402
from transforms.logic.repeats import Repeats  # noqa: E402
from transforms.rows_state import RowsDoFn  # noqa: E402
from transforms.shards import SplitDoFn  # noqa: E402
from transforms.stores.rows import RowStore  # noqa: E402
from transforms.waiting import Exact  # noqa: E402

STAGES: tuple[tuple[Callable[[], Any], type[Batch[Any]], str], ...] = (
    (Repeats, Events, "events"),
    (partial(Pointers, SECRET), Events, "known"),
    (partial(Engage, {"shop": shop()}, SECRET), Knowns, ""),
)
"""The stages, what they take, and which of their outputs the next one takes."""


class Cell:
    """A value or a bag of Beam's: counts what is written, and keeps only the value, for it is all that is read."""

    written = 0

    def __init__(self) -> None:
        self._value: bytes | None = None

    def read(self) -> Any:
        return self._value

    def add(self, part: bytes) -> None:
        Cell.written += len(part)

    def write(self, value: bytes) -> None:
        Cell.written += len(value)
        self._value = value

    def clear(self) -> None:
        """Nothing is kept."""


class Snapshot(Cell):
    """A value that a worker never reads as long as it lives, so it takes no memory here."""

    def write(self, value: bytes) -> None:
        Cell.written += len(value)


class Waiting(Cell):
    """A bag that is empty when it is loaded first, and never loaded again."""

    def read(self) -> Any:
        return ()


@dataclass
class Timers:
    """The timers of one shard by tag."""

    times: dict[str, int] = field(default_factory=dict)

    def set(self, time: Any, dynamic_timer_tag: str = "") -> None:
        self.times[dynamic_timer_tag] = time.micros

    def due(self, watermark: int) -> Iterator[int]:
        """Take what is due, one after the other."""
        while self.times and min(self.times.values()) <= watermark:
            tag = min(self.times, key=self.times.__getitem__)
            yield self.times.pop(tag)


@dataclass
class At:
    """A moment as Beam passes it."""

    micros: int


class Step:
    """One keyed stage without a runner: `state` gives a shard's state parameters by name."""

    def __init__(self, dofn: Any, split: SplitDoFn, state: Callable[[int], dict[str, Any]]) -> None:
        self._dofn, self._split, self._state = dofn, split, state
        self._shards: dict[int, dict[str, Any]] = {}
        split.setup()
        dofn.setup()

    def take(self, batch: Batch[Any], watermark: int, wanted: str) -> list[Any]:
        """A batch, then time; gives the records for the next stage."""
        parts = list(self._split.process(batch))
        told = [each for shard, part in parts for each in self._dofn.process((shard, part), **self._of(shard)) or ()]
        for shard, state in self._shards.items():
            told += [each for time in state["timer"].due(watermark) for each in self._ring(shard, time, state)]
        return [item for each in told if each.tag == wanted for item in each.value.items]

    def _ring(self, shard: int, time: int, state: dict[str, Any]) -> Iterable[Any]:
        if isinstance(self._dofn, RowsDoFn):
            return self._dofn.wake(At(time), **state)
        ring = self._dofn.over if isinstance(self._dofn, ExactDoFn) else self._dofn.wake
        return ring(shard, At(time), **state)

    def _of(self, shard: int) -> dict[str, Any]:
        if shard not in self._shards:
            self._shards[shard] = {**self._state(shard), "timer": Timers()}
        return self._shards[shard]


def cells(exact: Exact | None, shards: int) -> list[Step]:
    """The stages over cells."""

    def state(shard: int) -> dict[str, Any]:
        return {"snapshot": Snapshot(), "deltas": Cell(), "version": Cell()} | ({"waiting": Waiting()} if exact else {})

    return [
        Step(
            ExactDoFn(factory, batch, Exact(exact.grain, behind)) if exact else CellsDoFn(factory),
            SplitDoFn(factory, batch, shards),
            state,
        )
        for behind, (factory, batch, _) in enumerate(STAGES)
    ]


def rows(transaction: Any, shards: int) -> list[Step]:
    """The stages over rows of a store."""

    def state(stage: str, shard: int) -> dict[str, Any]:
        shard_of_rows = ShardOfRows(transaction, stage, shard)
        shard_of_rows.reached = 0
        return {"rows": shard_of_rows}

    return [
        Step(RowsDoFn(factory), SplitDoFn(factory, batch, shards), partial(state, factory().name))
        for factory, batch, _ in STAGES
    ]


def work(steps: Sequence[Step], pulls: Sequence[list[Block]], done: Callable[[int], None]) -> float:
    """CPU seconds of the keyed stages for these pulls."""
    spent = 0.0
    for pull in pulls:
        items: Sequence[Any] = discover(pull, PERSON).events
        began = time.process_time()
        for step, (_, batch, wanted) in zip(steps, STAGES, strict=True):
            items = step.take(batch(items), pull[-1].received_at, wanted)
        done(pull[-1].received_at)
        spent += time.process_time() - began
    return spent


def measure(name: str, people: int, events: int, shards: int) -> dict[str, float]:
    """One form of state: everybody signs up, then only what follows is measured."""
    given = list(blocks(people, events))
    pulls = [given[at : at + BUNDLE // FRAME] for at in range(0, len(given), BUNDLE // FRAME)]
    first = sum(1 for pull in pulls if pull[0].first < people)
    with tempfile.TemporaryDirectory() as folder:
        steps, done, written = FORMS[name](Path(folder), shards)
        gc.collect()
        before = anonymous()
        work(steps, pulls[:first], done)
        gc.collect()
        gc.freeze()
        settled, bytes_before = anonymous(), written()
        spent = work(steps, pulls[first:], done)
        return {
            "µs_an_event": spent / events * 1e6,
            "bytes_an_event": (written() - bytes_before) / events,
            "bytes_a_person": (settled - before) * 1e6 / people,
            "bytes_a_person_by_own_count": HELD.size / people,
        }


Form = tuple[list[Step], Callable[[int], None], Callable[[], int]]


def as_rows(folder: Path, shards: int) -> Form:
    store = RowStore(folder, graph="bench", sync=False)
    transaction = store.begin()
    return rows(transaction, shards), lambda stamp: transaction.commit(stamp, b""), lambda: store.end


def as_cells(exact: Exact | None, _: Path, shards: int) -> Form:
    HELD.limit = 8 << 30
    return cells(exact, shards), lambda _: None, lambda: Cell.written


FORMS: dict[str, Callable[[Path, int], Form]] = {
    "rows": as_rows,
    "cells": partial(as_cells, None),
    "exact": partial(as_cells, Exact()),
    "exact, slots of 1 min": partial(as_cells, Exact(60_000_000)),
}


def main() -> None:
    """Print the figures of one form, or start a process for each and print them all."""
    if len(sys.argv) > 4:
        print(json.dumps(measure(sys.argv[1], *map(int, sys.argv[2:5]))))
        return
    import subprocess

    people, events = (int(each) for each in (sys.argv[1:3] or ("50000", "50000")))
    for name in FORMS:
        for shards in (1, 8):
            command = [sys.executable, __file__, name, str(people), str(events), str(shards)]
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            figures = json.loads(answer.stdout.strip().splitlines()[-1])
            print(f"{name:22} {shards} shards  " + "  ".join(f"{key} {value:,.1f}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
