"""Keyed stages: records go to the virtual shard of their key, and each shard runs the stage's rules on its own state.

Keys in Beam's sense are shards, never people, so Beam's cost a key is paid once a batch. State has two forms over the
same rules and with the same bytes a row: *rows* (the embedded engine) and *cells* (Flink, Dataflow, Beam's own test
runners). Rows are always taken in exact order; cells take records as they arrive, or as `Exact` wishes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from zlib import crc32

from apache_beam import DoFn, ParDo, PTransform
from apache_beam.pvalue import DoOutputsTuple, PCollection
from apache_beam.transforms.window import GlobalWindow, TimestampedValue
from apache_beam.typehints import KV
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from transforms.batches import TAGS, Batch, typed
from transforms.cells_state import CellsDoFn
from transforms.exact_state import ExactDoFn
from transforms.logic.shard import Stage
from transforms.rows_state import RowsDoFn
from transforms.waiting import Exact

State = str | Exact
"""The form of state: rows, cells, or cells that take records in exact order."""

FORMS: dict[str, Callable[[Callable[[], Stage[Any]]], DoFn]] = {"rows": RowsDoFn, "cells": CellsDoFn}

SHARDS = {"rows": 4, "cells": 8}
"""How many shards an engine wants, by its form of state.

A batch costs one call for each shard that it touches, in each keyed stage: some microseconds on the embedded engine,
about a millisecond on Flink. There, twenty bundles a second in three stages and eight shards take up to a third of a
core, however few the records; so eight for one or two workers, and about four for each further one.
"""

GATHERED = 10_000
"""About how many records wait in a bundle before they go on ahead of its end."""


class Keyed(PTransform):
    """Batches of one kind through a stage; gives tagged outputs `TAGS`.

    `factory` makes the stage and must be picklable, `batch` is the class of the batches that come in, `shards` is
    fixed for a deployment, `state` is rows, cells or `Exact`.
    """

    def __init__(self, factory: Callable[[], Stage[Any]], batch: type[Batch[Any]], shards: int, state: State) -> None:
        super().__init__()
        if not isinstance(state, Exact) and state not in FORMS:
            raise ValueError(f"state: expected one of {', '.join(FORMS)}, got {state!r}")
        self.factory = factory
        self.batch = batch
        self.shards = shards
        self.state = state

    def expand(self, batches: PCollection) -> DoOutputsTuple:
        cut = SplitDoFn if self.state == "rows" else GatherDoFn
        split = ParDo(cut(self.factory, self.batch, self.shards)).with_output_types(KV[int, self.batch])
        keep = ParDo(self._keeper()).with_outputs(*TAGS)
        return typed(batches | "split by shard" >> split | "keep state" >> keep)

    def _keeper(self) -> DoFn:
        if isinstance(self.state, Exact):
            return ExactDoFn(self.factory, self.batch, self.state)
        return FORMS[self.state](self.factory)


def behind(state: State, stages: int) -> State:
    """`state` for a stage whose records have come through so many more keyed stages than those it was asked for."""
    return replace(state, behind=state.behind + stages) if isinstance(state, Exact) else state


def shard_of(key: bytes, shards: int) -> int:
    """The virtual shard of a key: the same in every process and every version."""
    return crc32(key) % shards


class SplitDoFn(DoFn):
    """Cuts a batch into one smaller batch for each shard that it touches, each in the batch's order."""

    def __init__(self, factory: Callable[[], Stage[Any]], batch: type[Batch[Any]], shards: int) -> None:
        self.factory = factory
        self.batch = batch
        self.shards = shards

    def setup(self) -> None:
        self._key = self.factory().key

    def process(self, batch: Batch[Any]) -> Iterator[tuple[int, Batch[Any]]]:
        if self.shards == 1 and batch.items:
            yield 0, batch
            return
        key, shards, parts = self._key, self.shards, dict[int, list[Any]]()
        for item in batch.items:
            shard = crc32(key(item)) % shards
            if shard in parts:
                parts[shard].append(item)
            else:
                parts[shard] = [item]
        for shard in sorted(parts):
            yield shard, self.batch(parts[shard])


class GatherDoFn(SplitDoFn):
    """Cuts a whole bundle into one batch for each shard that it touches, in the records' total order.

    For engines that give a bundle in many batches: cut one by one, each keyed stage would make as many of every batch
    as there are shards, and the third one would get them sixty-fold, a handful of records each. The embedded engine
    merges the batches of a bundle itself.
    """

    def start_bundle(self) -> None:
        self._parts: dict[int, list[Batch[Any]]] = {}
        self._count = 0
        self._time: Timestamp = MAX_TIMESTAMP

    def process(self, batch: Batch[Any], time: Any = DoFn.TimestampParam) -> Iterator[TimestampedValue]:
        for shard, part in super().process(batch):
            self._parts.setdefault(shard, []).append(part)
        self._count += batch.count
        self._time = min(self._time, time)
        if self._count >= GATHERED:
            yield from (TimestampedValue(each, self._time) for each in self._gathered())

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for each in self._gathered():
            yield WindowedValue(each, self._time, (GlobalWindow(),))

    def _gathered(self) -> Iterator[tuple[int, Batch[Any]]]:
        for shard in sorted(self._parts):
            yield shard, self.batch.merge(self._parts[shard])
        self.start_bundle()
