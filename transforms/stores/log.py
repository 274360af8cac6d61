"""The one log format: frames of several topics, appended by one writer, read by anybody at a cursor of their own.

A commit is one write and one `fdatasync`; then its end is published, and readers never pass the published end. A torn
tail is cut when the writer starts. Numbers are dense within a topic, addresses rise over all segments, stamps never
fall. Whole segments go when nobody needs them.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

from transforms.stores import faults
from transforms.stores.frames import (
    LONGEST_HEAD,
    Frame,
    Part,
    SegmentHead,
    pack_frame,
    pack_segment_head,
    read_segment_head,
)
from transforms.stores.reader import LogReader
from transforms.stores.segments import (
    SEGMENT_BYTES,
    Head,
    Lock,
    LogBusy,
    LogCorrupt,
    make_folder,
    segment_file,
    segment_starts,
    sync_folder,
)
from transforms.stores.torn import Bytes, outlines, torn, whole

__all__ = ["POINTS", "Frame", "LogBusy", "LogCorrupt", "LogReader", "LogWriter", "Part"]

POINTS = (
    "log.before_write",
    "log.after_create",
    "log.after_write",
    "log.after_sync",
    "log.after_publish",
    "log.before_drop",
    "log.after_drop",
)
"""Where a crash test may kill the writer."""


class LogWriter:
    """Appends frames to a log. There is one writer; LogBusy is raised for a second.

    `stamp` is that of the last frame (0 if none), `numbers` the next number of each topic, `end` the address behind
    the last committed frame.
    """

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES, sync: bool = True) -> None:
        make_folder(folder, sync=sync)
        self._folder, self.segment_bytes, self._sync = folder, segment_bytes, sync
        self._lock = Lock(folder)
        self._head = Head(folder, write=True)
        self.stamp, self.end = 0, 0
        self.numbers: dict[str, int] = {}
        self.starts = segment_starts(folder)
        self._file = -1
        self._torn = False  # bytes of a failed write may still stand behind the end
        self._pending: list[bytes] = []
        self._pending_end = 0
        self._fresh: int | None = None  # start of a segment that the next write creates
        self._before: tuple[int, dict[str, int]] = (0, {})  # stamp and numbers of what is committed
        with ExitStack() as undo:
            undo.callback(self.close)
            self._resume()
            undo.pop_all()

    def append(self, stamp: int, parts: Mapping[str, tuple[bytes, int]]) -> Frame:
        """Add a frame to the next commit: for each topic a payload and how many records it holds."""
        if stamp < self.stamp:
            raise ValueError(f"stamp: expected {self.stamp} or later, got {stamp}")
        if not self._pending:
            self._begin()
        numbered = [(topic, Part(self.numbers.get(topic, 0), count, data)) for topic, (data, count) in parts.items()]
        frame, pieces = pack_frame(self._pending_end, stamp, numbered)
        self._pending += pieces
        self._pending_end = frame.end
        self.stamp = stamp
        for topic, part in numbered:
            self.numbers[topic] = part.first + part.count
        return frame

    def commit(self) -> None:
        """Make everything appended durable and visible.

        OSError (a full disk) leaves the log at its last committed frame; the same frames may be committed again later.
        """
        if not self._pending:
            return
        faults.here("log.before_write")
        try:
            self._write(b"".join(self._pending))
        except OSError:
            self._take_back()
            raise
        faults.here("log.after_sync")
        self.end = self._pending_end
        self._forget()
        self._head.publish(self.end)
        faults.here("log.after_publish")

    def discard(self) -> None:
        """Forget what was appended and not committed."""
        if self._pending:
            self.stamp, self.numbers = self._before
            self._forget()

    def drop_before(self, address: int) -> None:
        """Remove whole segments that end at or before `address`; the newest one always stays."""
        limit = min(address, self.end - 1)  # a segment without a committed frame is not yet the newest
        gone = [start for start, following in pairwise(self.starts) if following <= limit]
        for start in gone:
            faults.here("log.before_drop")
            segment_file(self._folder, start).unlink()
            self.starts.remove(start)
            faults.here("log.after_drop")

    def close(self) -> None:
        """Let another process write; what was not committed is gone."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._head.close()
        self._lock.close()

    def _begin(self) -> None:
        """Plan where the next write goes: behind the last frame, or into a new segment."""
        self._before = self.stamp, dict(self.numbers)
        self._pending_end = self.end
        filled = self.end - self.starts[-1] if self.starts else 0
        if filled == 0 or filled >= self.segment_bytes:
            head = pack_segment_head(self.end, self.stamp, self.numbers)
            self._fresh = self.end
            self._pending, self._pending_end = [head], self.end + len(head)

    def _forget(self) -> None:
        self._pending, self._fresh = [], None

    def _write(self, data: bytes) -> None:
        if self._fresh is not None:
            self._create(self._fresh)
        if self._torn:
            os.ftruncate(self._file, self.end - self.starts[-1])
            self._torn = False
        offset = self.end - self.starts[-1]
        self._torn = True
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._file, rest, offset)
            rest, offset = rest[written:], offset + written
        faults.here("log.after_write")
        if self._sync:
            os.fdatasync(self._file)
        self._torn = False

    def _create(self, start: int) -> None:
        """Open a new segment. From here on the old one never grows, so its length is its end for readers."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        file = os.open(segment_file(self._folder, start), flags, 0o644)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._fresh, self._torn = file, None, True
        if not self.starts or self.starts[-1] != start:
            self.starts.append(start)
        if self._sync:
            sync_folder(self._folder)
        faults.here("log.after_create")

    def _take_back(self) -> None:
        """Cut what a failed write left; if even that fails, the next write cuts first."""
        if self._torn:
            try:
                os.ftruncate(self._file, self.end - self.starts[-1])
                self._torn = False
            except OSError:
                return

    def _resume(self) -> None:
        """Find the last whole frame, cut what stands behind it, and publish."""
        while self.starts:
            file = segment_file(self._folder, self.starts[-1])
            head = _segment_head(file, self.starts[-1])
            if head is not None:
                self._file = os.open(file, os.O_RDWR | os.O_CLOEXEC)
                self._scan(head)
                break
            self._check_cut(file.read_bytes(), self.starts[-1], self.starts[-1])
            file.unlink()
            self.end = self.starts.pop()
        self._head.publish(self.end)

    def _scan(self, head: SegmentHead) -> None:
        self.stamp, self.numbers, self.end = head.stamp, dict(head.numbers), head.end
        with mmap.mmap(self._file, 0, access=mmap.ACCESS_READ) as data:
            for outline in outlines(data, head.start, head.end):
                if not whole(data, head.start, outline):
                    break
                self.stamp, self.end = outline.stamp, outline.end
                self.numbers.update((entry.topic, entry.first + entry.count) for entry in outline.entries)
            self._check_cut(data, head.start, self.end)
            size = len(data)
        if size > self.end - head.start:
            os.ftruncate(self._file, self.end - head.start)
            os.fsync(self._file)

    def _check_cut(self, data: Bytes, start: int, end: int) -> None:
        """Only a tail that was never published and that a crash may leave may be cut, with and without syncs.

        The published end itself may be lost or old: then the frames alone say how far the log goes.
        """
        if end < self._head.end:
            found = f"whole frames up to {self._head.end} in {self._folder}, but they end at {end}"
        elif not torn(data, start, end):
            found = f"nothing but a commit cut short at {end} in {self._folder}, got other bytes"
        else:
            return
        raise LogCorrupt(f"expected {found}")


def _segment_head(file: Path, start: int) -> SegmentHead | None:
    with file.open("rb") as opened:
        head = read_segment_head(opened.read(LONGEST_HEAD))
    return head if head is not None and head.start == start else None
