"""What a stateful DoFn sees on the embedded engine: rows of its shard, Beam's ordinary state cells, event-time timers.

Everything rests in rows of the one store. A cell is read at its first use in a bundle and written once, at its end.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

import msgspec

from pipelines.local.beam_internals import (
    AccumulatingRuntimeState,
    BagStateSpec,
    BaseTimer,
    Coder,
    CombiningValueStateSpec,
    DoFn,
    ReadModifyWriteRuntimeState,
    ReadModifyWriteStateSpec,
    SetStateSpec,
    StateSpec,
    TimerSpec,
    Timestamp,
    UserStateContext,
    get_dofn_specs,
)
from pipelines.local.store import CellRows, ShardOfRows, TimerRows
from transforms.rows_state import RowsDoFn, RowsSpec
from transforms.stores.transaction import LONG_AGO, Transaction

_pack = msgspec.msgpack.Encoder().encode
_unpack_parts = msgspec.msgpack.Decoder(list[bytes]).decode
_unpack_name = msgspec.msgpack.Decoder(tuple[str, bytes, str]).decode

UNREAD: Any = object()


class Value(ReadModifyWriteRuntimeState):
    """One value in one row."""

    def __init__(self, rows: CellRows, name: bytes, coder: Coder) -> None:
        self._rows, self._name, self._coder = rows, name, coder
        self._value: Any = UNREAD
        self._changed = False

    def read(self) -> Any:
        if self._value is UNREAD:
            row = self._rows.get_many([self._name])[0]
            self._value = None if row is None else self._coder.decode(row)
        return self._value

    def write(self, value: Any) -> None:
        self._value, self._changed = value, True

    def clear(self) -> None:
        self.write(None)

    def changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        if self._changed:
            yield self._name, None if self._value is None else self._coder.encode(self._value)


class Bag(AccumulatingRuntimeState):
    """Items in rows of what each bundle added, and a row that counts them: adding never reads what is there."""

    def __init__(self, rows: CellRows, name: bytes, coder: Coder) -> None:
        self._rows, self._name, self._coder = rows, name, coder
        self._count: int | None = None
        self._gone = 0
        self._added: list[bytes] = []

    def read(self) -> list[Any]:
        rows = self._rows.get_many([self._part(number) for number in range(self._parts())])
        kept = [part for row in rows if row is not None for part in _unpack_parts(row)]
        return [self._coder.decode(item) for item in (*kept, *self._added)]

    def add(self, value: Any) -> None:
        self._added.append(self._coder.encode(value))

    def clear(self) -> None:
        self._gone = max(self._gone, self._parts())
        self._count, self._added = 0, []

    def changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        count = self._parts() if self._added or self._gone else 0
        for number in range(count, self._gone):
            yield self._part(number), None
        if self._added:
            yield self._part(count), _pack(self._added)
            yield self._name, (count + 1).to_bytes(4)
        elif self._gone:
            yield self._name, None

    def _parts(self) -> int:
        if self._count is None:
            row = self._rows.get_many([self._name])[0]
            self._count = 0 if row is None else int.from_bytes(row)
        return self._count

    def _part(self, number: int) -> bytes:
        return self._name + number.to_bytes(4)


class Distinct(AccumulatingRuntimeState):
    """A set in one row."""

    def __init__(self, rows: CellRows, name: bytes, coder: Coder) -> None:
        self._value = Value(rows, name, _PartsCoder())
        self._coder = coder

    def read(self) -> list[Any]:
        return [self._coder.decode(item) for item in self._items()]

    def add(self, value: Any) -> None:
        items, item = self._items(), self._coder.encode(value)
        if item not in items:
            self._value.write([*items, item])

    def clear(self) -> None:
        self._value.clear()

    def changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        return self._value.changes()

    def _items(self) -> list[bytes]:
        return self._value.read() or []


class Combined(AccumulatingRuntimeState):
    """One accumulator in one row."""

    def __init__(self, rows: CellRows, name: bytes, spec: CombiningValueStateSpec) -> None:
        self._value = Value(rows, name, spec.coder)
        self._combine = spec.combine_fn

    def read(self) -> Any:
        return self._combine.extract_output(self._accumulator())

    def add(self, value: Any) -> None:
        self._value.write(self._combine.add_input(self._accumulator(), value))

    def clear(self) -> None:
        self._value.clear()

    def changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        return self._value.changes()

    def _accumulator(self) -> Any:
        found = self._value.read()
        return self._combine.create_accumulator() if found is None else found


class _PartsCoder(Coder):
    """A list of encoded items."""

    def encode(self, parts: list[bytes]) -> bytes:
        return _pack(parts)

    def decode(self, encoded: bytes) -> list[bytes]:
        return _unpack_parts(encoded)


Cell = Value | Bag | Distinct | Combined


class Timer(BaseTimer):
    """One timer of one key."""

    __slots__ = ("_key", "_name", "_rows")

    def __init__(self, rows: TimerRows, name: str, key: bytes) -> None:
        self._rows, self._name, self._key = rows, name, key

    def set(self, timestamp: Timestamp, dynamic_timer_tag: str = "") -> None:
        self._rows.set(_pack((self._name, self._key, dynamic_timer_tag)), Timestamp.of(timestamp).micros)

    def clear(self, dynamic_timer_tag: str = "") -> None:
        self._rows.clear(_pack((self._name, self._key, dynamic_timer_tag)))


class Keeper(UserStateContext):
    """State and timers of one keyed step within the open transaction."""

    def __init__(self, transaction: Transaction, step: str, dofn: DoFn, keys: Coder) -> None:
        self._transaction, self._keys = transaction, keys
        self._stage = dofn.factory().name if isinstance(dofn, RowsDoFn) else step
        self._cell_rows = CellRows(transaction, step)
        self._timer_rows = TimerRows(transaction, step)
        self._specs = {timer.name: timer for timer in get_dofn_specs(dofn)[1]}
        self._cells: dict[tuple[str, bytes], Cell] = {}
        self._shards: dict[int, ShardOfRows] = {}
        self._reached = LONG_AGO

    # --- what Beam's invoker asks for ---------------------------------------------------------------------------------

    def get_state(self, spec: StateSpec, key: Any, window: Any) -> Any:  # noqa: ARG002 (there is one window)
        if isinstance(spec, RowsSpec):
            return self._shard(key)
        place = spec.name, self._keys.encode(key)
        cell = self._cells.get(place)
        if cell is None:
            cell = self._cells[place] = self._open(spec, _pack(place))
        return cell

    def get_timer(self, spec: TimerSpec, key: Any, window: Any, timestamp: Any, pane: Any) -> Timer:  # noqa: ARG002
        return Timer(self._timer_rows, spec.name, self._keys.encode(key))

    # --- what the engine asks for -------------------------------------------------------------------------------------

    def fire(self, upto: int) -> Iterator[tuple[TimerSpec, Any, Timestamp, str]]:
        """The timers due at or before `upto` in order of time, also those set while others fire. Each is cleared."""
        timers, ripe = self._timer_rows, list[tuple[int, bytes]]()
        while True:
            for wake in timers.due(upto):
                heapq.heappush(ripe, wake)
            if not ripe:
                return
            time, timer = heapq.heappop(ripe)
            if timers.time_of(timer) != time:
                continue
            timers.clear(timer)
            name, encoded, tag = _unpack_name(timer)
            yield self._specs[name], self._keys.decode(encoded), Timestamp(micros=time), tag

    def reach(self, time: int) -> None:
        """Let shards ring everything up to `time`."""
        self._reached = time
        for shard in self._shards.values():
            shard.reached = time

    def flush(self) -> None:
        """Hand the changed cells to the transaction."""
        if self._cells:
            self._cell_rows.put_many(dict(change for cell in self._cells.values() for change in cell.changes()))
            self._cells = {}

    def forget(self) -> None:
        """The transaction was given up: read everything again."""
        self._cells, self._shards = {}, {}
        self._timer_rows.forget()

    def _shard(self, number: int) -> ShardOfRows:
        shard = self._shards.get(number)
        if shard is None:
            shard = self._shards[number] = ShardOfRows(self._transaction, self._stage, number)
            shard.reached = self._reached
        return shard

    def _open(self, spec: StateSpec, name: bytes) -> Cell:
        if isinstance(spec, ReadModifyWriteStateSpec):
            return Value(self._cell_rows, name, spec.coder)
        if isinstance(spec, BagStateSpec):
            return Bag(self._cell_rows, name, spec.coder)
        if isinstance(spec, SetStateSpec):
            return Distinct(self._cell_rows, name, spec.coder)
        return Combined(self._cell_rows, name, spec)
