"""The journal as the door writes it: one ordered log of everything accepted, stamped once.

A frame of the log is one group commit. Its stamp is the `received_at` of all its records and rises strictly, so it
is the only clock that the job sees. A frame without records is a tick: time passed and nobody said anything.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from schemas.codec import pack, pack_many, unpack, unpack_many
from schemas.records import DAY, Entry
from transforms.logic.suppress import Change
from transforms.stores.frames import LONGEST_HEAD, read_segment_head
from transforms.stores.log import Frame, LogReader, LogWriter
from transforms.stores.segments import SEGMENT_BYTES, segment_file, segment_starts
from transforms.stores.state import POSITION

RECORDS, SUPPRESSION, DOOR = "records", "suppression", "door"
DERIVED = "derived"
KEEP = 7 * DAY

_PLACE = struct.Struct(">BQQ")
_FORM = 1

Cursor = tuple[int, int]
"""Where a pulled log or a played file goes on: (address or byte offset, number of the next record)."""


class Counts(Struct, frozen=True):
    """The door's own count of what it accepted since the journal began, and how far it has pulled other logs."""

    external: int = 0
    derived: int = 0
    cursors: dict[str, Cursor] = {}

    def after(self, entries: Collection[Entry], cursors: Mapping[str, Cursor]) -> Counts:
        """The counts once a frame with these entries and moved cursors is durable."""
        derived = sum(entry.kind == DERIVED for entry in entries)
        return Counts(self.external + len(entries) - derived, self.derived + derived, {**self.cursors, **cursors})


@dataclass(slots=True)
class Draft:
    """What goes into one frame: entries, what they suppress, and moved cursors.

    Until the frame is written, the `sequence` of a change is the index of its entry.
    """

    entries: list[Entry] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    cursors: dict[str, Cursor] = field(default_factory=dict)


class Appender(Protocol):
    """Where a door journals: the embedded journal below, or a topic."""

    counts: Counts

    @property
    def stamp(self) -> int:
        """The newest stamp given."""

    @property
    def end(self) -> int:
        """The address behind everything written."""

    def write(self, draft: Draft, now: int) -> list[Change]:
        """Append a draft, durably, and give its suppression changes with their numbers. OSError: do it again."""

    def suppressed_since(self, address: int) -> Iterable[tuple[int, list[Change]]]:
        """What the tail says about suppression: (address behind it, changes), oldest first."""

    def drop(self, needed: Iterable[int]) -> None:
        """Let go what is old and behind every address in `needed`."""

    def close(self) -> None:
        """Let another door write."""


