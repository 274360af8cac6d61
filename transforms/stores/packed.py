"""A map from 64-bit numbers to 64-bit numbers that lies flat in memory and works on whole batches.

Open addressing in one array of (key, value) pairs, so a look-up touches one cache line. A million keys take 16 to 54
MB, by how full the table is (at most 60 %). It grows by doubling, a few slots with each change, so no change stalls.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.uint64]

ABSENT = np.uint64(2**64 - 1)
"""What `get_many` gives for a key that is not there. Values must be smaller than 2**64 - 2."""

_GOLD = np.uint64(0x9E3779B97F4A7C15)
_SMALLEST = 64
_FULLEST = 0.6
_MOVED_PER_PUT = 4  # slots of the old table for each put; 1.7 would be enough to be done before the next doubling
_MOVED_AT_LEAST = 4096
# Stored values are shifted by two: 0 marks a slot never used, 1 one whose key was removed.
_EMPTY, _REMOVED, _SHIFT = np.uint64(0), np.uint64(1), np.uint64(2)


def numbers(data: bytes) -> Numbers:
    """Little-endian 64-bit numbers from their bytes."""
    return np.frombuffer(data, "<u8").astype(np.uint64, copy=False)


class _Table:
    """One array of slots. Probing goes 1, 2, 3, … further, which visits every slot of a power of two."""

    __slots__ = ("mask", "shift", "slots", "used")

    def __init__(self, capacity: int) -> None:
        self.slots = np.zeros((capacity, 2), np.uint64)
        self.mask = capacity - 1
        self.shift = np.uint64(64 - self.mask.bit_length())
        self.used = 0  # slots that are not empty

    def _home(self, keys: Numbers) -> NDArray[np.intp]:
        return ((keys * _GOLD) >> self.shift).astype(np.intp)

    def find(self, keys: Numbers) -> Numbers:
        """Stored values, 0 where a key is not."""
        found = np.zeros(len(keys), np.uint64)
        rows: NDArray[np.intp] | None = None
        place, step = self._home(keys), 0
        while len(keys):
            slots = self.slots.take(place, axis=0)
            stored = slots[:, 1]
            hit = slots[:, 0] == keys
            if rows is None:
                found[hit] = stored[hit]
            else:
                found[rows[hit]] = stored[hit]
            on = np.flatnonzero(~hit & (stored != _EMPTY))
            step += 1
            rows = on if rows is None else rows[on]
            keys, place = keys[on], (place[on] + step) & self.mask
        return found

    def store(self, keys: Numbers, values: Numbers) -> Numbers:
        """Store (shifted) values of keys that differ from one another; gives what was stored before."""
        before = np.zeros(len(keys), np.uint64)
        rows = np.arange(len(keys))
        place, step = self._home(keys), 0
        while len(keys):
            slots = self.slots.take(place, axis=0)
            stored = slots[:, 1]
            free = stored == _EMPTY
            hit = (slots[:, 0] == keys) & ~free
            before[rows[hit]] = stored[hit]
            self.slots[place[hit], 1] = values[hit]
            mine = hit | self._claim(place, keys, values, np.flatnonzero(free))
            on = np.flatnonzero(~mine)
            step += 1
            rows, keys, values, place = rows[on], keys[on], values[on], (place[on] + step) & self.mask
        return before

    def _claim(
        self, place: NDArray[np.intp], keys: Numbers, values: Numbers, free: NDArray[np.intp]
    ) -> NDArray[np.bool_]:
        """Take free slots; where several keys want one slot the last gets it, the others go on."""
        mine = np.zeros(len(keys), np.bool_)
        wanted = place[free]
        self.slots[wanted, 0] = keys[free]
        self.slots[wanted, 1] = values[free]
        mine[free] = won = self.slots[wanted, 0] == keys[free]
        self.used += int(np.count_nonzero(won))
        return mine


class PackedMap:
    """Numbers by number, in batches. Keys of one call to `put_many` or `remove_many` must differ."""

    __slots__ = ("_count", "_moved", "_old", "_table")

    def __init__(self, expected: int = 0) -> None:
        self._table = _Table(_capacity(expected))
        self._old: _Table | None = None  # while the table grows: what is not yet moved
        self._moved = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self._table.slots.nbytes + (self._old.slots.nbytes if self._old else 0)

    def get_many(self, keys: Numbers) -> Numbers:
        """The value of each key, ABSENT where there is none."""
        return self._find(keys) - _SHIFT

    def put_many(self, keys: Numbers, values: Numbers) -> Numbers:
        """Set values; gives the values before, ABSENT where there were none."""
        self._make_room(len(keys))
        before = self._store(keys, values + _SHIFT)
        self._count += int(np.count_nonzero(before == _REMOVED))
        return before - _SHIFT

    def remove_many(self, keys: Numbers) -> Numbers:
        """Forget keys; gives the values before, ABSENT where there were none."""
        before = self._find(keys)
        there = keys[before > _REMOVED]
        if len(there):
            self._make_room(len(there))
            self._store(there, np.full(len(there), _REMOVED))
            self._count -= len(there)
        return before - _SHIFT

    def pairs(self) -> Numbers:
        """All (key, value) rows."""
        return np.concatenate([np.empty((0, 2), np.uint64), *self.slices(1 << 16)])

    def slices(self, slots: int) -> Iterator[Numbers]:
        """All (key, value) rows, read `slots` at a time.

        The map may change between two slices: each key is then given with a value from before or after, and keys put
        in or removed meanwhile may come or not. Who replays the changes since the first slice has the exact map.
        """
        self._move(len(self._old.slots) if self._old else 0)
        table = self._table  # a table that was outgrown stays as it was
        for at in range(0, len(table.slots), slots):
            part = table.slots[at : at + slots]
            kept = part[part[:, 1] > _REMOVED]
            kept[:, 1] -= _SHIFT
            yield kept

    def dump(self) -> bytes:
        """The map as bytes for `load`."""
        return self.pairs().astype("<u8", copy=False).tobytes()

    @classmethod
    def load(cls, data: bytes) -> PackedMap:
        pairs = numbers(data).reshape(-1, 2)
        loaded = cls(len(pairs))
        loaded.put_many(pairs[:, 0], pairs[:, 1])
        return loaded

    def _find(self, keys: Numbers) -> Numbers:
        """Stored values; a missing key looks like a removed one."""
        found = self._table.find(keys)
        if self._old is not None:
            missing = np.flatnonzero(found == _EMPTY)
            found[missing] = self._old.find(keys[missing])
        found[found == _EMPTY] = _REMOVED
        return found

    def _store(self, keys: Numbers, stored: Numbers) -> Numbers:
        before = self._table.store(keys, stored)
        if self._old is not None:
            fresh = np.flatnonzero(before == _EMPTY)
            before[fresh] = self._old.find(keys[fresh])
            self._move(max(_MOVED_AT_LEAST, _MOVED_PER_PUT * len(keys)))
        before[before == _EMPTY] = _REMOVED
        return before

    def _make_room(self, more: int) -> None:
        if self._table.used + more <= _FULLEST * len(self._table.slots):
            return
        self._move(len(self._old.slots) if self._old else 0)
        self._old, self._moved = self._table, 0
        self._table = _Table(_capacity(2 * max(self._count, more)))

    def _move(self, slots: int) -> None:
        """Take the next slots of the old table over, unless their keys were changed since."""
        if self._old is None or not slots:
            return
        part = self._old.slots[self._moved : self._moved + slots]
        part = part[part[:, 1] > _REMOVED]
        part = part[self._table.find(part[:, 0]) == _EMPTY]
        self._table.store(part[:, 0], part[:, 1])
        self._moved += slots
        if self._moved >= len(self._old.slots):
            self._old = None


def _capacity(expected: int) -> int:
    """A power of two that `expected` keys fill to at most 60 %."""
    return max(_SMALLEST, 1 << int(expected / _FULLEST).bit_length())
