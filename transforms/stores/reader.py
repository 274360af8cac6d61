"""Reading a log at a cursor of one's own, in any process: committed frames only, and only the topics asked for."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from transforms.stores.frames import (
    HEADER,
    LONGEST_HEAD,
    Frame,
    Outline,
    Part,
    directory_length,
    read_outline,
    read_segment_head,
)
from transforms.stores.segments import Head, LogCorrupt, segment_file, segment_starts

WINDOW = 1 << 16
READ_BYTES = 8 << 20


class LogReader:
    """Reads committed frames from an address on, in any process, at any time.

    `address` is that of the next frame; keep it to go on later. `stamp` is the last one passed, also of frames that
    hold nothing that was asked for. `gap` is True if the address asked for was already dropped: reading then starts at
    the oldest frame there is.
    """

    def __init__(self, folder: Path, address: int = 0, topics: Collection[str] | None = None) -> None:
        self._folder = folder
        self._topics = None if topics is None else frozenset(topics)
        self.address, self.stamp, self.gap = address, 0, False
        self._head: Head | None = None
        self._file = -1
        self._start = self._until = 0
        self._window, self._window_at = b"", 0

    @property
    def end(self) -> int:
        """The published end of the log, 0 as long as there is none."""
        if self._head is None:
            try:
                self._head = Head(self._folder)
            except FileNotFoundError:
                return 0
        return self._head.end

    def read(self, limit: int = 256) -> list[Frame]:
        """Up to `limit` frames (and a few megabytes) with their asked topics; an empty list if nothing new is there.

        Raises LogCorrupt if committed bytes are damaged.
        """
        self._until, left, frames = self.end, READ_BYTES, list[Frame]()
        while self.address < self._until and len(frames) < limit and left > 0:
            if not self._arrive():
                continue
            outline = self._outline()
            parts = self._parts(outline)
            if parts or self._topics is None:
                frames.append(Frame(outline.address, outline.end, outline.stamp, parts))
                left -= sum(len(part.payload) for part in parts.values())
            self.address, self.stamp = outline.end, outline.stamp
        return frames

    def close(self) -> None:
        if self._head is not None:
            self._head.close()
            self._head = None
        self._leave()

    def _arrive(self) -> bool:
        """Be in the segment of `address`, at a frame; False if the address had to move first."""
        if self._file < 0:
            return self._enter()
        if self.address - self._start < os.fstat(self._file).st_size:
            return True
        self._leave()
        return self._enter()

    def _enter(self) -> bool:
        """Open the segment that holds `address`; False if that had to move, such as over the segment's head."""
        starts = segment_starts(self._folder)
        start = max((start for start in starts if start <= self.address), default=None)
        if start is None:
            self.gap, self.address = True, starts[0]
            return False
        try:
            self._file = os.open(segment_file(self._folder, start), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False  # dropped in this moment
        self._start = start
        head = read_segment_head(self._bytes(0, LONGEST_HEAD))
        if head is None:
            raise LogCorrupt(f"expected a segment of the log in {segment_file(self._folder, start)}")
        if self.address < head.end:
            self.address, self.stamp = head.end, max(self.stamp, head.stamp)
            return False  # a crash may have left a head without a frame
        return self._in_bounds()

    def _in_bounds(self) -> bool:
        if self.address - self._start < os.fstat(self._file).st_size:
            return True
        raise LogCorrupt(f"expected a frame at {self.address} in {self._folder}, but its segment is shorter")

    def _leave(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._window = b""

    def _outline(self) -> Outline:
        offset = self.address - self._start
        length = directory_length(self._bytes(offset, HEADER))
        outline = read_outline(self._bytes(offset, length), self.address) if length else None
        if outline is None:
            raise LogCorrupt(f"expected a frame at {self.address} in {self._folder}, got other bytes")
        return outline

    def _parts(self, outline: Outline) -> dict[str, Part]:
        parts = {}
        for entry in outline.entries:
            if self._topics is None or entry.topic in self._topics:
                payload = self._bytes(entry.address - self._start, entry.length)
                if not entry.holds(payload):
                    raise LogCorrupt(f"{entry.topic} of the frame at {outline.address} in {self._folder} is damaged")
                parts[entry.topic] = Part(entry.first, entry.count, payload, entry.address)
        return parts

    def _bytes(self, offset: int, length: int) -> bytes:
        """Bytes of the open segment; small neighbours come from one read."""
        if length > WINDOW:
            return os.pread(self._file, length, offset)
        at = offset - self._window_at
        if at < 0 or at + length > len(self._window):
            published = self._until - self._start - offset  # what stands behind it may still change
            self._window, self._window_at, at = os.pread(self._file, min(WINDOW, published), offset), offset, 0
        return self._window[at : at + length]
