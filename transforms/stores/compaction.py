"""Keeps a log short: how many bytes of each segment are live, and small steps that copy live rows to the end.

A step walks the oldest segment with live rows and hands out those that the next commit shall write again. Once
nothing in a segment lives, it may go.
"""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap

import numpy as np
from numpy.typing import NDArray

from transforms.stores.frames import LONGEST_HEAD, Entry, read_segment_head
from transforms.stores.index import Index, Rows, addresses_of, read_rows, sizes_of
from transforms.stores.log import LogWriter
from transforms.stores.packed import Numbers
from transforms.stores.segments import Segments
from transforms.stores.state import ROWS, Copies
from transforms.stores.torn import outlines

WASTE = 2.5
"""A log may be this many times as long as its live rows, plus two segments, before rows are copied."""
LEAST_COPIED = 64 << 10
MOST_FRAMES = 64


class Live:
    """Bytes of live rows by segment."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._bytes: dict[int, int] = {}

    def add(self, places: Numbers, sign: int = 1) -> None:
        """Count rows as live, or with sign -1 no longer."""
        segments = self._segments.places_in(addresses_of(places))
        sums = np.bincount(segments, weights=sizes_of(places)) if len(segments) else np.empty(0)
        for number in np.flatnonzero(sums).tolist():
            start = self._segments.starts[number]
            self._bytes[start] = self._bytes.get(start, 0) + sign * int(sums[number])

    @property
    def total(self) -> int:
        return sum(self._bytes.values())

    def first(self, otherwise: int) -> int:
        """The start of the oldest segment with live rows."""
        return next((start for start in self._segments.starts if self._bytes.get(start)), otherwise)


class Compaction:
    """Where copying stands. A step only looks; `done` moves on after its copies were committed."""

    def __init__(self, log: LogWriter, segments: Segments, index: Index, live: Live) -> None:
        self._log, self._segments, self._index, self._live = log, segments, index, live
        self._segment = -1
        self._address = self._row = 0  # the next frame and row to look at
        self._next = (0, 0)
        self._view: mmap | bytes = b""

    def step(self, budget: int, avoid: Numbers) -> Copies:
        """Live rows of about `budget` bytes to copy now; none if the log is short enough. `avoid` are being written."""
        start = self._live.first(self._log.starts[-1] if self._log.starts else 0)
        if not self._log.starts or start >= self._log.starts[-1] or not self._wasteful(start):
            return Copies()
        if start != self._segment:
            self._restart(start)
        return self._collect(max(budget, LEAST_COPIED), avoid)

    def done(self) -> None:
        self._address, self._row = self._next
        if self._address < 0:
            self._segment, self._view = -1, b""  # at its end; should rows still live there, it is walked again

    def _wasteful(self, start: int) -> bool:
        return self._log.end - start > WASTE * self._live.total + 2 * self._log.segment_bytes

    def _restart(self, start: int) -> None:
        behind = self._log.starts[self._log.starts.index(start) + 1]
        self._view = self._segments.view(start, behind - start)  # all of it: it no longer grows
        head = read_segment_head(self._view[:LONGEST_HEAD])
        self._segment = start
        self._address, self._row = (head.end if head else start), 0
        self._next = self._address, 0

    def _collect(self, budget: int, avoid: Numbers) -> Copies:
        marks, bodies, flagged = list[Numbers](), list[bytes](), False
        row = self._row
        for frames, (address, entry) in enumerate(self._parts(), start=1):
            rows = read_rows(self._view, entry.address - self._segment, entry.address)
            living = self._living(rows, row, avoid)
            chosen = living[np.cumsum(rows.lengths[living], dtype=np.int64) <= max(budget, rows.lengths.max(initial=0))]
            bodies += self._bodies(rows, chosen)
            marks.append(rows.marks[chosen])
            flagged |= rows.flagged
            budget -= int(rows.lengths[chosen].sum(dtype=np.int64))
            if len(chosen) < len(living):
                self._next = address, int(living[len(chosen)])
                break
            if budget <= 0 or frames >= MOST_FRAMES:
                self._next = self._behind, 0
                break
            row = 0
        else:
            self._next = -1, 0
        return Copies(np.concatenate(marks), bodies, flagged) if bodies else Copies()

    def _parts(self) -> Iterator[tuple[int, Entry]]:
        """The rows parts of the segment from where copying stands."""
        for outline in outlines(self._view, self._segment, self._address):
            self._behind = outline.end
            for entry in outline.entries:
                if entry.topic == ROWS:
                    yield outline.address, entry

    def _living(self, rows: Rows, start: int, avoid: Numbers) -> NDArray[np.intp]:
        """Numbers of the rows from `start` on that are still the newest of their key."""
        live = self._index.table.get_many(rows.marks) == rows.places
        live[:start] = False
        if len(avoid):
            live &= ~np.isin(rows.marks, avoid)
        return np.flatnonzero(live)

    def _bodies(self, rows: Rows, chosen: NDArray[np.intp]) -> list[bytes]:
        offsets = (addresses_of(rows.places[chosen]) - np.uint64(self._segment)).tolist()
        lengths = rows.lengths[chosen].tolist()
        return [self._view[at : at + length] for at, length in zip(offsets, lengths, strict=True)]
