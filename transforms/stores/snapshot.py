"""A row store's memory saved beside its log, so that a restart replays only the tail.

A snapshot says from which address on frames must be applied to it. It is written in small slices between commits while
the store goes on changing: applying the frames since its beginning makes it exact. The two newest are kept, and no
segment that the older one needs is dropped, so a damaged snapshot costs time and nothing else.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

import msgspec
import numpy as np
from msgspec import Struct

from transforms.stores import faults
from transforms.stores.index import Digest, Index
from transforms.stores.packed import Numbers, numbers
from transforms.stores.segments import Segments, sync_folder
from transforms.stores.state import State
from transforms.stores.wakes import Run

POINTS = ("snapshot.before_rename", "snapshot.after_rename")
KEPT = 2
SLICE = 1 << 15  # slots of a packed map for one section: at most half a megabyte

_SECTION = struct.Struct("<4scII")  # magic, kind, length, checksum of kind and payload
_MAGIC = b"RpD1"
_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder().decode


class Meta(Struct, frozen=True):
    """What stands first in a snapshot. Frames from `address` on must be applied to it."""

    graph: str
    address: int
    rows: int
    position: bytes | None
    moved: dict[bytes, int]


_meta = msgspec.msgpack.Decoder(Meta)


def snapshot_file(folder: Path, address: int) -> Path:
    return folder / f"{address:020d}.snapshot"


def snapshot_addresses(folder: Path) -> list[int]:
    """Addresses of the saved snapshots, newest first."""
    return sorted((int(file.stem) for file in folder.glob("*.snapshot")), reverse=True)


def remove_drafts(folder: Path) -> None:
    """Remove what an interrupted snapshot left."""
    for draft in folder.glob("*.draft"):
        draft.unlink()


class Snapshot:
    """A snapshot in the making. Each `step` writes a slice; the last one makes it durable and drops the oldest."""

    def __init__(self, folder: Path, state: State, meta: Meta, *, sync: bool) -> None:
        self._folder, self._sync, self.address = folder, sync, meta.address
        wakes = [(name, lane.frozen()) for name, lane in state.lanes.items()]
        self._sections = _sections(state, meta, wakes)
        self._draft = snapshot_file(folder, meta.address).with_suffix(".draft")
        self._file: BinaryIO = self._draft.open("wb", buffering=0)
        self.size = 0

    def step(self) -> bool:
        """Write the next slice; True once the snapshot is complete. OSError leaves it unfinished for good."""
        section = next(self._sections, None)
        kind, payload = section if section is not None else (b"E", b"")
        data = _SECTION.pack(_MAGIC, kind, len(payload), crc32(payload, crc32(kind))) + payload
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        if self._sync:
            os.fdatasync(self._file.fileno())
        self.size += len(data)
        if section is None:
            self._finish()
        return section is None

    def abandon(self) -> None:
        self._file.close()
        self._draft.unlink(missing_ok=True)

    def _finish(self) -> None:
        self._file.close()
        faults.here("snapshot.before_rename")
        self._draft.replace(snapshot_file(self._folder, self.address))
        if self._sync:
            sync_folder(self._folder)
        faults.here("snapshot.after_rename")
        for old in snapshot_addresses(self._folder)[KEPT:]:
            snapshot_file(self._folder, old).unlink()


def _sections(state: State, meta: Meta, wakes: list[tuple[str, list[Run]]]) -> Iterator[tuple[bytes, bytes]]:
    """Kind and payload of each section."""
    yield b"M", _encode(meta)
    for pairs in state.index.table.slices(SLICE):
        yield b"I", _packed(pairs)
    for name, runs in wakes:
        for run in runs:
            for at in range(0, len(run.due), SLICE):
                cut = slice(at, at + SLICE)
                yield b"W", _encode((name, run.due[cut].astype("<i8").tobytes(), _packed(run.marks[cut])))
    for stage, day, marks in list(state.seen.maps()):
        for pairs in marks.slices(SLICE):
            yield b"S", _encode((stage, day, len(marks), _packed(pairs)))


def _packed(values: Numbers) -> bytes:
    return values.astype("<u8", copy=False).tobytes()


def load_snapshot(file: Path, segments: Segments, digest: Digest) -> tuple[State, Meta] | None:
    """The state that was saved, to be completed by frames from its address on; None if a byte of it is wrong."""
    state: State | None = None
    meta: Meta | None = None
    with file.open("rb") as opened:
        for kind, payload in _read_sections(opened):
            if kind == b"M":
                meta = _meta.decode(payload)
                state = State(Index(segments, digest, meta.rows))
                state.position = meta.position
                state.index.moved.update(meta.moved)
            elif state is None or meta is None:
                return None
            elif kind == b"E":
                return state, meta
            else:
                _load_section(state, kind, payload)
    return None


def _read_sections(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Sections in turn, up to the first that is not whole."""
    while len(head := file.read(_SECTION.size)) == _SECTION.size:
        magic, kind, length, checksum = _SECTION.unpack(head)
        payload = file.read(length) if magic == _MAGIC else b""
        if magic != _MAGIC or len(payload) != length or crc32(payload, crc32(kind)) != checksum:
            return
        yield kind, payload


def _load_section(state: State, kind: bytes, payload: bytes) -> None:
    if kind == b"I":
        pairs = numbers(payload).reshape(-1, 2)
        state.index.table.put_many(pairs[:, 0], pairs[:, 1])
    elif kind == b"W":
        name, due, marks = _decode(payload)
        state.lane(name).arm(np.frombuffer(due, "<i8").astype(np.int64), numbers(marks))
    elif kind == b"S":
        stage, day, expected, seen = _decode(payload)
        pairs = numbers(seen).reshape(-1, 2)
        state.seen.add(stage, day, pairs[:, 0], pairs[:, 1], expected)
