"""Where the newest bytes of each row stand in the log, in about 30 bytes of memory a row.

A row is found by the mark of its key, a 64-bit hash, and proven by the whole key that stands before its bytes. A key
whose mark already belongs to another one gets a second mark, and its row is flagged so that a replay knows. A place is
an address (48 bits) and the row's length in units of 64 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from mmap import mmap

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from transforms.stores.packed import ABSENT, Numbers, PackedMap, numbers
from transforms.stores.segments import Segments

_ROW = struct.Struct("<IHH")  # length of the value, length of the key, flags; then key and value
_PART = struct.Struct("<III")  # rows, removed marks, whether rows are flagged; then marks, lengths, rows
_SECOND = 1  # flag: the row stands under the second mark of its key
_ADDRESS = np.uint64((1 << 48) - 1)
_UNIT = 6

Digest = Callable[[bytes], bytes]


def digest(key: bytes) -> bytes:
    """The eight bytes that a key is found by."""
    return blake2b(key, digest_size=8).digest()


def _second(key: bytes) -> int:
    return int.from_bytes(blake2b(key, digest_size=8, person=b"second mark").digest(), "little")


class RowCollision(RuntimeError):
    """Two marks of one key both belong to other keys: about once in 10^20 stores of a million rows."""


class Rows(Struct, frozen=True):
    """The rows part of a frame: marks of rows and their places, and marks of rows that were removed."""

    marks: Numbers
    places: Numbers
    lengths: NDArray[np.uint32]
    removed: Numbers
    flagged: bool


def body(key: bytes, value: bytes, *, second: bool = False) -> bytes:
    """A row as it stands in the log."""
    return _ROW.pack(len(value), len(key), _SECOND if second else 0) + key + value


def pack_rows(marks: Numbers, bodies: Sequence[bytes], removed: Numbers, *, flagged: bool) -> bytes:
    lengths = np.fromiter(map(len, bodies), "<u4", len(bodies))
    head = _PART.pack(len(bodies), len(removed), flagged)
    return b"".join((head, marks.astype("<u8").tobytes(), removed.astype("<u8").tobytes(), lengths.tobytes(), *bodies))


def read_rows(data: bytes | mmap, offset: int, address: int) -> Rows:
    """The rows of the part that stands at `address`, from bytes that hold it at `offset`."""
    rows, removed, flagged = _PART.unpack_from(data, offset)
    at = offset + _PART.size
    behind = at + 8 * (rows + removed)
    marks = numbers(data[at:behind])
    lengths = np.frombuffer(data[behind : behind + 4 * rows], "<u4")
    first = address + behind + 4 * rows - offset
    ends = np.cumsum(lengths, dtype=np.uint64)
    addresses = ends - lengths + np.uint64(first)
    return Rows(marks[:rows], _places(addresses, lengths), lengths, marks[rows:], bool(flagged))


def _places(addresses: Numbers, lengths: NDArray[np.uint32]) -> Numbers:
    units = np.minimum((lengths.astype(np.uint64) + np.uint64(63)) >> np.uint64(_UNIT), np.uint64(0xFFFF))
    return (units << np.uint64(48)) | addresses


def addresses_of(places: Numbers) -> Numbers:
    return places & _ADDRESS


def sizes_of(places: Numbers) -> Numbers:
    """Bytes of the rows, rounded up to units; at most 4 MB are counted."""
    return (places >> np.uint64(48)) << np.uint64(_UNIT)


class Index:
    """Finds rows in a log's segments."""

    def __init__(self, segments: Segments, digest: Digest = digest, expected: int = 0) -> None:
        self._segments, self._digest = segments, digest
        self.table = PackedMap(expected)
        self.moved: dict[bytes, int] = {}  # keys that use their second mark

    def __len__(self) -> int:
        return len(self.table)

    def marks(self, keys: Sequence[bytes]) -> Numbers:
        marks = numbers(b"".join(map(self._digest, keys)))
        if not self.moved:
            return marks
        seconds = [(at, self.moved[key]) for at, key in enumerate(keys) if key in self.moved]
        marks = marks.copy()
        for at, mark in seconds:
            marks[at] = mark
        return marks

    def get_many(self, keys: Sequence[bytes]) -> tuple[Numbers, list[bytes | None], list[bytes]]:
        """Marks, values (None where there is no row), and the keys whose mark belongs to another key."""
        marks = self.marks(keys)
        values: list[bytes | None] = [None] * len(keys)
        strangers = []
        places = self.table.get_many(marks)
        for at, key, value in self._rows(places):
            if key == keys[at]:
                values[at] = value
            else:
                strangers.append(keys[at])
        return marks, values, strangers

    def claim(self, keys: Sequence[bytes]) -> Numbers:
        """Marks of keys that are about to be written, each its own. Raises RowCollision."""
        marks, _, strangers = self.get_many(keys)
        if not strangers:
            return marks
        for key in strangers:
            self.move(key)
        return self.claim(keys)

    def move(self, key: bytes) -> None:
        """Give a key its second mark."""
        if key in self.moved:
            raise RowCollision(f"both marks of the key {key!r} belong to other keys; rename one of them")
        self.moved[key] = _second(key)

    def keys_of(self, marks: Numbers) -> list[bytes | None]:
        """The keys of the rows under marks, None where there is no row."""
        keys: list[bytes | None] = [None] * len(marks)
        for at, key, _ in self._rows(self.table.get_many(marks)):
            keys[at] = key
        return keys

    def apply(self, rows: Rows) -> Numbers:
        """Take a part's rows over; gives the places that nobody needs any more."""
        before = self.table.put_many(rows.marks, rows.places)
        if rows.flagged:
            for at, key, _ in self._rows(rows.places, flag=_SECOND):
                self.moved[key] = int(rows.marks[at])
        if len(rows.removed):
            before = np.concatenate([before, self.table.remove_many(rows.removed)])
        return before[before != ABSENT]

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All rows, in any order."""
        for pairs in self.table.slices(4096):
            for _, key, value in self._rows(pairs[:, 1]):
                yield key, value

    def places(self) -> Iterator[Numbers]:
        """The places of all rows, in slices."""
        for pairs in self.table.slices(1 << 16):
            yield pairs[:, 1]

    def _rows(self, places: Numbers, flag: int = 0) -> Iterator[tuple[int, bytes, bytes]]:
        """Number, key and value of each place (ABSENT ones left out), in order of address."""
        there = np.flatnonzero(places != ABSENT)
        addresses = addresses_of(places[there])
        order = np.argsort(addresses)
        addresses = addresses[order]
        segments = self._segments.places_in(addresses)
        if len(segments) and segments[0] < 0:
            raise FileNotFoundError(f"the segment with address {addresses[0]} was dropped")
        starts = self._segments.starts
        offsets = addresses - self._segments.numbers[segments]
        current, size = -1, 0
        for at, segment, offset in zip(there[order].tolist(), segments.tolist(), offsets.tolist(), strict=True):
            start = starts[segment]
            if segment != current or offset + _ROW.size > size:
                view = self._segments.view(start, offset + _ROW.size)
                current, size = segment, len(view)
            length, key_length, flags = _ROW.unpack_from(view, offset)
            middle = offset + _ROW.size + key_length
            if middle + length > size:
                view = self._segments.view(start, middle + length)
                size = len(view)
            if not flag or flags & flag:
                yield at, view[offset + _ROW.size : middle], view[middle : middle + length]
