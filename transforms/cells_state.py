"""State as cells: a snapshot, a bag of deltas behind it, and a version, for engines that keep Beam's own state.

The shard itself stays in the worker's memory between batches. The version (a counter and a nonce) is read with
every batch and fences that memory: after a failed or moved attempt it differs, and the shard is loaded again.

`CellsDoFn` takes records as they arrive; `exact_state.ExactDoFn` waits until their order is certain.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

from apache_beam import DoFn
from apache_beam.coders import BytesCoder
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Timestamp

from schemas.codec import pack, unpack
from transforms.attempt import ring, run
from transforms.batches import Batch, emit
from transforms.disorder import Disorder
from transforms.held import HELD, Held, Version, nonce
from transforms.logic.shard import Outputs, Stage
from transforms.resident import Resident
from transforms.waiting import MILLISECOND

GRAIN = 100 * MILLISECOND
"""How finely wakes are told apart: with a timer for each, every wake would be a call of its own on a cluster."""

LEAST_LOG = 64 << 10
NUMBER = 8
"""Bytes of the number before each delta: a bag has no order of its own."""
STEPS = 16
"""In how many steps compaction is staggered over the shards."""


class CellsDoFn(DoFn):
    """Runs a stage on a shard of cells. One event-time timer a shard, at the full `GRAIN` after its first wake.

    Counted by stage: records that come after a later one of the same key (`disordered`), and shards that had to be read
    whole (`loaded`; if that goes on, this worker's shards do not fit into `held.HELD`).
    """

    SNAPSHOT = DoFn.StateParam(ReadModifyWriteStateSpec("snapshot", BytesCoder()))
    DELTAS = DoFn.StateParam(BagStateSpec("deltas", BytesCoder()))
    VERSION = DoFn.StateParam(ReadModifyWriteStateSpec("version", BytesCoder()))
    WAKE = TimerSpec("wake", TimeDomain.WATERMARK)
    TIMER = DoFn.TimerParam(WAKE)

    def __init__(self, factory: Callable[[], Stage[Any]]) -> None:
        self.factory = factory
        self._step = secrets.token_hex(8)  # travels with the pickled DoFn: one name in all workers

    def setup(self) -> None:
        self._stage = self.factory()
        self._disordered = Metrics.counter(self._stage.name, "disordered")
        self._loaded = Metrics.counter(self._stage.name, "loaded")

    def process(
        self,
        element: tuple[int, Batch[Any]],
        snapshot: Any = SNAPSHOT,
        deltas: Any = DELTAS,
        version: Any = VERSION,
        timer: Any = TIMER,
    ) -> Iterator[TaggedOutput]:
        shard, batch = element
        cells = Cells(snapshot, deltas, version, shard)
        return emit(self._with(cells, timer, lambda held: self._take(held, batch)))

    @on_timer(WAKE)
    def wake(
        self,
        shard: Any = DoFn.KeyParam,
        time: Any = DoFn.TimestampParam,
        snapshot: Any = SNAPSHOT,
        deltas: Any = DELTAS,
        version: Any = VERSION,
        timer: Any = TIMER,
    ) -> Iterator[TaggedOutput]:
        cells = Cells(snapshot, deltas, version, shard)
        return emit(self._with(cells, timer, lambda held: ring(self._stage, held.resident, time.micros)))

    def _take(self, held: Held, batch: Batch[Any]) -> Outputs:
        held.disorder = held.disorder or Disorder()
        disordered = held.disorder.count(batch.items, self._stage.key)
        if disordered:
            self._disordered.inc(disordered)
        return run(self._stage, held.resident, batch.items)

    def _with(self, cells: Cells, timer: Any, work: Callable[[Held], Outputs]) -> Outputs:
        """Do `work` on the held shard and keep what it changed."""
        held = cells.current(HELD.take(self._step, cells.shard))
        self._loaded.inc(cells.loaded)
        outputs = work(held)
        cells.keep(held)
        soonest = held.resident.next_wake()
        if soonest is not None:
            timer.set(Timestamp(micros=-(-soonest // GRAIN) * GRAIN))
        HELD.put(self._step, cells.shard, held)
        return outputs


class Cells:
    """The three cells of one shard. `loaded` is 1 once they had to be read because memory was not what they hold."""

    def __init__(self, snapshot: Any, deltas: Any, version: Any, shard: int) -> None:
        self._snapshot = snapshot
        self._deltas = deltas
        self._version = version
        self.shard = shard
        self.loaded = 0

    def current(self, held: Held | None) -> Held:
        """The shard as the cells have it: the one in memory if the version says so, else loaded."""
        raw = self._version.read()
        version = unpack(raw, Version) if raw else None
        if version is None:
            return Held(Resident())
        if held is not None and held.version == version:
            return held
        snapshot, deltas = self._snapshot.read() or b"", sorted(self._deltas.read())
        kept = [part[NUMBER:] for part in (snapshot, *deltas) if part]
        self.loaded = 1
        return Held(Resident.load(kept), version, len(snapshot), sum(map(len, deltas)))

    def keep(self, held: Held, over: int | None = None) -> None:
        """Write what changed, and a new version; now and then everything in place of the deltas.

        `over` says where the time of waiting records stands: then there is a new version even if no row changed.
        """
        delta = held.resident.seal()
        if delta is None and over is None:
            return
        number = held.version.number + 1 if held.version else 1
        if delta is not None:
            self._write(held, number.to_bytes(NUMBER), delta)
        held.version = Version(number, nonce(), over or 0)
        self._version.write(pack(held.version))

    def _write(self, held: Held, place: bytes, delta: bytes) -> None:
        if held.log + len(delta) > self._longest_log(held.snapshot):
            whole = held.resident.snapshot()
            self._snapshot.write(place + whole)
            self._deltas.clear()
            held.snapshot, held.log = NUMBER + len(whole), 0
        else:
            self._deltas.add(place + delta)
            held.log += NUMBER + len(delta)

    def _longest_log(self, snapshot: int) -> int:
        """How long deltas may grow: about as long as the snapshot, differing by shard so that not all fold at once."""
        return max(LEAST_LOG, snapshot) * (STEPS + self.shard % STEPS) // STEPS
