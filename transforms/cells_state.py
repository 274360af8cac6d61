"""State as cells: a snapshot, a bag of deltas behind it, and a version, for engines that keep Beam's own state.

The shard itself stays in the worker's memory between batches. The version (a counter and a random nonce) is read with
every batch and fences that memory: after a failed or moved attempt it differs, and the shard is loaded again.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

from apache_beam import DoFn
from apache_beam.coders import BytesCoder
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Timestamp
from msgspec import Struct

from schemas.codec import pack, unpack
from transforms.attempt import ring, run
from transforms.batches import Batch, emit
from transforms.logic.shard import Outputs, Stage
from transforms.resident import Resident

MILLISECOND = 1_000
LEAST_LOG = 64 << 10
NUMBER = 8
"""Bytes of the number before each delta: a bag has no order of its own."""
STEPS = 16
"""In how many steps compaction is staggered over the shards."""


class Version(Struct, frozen=True, array_like=True, gc=False):
    """Which state a shard's cells hold. A counter alone could match what a failed attempt left in memory."""

    number: int
    nonce: bytes


class Held(Struct):
    """A shard in memory with the version of the cells that it equals, and how long snapshot and log are."""

    resident: Resident
    version: Version | None = None
    snapshot: int = 0
    log: int = 0


class HeldShards:
    """The shards in this process's memory. Above `limit` bytes the ones used longest ago go first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: OrderedDict[tuple[str, int], Held] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def take(self, step: str, shard: int) -> Held | None:
        """Take a shard out, so that no older attempt can share it."""
        with self._lock:
            held = self._held.pop((step, shard), None)
            self._size -= held.resident.size if held else 0
            return held

    def put(self, step: str, shard: int, held: Held) -> None:
        """Put a shard back, and let go of others if there are too many."""
        with self._lock:
            older = self._held.pop((step, shard), None)
            self._size += held.resident.size - (older.resident.size if older else 0)
            self._held[step, shard] = held
            while self._size > self.limit and len(self._held) > 1:
                self._size -= self._held.popitem(last=False)[1].resident.size


HELD = HeldShards(512 << 20)


class CellsDoFn(DoFn):
    """Runs a stage on a shard of cells. One event-time timer a shard, at the full millisecond after its first wake."""

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

    def process(
        self,
        element: tuple[int, Batch[Any]],
        snapshot: Any = SNAPSHOT,
        deltas: Any = DELTAS,
        version: Any = VERSION,
        timer: Any = TIMER,
    ) -> Iterator[TaggedOutput]:
        shard, batch = element
        cells = _Cells(snapshot, deltas, version, shard)
        return emit(self._with(cells, timer, lambda resident: run(self._stage, resident, batch.items)))

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
        cells = _Cells(snapshot, deltas, version, shard)
        return emit(self._with(cells, timer, lambda resident: ring(self._stage, resident, time.micros)))

    def _with(self, cells: _Cells, timer: Any, work: Callable[[Resident], Outputs]) -> Outputs:
        """Do `work` on the resident shard and keep what it changed."""
        held = cells.current(HELD.take(self._step, cells.shard))
        outputs = work(held.resident)
        cells.keep(held)
        soonest = held.resident.next_wake()
        if soonest is not None:
            timer.set(Timestamp(micros=-(-soonest // MILLISECOND) * MILLISECOND))
        HELD.put(self._step, cells.shard, held)
        return outputs


class _Cells:
    """The three cells of one shard."""

    def __init__(self, snapshot: Any, deltas: Any, version: Any, shard: int) -> None:
        self._snapshot = snapshot
        self._deltas = deltas
        self._version = version
        self.shard = shard

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
        return Held(Resident.load(kept), version, len(snapshot), sum(map(len, deltas)))

    def keep(self, held: Held) -> None:
        """Write what changed, and a new version; now and then everything in place of the deltas."""
        delta = held.resident.seal()
        if delta is None:
            return
        number = held.version.number + 1 if held.version else 1
        place = number.to_bytes(NUMBER)
        if held.log + len(delta) > self._longest_log(held.snapshot):
            whole = held.resident.snapshot()
            self._snapshot.write(place + whole)
            self._deltas.clear()
            held.snapshot, held.log = NUMBER + len(whole), 0
        else:
            self._deltas.add(place + delta)
            held.log += NUMBER + len(delta)
        held.version = Version(number, secrets.token_bytes(8))
        self._version.write(pack(held.version))

    def _longest_log(self, snapshot: int) -> int:
        """How long deltas may grow: about as long as the snapshot, differing by shard so that not all fold at once."""
        return max(LEAST_LOG, snapshot) * (STEPS + self.shard % STEPS) // STEPS
