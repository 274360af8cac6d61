"""The bytes of one log: how a segment begins and how a frame of several topics is cut.

A segment file begins with what a writer must know to go on (stamp and next number of each topic). A frame is a header,
a directory of its parts and the parts' payloads. Header and directory share one checksum, each payload has its own,
and a frame names its own address, so bytes of another place or time never pass for a frame. All little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from zlib import crc32

import msgspec
from msgspec import Struct

Bytes = bytes | bytearray | memoryview

_SEGMENT = struct.Struct("<4sIQqI")  # magic, checksum, start, stamp, length of the numbers
SEGMENT_MAGIC = b"RpS1"
_FRAME = struct.Struct("<4sIQQqI")  # magic, checksum, address, length, stamp, length of the directory
FRAME_MAGIC = b"RpF1"
_PART = struct.Struct("<QIII")  # first number, count, length, checksum
_COVERED = 8  # a checksum covers everything behind magic and checksum
LONGEST_DIRECTORY = 1 << 16
LONGEST_HEAD = 1 << 16
"""Bytes within which a segment's head ends."""


class Part(Struct, frozen=True, gc=False):
    """One topic's records in a frame: dense number of the first, how many, their bytes and where those begin."""

    first: int
    count: int
    payload: bytes
    address: int = 0


class Frame(Struct, frozen=True):
    """What was committed as one: its place in the log, its stamp, its parts by topic."""

    address: int
    end: int
    stamp: int
    parts: dict[str, Part]


class Entry(Struct, frozen=True, gc=False):
    """What a directory says about one part."""

    topic: str
    first: int
    count: int
    length: int
    checksum: int
    address: int

    def holds(self, payload: Bytes) -> bool:
        return len(payload) == self.length and crc32(payload) == self.checksum


class Outline(Struct, frozen=True):
    """A frame without its payloads."""

    address: int
    end: int
    stamp: int
    entries: list[Entry]


class SegmentHead(Struct, frozen=True):
    """What a segment knew of the log before it; `end` is the address of its first frame."""

    start: int
    stamp: int
    numbers: dict[str, int]
    end: int


def pack_segment_head(start: int, stamp: int, numbers: dict[str, int]) -> bytes:
    rest = msgspec.msgpack.encode(numbers)
    covered = _SEGMENT.pack(SEGMENT_MAGIC, 0, start, stamp, len(rest))[_COVERED:] + rest
    return SEGMENT_MAGIC + struct.pack("<I", crc32(covered)) + covered


def read_segment_head(data: Bytes) -> SegmentHead | None:
    """The head at the start of a segment's bytes, None if it is torn."""
    if len(data) < _SEGMENT.size:
        return None
    magic, checksum, start, stamp, length = _SEGMENT.unpack_from(data)
    covered = data[_COVERED : _SEGMENT.size + length]
    if magic != SEGMENT_MAGIC or crc32(covered) != checksum:
        return None
    numbers = msgspec.msgpack.decode(data[_SEGMENT.size : _SEGMENT.size + length], type=dict[str, int])
    return SegmentHead(start, stamp, numbers, start + _SEGMENT.size + length)


def pack_frame(address: int, stamp: int, parts: Iterable[tuple[str, Part]]) -> tuple[Frame, list[bytes]]:
    """The frame as it will stand at `address`, and its bytes in pieces."""
    parts = list(parts)
    names = [topic.encode() for topic, _ in parts]
    size = sum(1 + len(name) + _PART.size for name in names)
    place = address + _FRAME.size + size
    directory, placed = [], {}
    for name, (topic, part) in zip(names, parts, strict=True):
        length = len(part.payload)
        directory.append(bytes((len(name),)) + name)
        directory.append(_PART.pack(part.first, part.count, length, crc32(part.payload)))
        placed[topic] = Part(part.first, part.count, part.payload, place)
        place += length
    head = _FRAME.pack(FRAME_MAGIC, 0, address, place - address, stamp, size)
    covered = head[_COVERED:] + b"".join(directory)
    pieces = [FRAME_MAGIC + struct.pack("<I", crc32(covered)) + covered, *(part.payload for _, part in parts)]
    return Frame(address, place, stamp, placed), pieces


def directory_length(data: Bytes) -> int | None:
    """How many bytes header and directory take together, from the header's bytes; None if this is no header."""
    if len(data) < _FRAME.size:
        return None
    magic, _, _, _, _, size = _FRAME.unpack_from(data)
    return _FRAME.size + size if magic == FRAME_MAGIC and size <= LONGEST_DIRECTORY else None


def read_outline(data: Bytes, address: int) -> Outline | None:
    """The outline of the frame that must stand at `address`, from the bytes of its header and directory."""
    length = directory_length(data)
    if length is None or len(data) < length:
        return None
    _, checksum, own, total, stamp, _ = _FRAME.unpack_from(data)
    if own != address or crc32(data[_COVERED:length]) != checksum:
        return None
    return Outline(address, address + total, stamp, _entries(data, length, address))


def _entries(data: Bytes, length: int, address: int) -> list[Entry]:
    entries, at, place = [], _FRAME.size, address + length
    while at < length:
        behind = at + 1 + data[at]
        first, count, size, checksum = _PART.unpack_from(data, behind)
        entries.append(Entry(str(data[at + 1 : behind], "utf-8"), first, count, size, checksum, place))
        at, place = behind + _PART.size, place + size
    return entries


HEADER = _FRAME.size
"""Bytes of a frame's header, enough to ask for the length of its directory."""
