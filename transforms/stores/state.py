"""What a row store holds in memory, and the one way to change it: apply a frame.

A commit applies the frame that it wrote; a restart applies the same frames again. So memory is always what a replay
gives.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from msgspec import Struct

from transforms.stores.frames import Frame
from transforms.stores.index import Index, Rows, body, pack_rows, read_rows
from transforms.stores.packed import Numbers, numbers
from transforms.stores.seen import SeenDays
from transforms.stores.transaction import Work
from transforms.stores.wakes import Wakes

ROWS, WAKES, SEEN, POSITION = ".rows", ".wakes", ".seen", ".position"
TOPICS = (ROWS, WAKES, SEEN, POSITION)
"""The store's own parts of a frame."""

_encode = msgspec.msgpack.encode
_NONE = np.empty(0, np.uint64)


class WakesPart(Struct, frozen=True, array_like=True):
    """Up to when each lane's wakes were taken, and then new ones: due times and marks as little-endian arrays."""

    taken: dict[str, int]
    armed: dict[str, tuple[bytes, bytes]]


class SeenPart(Struct, frozen=True, array_like=True):
    """New ids of one day as little-endian 64-bit numbers, 16 bits of each body."""

    stage: str
    day: int
    ids: bytes
    bodies: bytes


_wakes_part = msgspec.msgpack.Decoder(WakesPart)
_seen_parts = msgspec.msgpack.Decoder(list[SeenPart])


class Copies(Struct, frozen=True):
    """Live rows on their way to the end of the log, byte for byte."""

    marks: Numbers = _NONE
    bodies: list[bytes] = []
    flagged: bool = False


class State:
    """Index, wakes, memory of what was seen, and position of one store."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.lanes: dict[str, Wakes] = {}
        self.seen = SeenDays()
        self.position: bytes | None = None

    def lane(self, name: str) -> Wakes:
        lane = self.lanes.get(name)
        if lane is None:
            lane = self.lanes[name] = Wakes()
        return lane

    def apply(self, frame: Frame) -> tuple[Rows | None, Numbers]:
        """Take a frame over. Gives its rows, and the places of rows that it made obsolete."""
        parts, rows, gone = frame.parts, None, _NONE
        if part := parts.get(ROWS):
            rows = read_rows(part.payload, 0, part.address)
            gone = self.index.apply(rows)
        if part := parts.get(WAKES):
            self._apply_wakes(_wakes_part.decode(part.payload))
        if part := parts.get(SEEN):
            for seen in _seen_parts.decode(part.payload):
                bodies = np.frombuffer(seen.bodies, "<u2").astype(np.uint64)
                self.seen.add(seen.stage, seen.day, numbers(seen.ids), bodies)
        if part := parts.get(POSITION):
            self.position = part.payload
        return rows, gone

    def _apply_wakes(self, part: WakesPart) -> None:
        for name, upto in part.taken.items():
            self.lane(name).take(upto)
        for name, (due, marks) in part.armed.items():
            self.lane(name).arm(np.frombuffer(due, "<i8").astype(np.int64), numbers(marks))


def rows_part(rows: Mapping[bytes, bytes | None], marks: Mapping[bytes, int], index: Index, copies: Copies) -> bytes:
    """The payload of changed rows, with copies of others."""
    moved = index.moved
    kept = {key: row for key, row in rows.items() if row is not None}
    own = np.fromiter((marks[key] for key in kept), np.uint64, len(kept))
    removed = np.array([marks[key] for key, row in rows.items() if row is None], np.uint64)
    bodies = [body(key, row, second=key in moved) for key, row in kept.items()]
    return pack_rows(
        np.concatenate([own, copies.marks]),
        bodies + copies.bodies,
        removed,
        flagged=copies.flagged or not moved.keys().isdisjoint(kept),
    )


def wakes_part(work: Work, marks: Mapping[bytes, int]) -> bytes:
    """The payload of what was taken and armed."""
    armed = {}
    for lane, wakes in work.armed.items():
        due = np.fromiter((due for due, _ in wakes), "<i8", len(wakes))
        armed[lane] = due.tobytes(), np.fromiter((marks[key] for _, key in wakes), "<u8", len(wakes)).tobytes()
    return _encode(WakesPart(work.taken, armed))


def seen_part(work: Work) -> bytes:
    """The payload of what was seen."""
    parts = []
    for (stage, day), marks in work.seen.items():
        ids = np.fromiter(marks.keys(), "<u8", len(marks))
        parts.append(SeenPart(stage, day, ids.tobytes(), np.fromiter(marks.values(), "<u2", len(marks)).tobytes()))
    return _encode(parts)
