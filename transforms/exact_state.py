"""State as cells, and exact order: records wait in one more cell until the watermark has passed their slot.

The bag `waiting` holds them by slot. What was taken out of it stays until dead bytes outweigh the living, so a release
costs what it releases; the version says where the shard's time stands, hence what is dead.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from apache_beam import DoFn
from apache_beam.coders import BytesCoder
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Timestamp

from schemas.codec import pack_many, unpack_many
from transforms.batches import Batch, emit
from transforms.cells_state import Cells
from transforms.held import HELD, Held
from transforms.logic.shard import Stage
from transforms.waiting import Exact, Waiting, pass_time

SLOT = 8
"""Bytes of the slot's number before its records."""
LEAST_DEAD = 1_000
"""Fewer dead records are not worth writing the living ones again."""


class ExactDoFn(DoFn):
    """Runs a stage on a shard of cells, slot by slot. One event-time timer a slot in which something waits or wakes.

    Counted by stage: records that come after their slot was over (`late`: 0 unless the watermark was wrong), and shards
    that had to be read whole (`loaded`).
    """

    SNAPSHOT = DoFn.StateParam(ReadModifyWriteStateSpec("snapshot", BytesCoder()))
    DELTAS = DoFn.StateParam(BagStateSpec("deltas", BytesCoder()))
    VERSION = DoFn.StateParam(ReadModifyWriteStateSpec("version", BytesCoder()))
    WAITING = DoFn.StateParam(BagStateSpec("waiting", BytesCoder()))
    SLOT = TimerSpec("slot", TimeDomain.WATERMARK)
    TIMER = DoFn.TimerParam(SLOT)

    def __init__(self, factory: Callable[[], Stage[Any]], batch: type[Batch[Any]], slots: Exact) -> None:
        self.factory = factory
        self._batch = batch
        self._slots = slots
        self._step = secrets.token_hex(8)  # travels with the pickled DoFn: one name in all workers

    def setup(self) -> None:
        self._stage = self.factory()
        self._late = Metrics.counter(self._stage.name, "late")
        self._loaded = Metrics.counter(self._stage.name, "loaded")

    def process(
        self,
        element: tuple[int, Batch[Any]],
        snapshot: Any = SNAPSHOT,
        deltas: Any = DELTAS,
        version: Any = VERSION,
        waiting: Any = WAITING,
        timer: Any = TIMER,
    ) -> None:
        shard, batch = element
        cells, bag = Cells(snapshot, deltas, version, shard), Bag(waiting, self._batch)
        held, queue = self._current(cells, bag)
        fresh = queue.add(batch.items)
        bag.add(fresh.items())
        cells.keep(held, queue.over)
        for slot in fresh:
            self._ring(timer, slot)
        self._count(queue)
        HELD.put(self._step, shard, held)

    @on_timer(SLOT)
    def over(
        self,
        shard: Any = DoFn.KeyParam,
        time: Any = DoFn.TimestampParam,
        snapshot: Any = SNAPSHOT,
        deltas: Any = DELTAS,
        version: Any = VERSION,
        waiting: Any = WAITING,
        timer: Any = TIMER,
    ) -> Iterator[TaggedOutput]:
        cells, bag = Cells(snapshot, deltas, version, shard), Bag(waiting, self._batch)
        held, queue = self._current(cells, bag)
        over = self._slots.over(time.micros)
        outputs = pass_time(self._stage, held.resident, queue.take(over), self._slots.end(over))
        bag.sweep(queue)
        cells.keep(held, queue.over)
        soonest = held.resident.next_wake()
        if soonest is not None:
            self._ring(timer, self._slots.of(soonest))
        HELD.put(self._step, shard, held)
        return emit(outputs)

    def _current(self, cells: Cells, bag: Bag) -> tuple[Held, Waiting]:
        held = cells.current(HELD.take(self._step, cells.shard))
        self._loaded.inc(cells.loaded)
        if held.waiting is None:
            held.waiting = bag.load(Waiting(self._slots, held.version.over if held.version else 0))
        return held, held.waiting

    def _ring(self, timer: Any, slot: int) -> None:
        timer.set(Timestamp(micros=self._slots.rings(slot)), dynamic_timer_tag=str(slot))

    def _count(self, queue: Waiting) -> None:
        if queue.late:
            self._late.inc(queue.late)
            queue.late = 0


class Bag:
    """The cell of waiting records: one part a slot and batch. Parts of slots that are over are dead."""

    def __init__(self, cell: Any, batch: type[Batch[Any]]) -> None:
        self._cell = cell
        self._record = batch.record

    def load(self, waiting: Waiting) -> Waiting:
        """Fill a queue with the records that live."""
        for part in self._cell.read():
            if int.from_bytes(part[:SLOT]) < waiting.over:
                waiting.gone += 1
            else:
                waiting.add(unpack_many(part[SLOT:], self._record))
        return waiting

    def add(self, groups: Iterable[tuple[int, list[Any]]]) -> None:
        """Add records by slot."""
        for slot, items in groups:
            self._cell.add(slot.to_bytes(SLOT) + pack_many(items))

    def sweep(self, waiting: Waiting) -> None:
        """Drop the dead once nobody lives here, or once they outnumber the living."""
        if waiting.gone > (max(LEAST_DEAD, len(waiting)) if len(waiting) else 0):
            self._cell.clear()
            self.add(waiting)
            waiting.gone = 0