class Journal:
    """The door's side: appends durable frames. Raises LogBusy if another door writes this folder.

    `counts` and `end` are those of the last durable frame.
    """

    def __init__(self, folder: Path, *, sync: bool = True, keep: int = KEEP) -> None:
        self._folder, self._keep = folder, keep
        self._log = LogWriter(folder, segment_bytes=SEGMENT_BYTES, sync=sync)
        self._counted_in = -1  # the segment that holds the counts
        self._heads: dict[int, int] = {}
        self.counts = last_counts(folder)

    @property
    def stamp(self) -> int:
        return self._log.stamp

    @property
    def end(self) -> int:
        return self._log.end

    def write(self, draft: Draft, now: int) -> list[Change]:
        """Append one frame and make it durable; gives the draft's suppression changes with their sequence numbers.

        Its stamp is `now`, or just later than the last one where the clock stood or fell. OSError (a full disk) means
        that nothing of it is in the journal.
        """
        counts = self.counts.after(draft.entries, draft.cursors)
        changes = self._numbered(draft.changes)
        stamp = max(now, self._log.stamp + 1)
        try:
            self._log.append(stamp, self._parts(draft.entries, changes, counts))
            self._log.commit()
        except OSError:
            self._log.discard()
            raise
        self.counts = counts
        return changes

    def suppressed_since(self, address: int) -> Iterable[tuple[int, list[Change]]]:
        """What the journal's tail says about suppression: (address behind the frame, changes), oldest first."""
        return suppressed_since(self._folder, address)

    def drop(self, needed: Iterable[int]) -> None:
        """Let go whole segments that are older than `keep` and behind every address in `needed`."""
        starts = self._log.starts
        limit = min((*needed, self._log.end))
        if self._counted_in != starts[-1] or self._log.stamp < self._keep:
            return
        old = [behind for _, behind in pairwise(starts) if behind <= limit and self._ends_before(behind)]
        if old:
            self._log.drop_before(old[-1])

    def close(self) -> None:
        self._log.close()

    def _numbered(self, changes: Iterable[Change]) -> list[Change]:
        first = self._log.numbers.get(RECORDS, 0)
        return [
            replace(change, sequence=change.said[1] if change.said else first + change.sequence) for change in changes
        ]

    def _parts(self, entries: list[Entry], changes: list[Change], counts: Counts) -> dict[str, tuple[bytes, int]]:
        parts = {}
        if entries:
            parts[RECORDS] = pack_many(entries), len(entries)
        if changes:
            parts[SUPPRESSION] = pack_many(changes), len(changes)
        segment = self._log.starts[-1] if self._log.starts else -1
        if counts != self.counts or segment != self._counted_in:
            parts[DOOR] = pack(counts), 1
            self._counted_in = segment
        return parts

    def _ends_before(self, start: int) -> bool:
        """Whether everything before the segment at `start` is older than what is kept."""
        if start not in self._heads:
            with segment_file(self._folder, start).open("rb") as file:
                head = read_segment_head(file.read(LONGEST_HEAD))
            self._heads[start] = head.stamp if head else self._log.stamp
        return self._heads[start] < self._log.stamp - self._keep


def last_counts(folder: Path) -> Counts:
    """The door's newest durable count, also for checks while no door runs."""
    for start in reversed(segment_starts(folder)):
        reader = LogReader(folder, start, (DOOR,))
        try:
            newest = deque(_frames(reader), maxlen=1)
        finally:
            reader.close()
        if newest:
            return unpack(newest[0].parts[DOOR].payload, Counts)
    return Counts()


def suppressed_since(folder: Path, address: int) -> Iterable[tuple[int, list[Change]]]:
    """What the journal's tail says about suppression: (address behind the frame, changes), oldest first."""
    reader = LogReader(folder, address, (SUPPRESSION,))
    try:
        for frame in _frames(reader):
            yield frame.end, unpack_many(frame.parts[SUPPRESSION].payload, Change)
    finally:
        reader.close()


def _frames(reader: LogReader) -> Iterable[Frame]:
    while frames := reader.read():
        yield from frames


class Lane:
    """How far the job's lane with its store in `folder` has come, so that the journal is not cut before it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log: LogReader | None = None
        self._address = 0

    def address(self) -> int:
        """What lies before is no longer needed by the lane; 0 as long as it has never committed.

        Raises ValueError for a lane of another version.
        """
        if self._log is None:
            starts = segment_starts(self._folder)
            if not starts:
                return 0
            self._log = LogReader(self._folder, starts[-1], (POSITION,))
        for frame in _frames(self._log):
            self._address = unpack_place(frame.parts[POSITION].payload)[0]
        return self._address

    def close(self) -> None:
        if self._log is not None:
            self._log.close()


def pack_place(address: int, stamp: int) -> bytes:
    """The position of a reader of the journal: the address of its next frame and the last stamp it passed."""
    return _PLACE.pack(_FORM, address, stamp)


def unpack_place(position: bytes | None) -> tuple[int, int]:
    """Address and stamp of a position; the beginning for None. Raises ValueError for one of another version."""
    if position is None:
        return 0, 0
    if len(position) != _PLACE.size or position[0] != _FORM:
        raise ValueError(f"expected a journal position of form {_FORM}, got {position.hex()}; migrate first")
    _, address, stamp = _PLACE.unpack(position)
    return address, stamp
