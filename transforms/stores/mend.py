"""Making a damaged log readable again, without moving anything that still is.

Addresses are what all readers remember, so no whole frame moves: a stretch that cannot be read becomes one frame of its
length that holds nothing. Where the end itself is lost, a new segment begins behind every place that anybody may have
reached, with numbers that no lost record can have had. Damaged files are copied away first.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from itertools import count, pairwise
from pathlib import Path

from msgspec import Struct

from transforms.stores.frames import (
    FRAME_MAGIC,
    HEADER,
    Outline,
    Part,
    SegmentHead,
    pack_frame,
    pack_segment_head,
    read_segment_head,
)
from transforms.stores.segments import Head, Lock, LogCorrupt, segment_file, segment_starts, sync_folder
from transforms.stores.torn import outlines, whole

_ROOM = len(pack_frame(0, 0, [("", Part(0, 0, b""))])[1][0])
"""Bytes that a frame needs at least if it is to have a length of one's choice."""


class Hole(Struct, frozen=True):
    """A stretch that could not be read: where, at most how many records stood there, the copy of its file."""

    begin: int
    end: int
    records: int
    copy: Path


def mend(folder: Path, aside: Path, topic: str, reached: tuple[int, int] = (0, 0)) -> list[Hole]:
    """Make the log in `folder` readable and give its holes; damaged files are copied to `aside` first.

    `reached` is the highest address that a reader has passed, with its stamp. Raises LogBusy while somebody writes,
    LogCorrupt for a damaged head of a segment, which only a copy brings back.
    """
    lock, head = Lock(folder), Head(folder, write=True)
    try:
        starts = segment_starts(folder)
        ends = [after for _, after in pairwise(starts)] + [max(head.end, reached[0])]
        holes: list[Hole] = []
        for start, end in zip(starts, ends, strict=True):
            segment = _Segment(folder, start, aside)
            holes += segment.mended(end, topic, last=start == starts[-1], stamp=reached[1])
        return holes
    finally:
        head.close()
        lock.close()


class _Segment:
    """One file of the log, in memory; what was learned of the log before a place in it."""

    def __init__(self, folder: Path, start: int, aside: Path) -> None:
        self._folder, self._start, self._aside = folder, start, aside
        self._file = segment_file(folder, start)
        self._data = self._file.read_bytes()
        head = read_segment_head(self._data)
        if head is None or head.start != start:
            raise LogCorrupt(f"expected the head of a segment in {self._file}, which no mending can bring back")
        self._head: SegmentHead = head

    def mended(self, end: int, topic: str, *, last: bool, stamp: int) -> list[Hole]:
        """Fill every stretch up to `end` that no whole frame covers."""
        at, known, numbers = self._head.end, self._head.stamp, dict(self._head.numbers)
        holes, fillers = list[tuple[int, int, int]](), list[tuple[int, bytes]]()
        for outline in self._whole():
            if outline.address > at:
                first = next((entry.first for entry in outline.entries if entry.topic == topic), None)
                lost = outline.address - at if first is None else first - numbers.get(topic, 0)
                holes.append((at, outline.address, lost))
                fillers.append((at, _filler(at, outline.address, known)))
            at, known = outline.end, outline.stamp
            numbers.update((entry.topic, entry.first + entry.count) for entry in outline.entries)
        lost_end = at < end
        if lost_end:
            end = max(end, at + _ROOM) if last else end
            holes.append((at, end, end - at))
            fillers.append((at, _filler(at, end, known)))
        size = max(at, end) - self._start
        if not fillers and (size == len(self._data) or not last):
            return []
        copy = self._copy()
        if lost_end and last:  # first, so that a crash in between cannot give a number twice
            self._go_on(end, max(known, stamp), {name: number + end - at for name, number in numbers.items()})
        self._write(fillers, size)
        return [Hole(*hole, copy) for hole in holes]

    def _whole(self) -> Iterator[Outline]:
        """All frames that can be read, also behind damage."""
        at = self._head.end
        while at - self._start < len(self._data):
            outline = next(outlines(self._data, self._start, at), None)
            if outline is not None and whole(self._data, self._start, outline):
                yield outline
                at = outline.end
                continue
            offset = self._data.find(FRAME_MAGIC, at - self._start + 1)
            if offset < 0:
                return
            at = self._start + offset

    def _copy(self) -> Path:
        self._aside.mkdir(parents=True, exist_ok=True)
        copy = next(path for n in count() if not (path := self._aside / f"{self._file.name}.{n}").exists())
        shutil.copyfile(self._file, copy)
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        sync_folder(self._aside)
        return copy

    def _write(self, fillers: list[tuple[int, bytes]], size: int) -> None:
        with self._file.open("r+b") as file:
            for address, data in fillers:
                os.pwrite(file.fileno(), data, address - self._start)
            os.ftruncate(file.fileno(), size)
            os.fsync(file.fileno())

    def _go_on(self, end: int, stamp: int, numbers: dict[str, int]) -> None:
        with segment_file(self._folder, end).open("xb") as file:
            file.write(pack_segment_head(end, stamp, numbers))
            os.fsync(file.fileno())
        sync_folder(self._folder)


def _filler(begin: int, end: int, stamp: int) -> bytes:
    """A frame from `begin` to `end` that holds nothing."""
    length = end - begin
    if length < _ROOM and length != HEADER:
        raise LogCorrupt(f"expected room for a frame between {begin} and {end}")
    parts = [] if length == HEADER else [("", Part(0, 0, bytes(length - _ROOM)))]
    return b"".join(pack_frame(begin, stamp, parts)[1])
