"""The log is the database: rows, wakes and what was seen, kept in the frames of one log and found in memory.

A commit is one frame and one `fdatasync`: changed rows, wakes, new ids, source position and the records handed over
stand or fall together. Memory holds some 30 bytes a row; rows themselves are read from mapped segments. Small steps
with each commit copy live rows forward and save the memory, so neither the log nor a restart grows without bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from transforms.stores import faults, log, snapshot
from transforms.stores.compaction import Compaction, Live
from transforms.stores.index import Digest, digest
from transforms.stores.log import LogReader, LogWriter
from transforms.stores.packed import ABSENT
from transforms.stores.segments import SEGMENT_BYTES, Segments, sync_folder
from transforms.stores.snapshots import Snapshots, StoreDamaged
from transforms.stores.state import POSITION, ROWS, SEEN, TOPICS, WAKES, Copies, rows_part, seen_part, wakes_part
from transforms.stores.transaction import LONG_AGO, NEVER, Change, Store, Transaction, Wake, Work, checked_topics

__all__ = ["POINTS", "Change", "RowStore", "StoreDamaged", "StoreMismatch", "Transaction"]

POINTS = (*log.POINTS, "rows.after_commit", *snapshot.POINTS)
"""Where a crash test may kill the writer of a store."""

FORMAT = 1
MOST_PROVEN = 1 << 16


class StoreMismatch(RuntimeError):
    """The store was written for another graph or by another format."""


class Stamp(Struct, frozen=True):
    """What a store was written for."""

    format: int
    graph: str


class RowStore(Store):
    """Rows on disk of one writer. Raises LogBusy for a second writer, StoreMismatch for a store of another graph."""

    def __init__(
        self,
        folder: Path,
        *,
        graph: str,
        sync: bool = True,
        segment_bytes: int = SEGMENT_BYTES,
        digest: Digest = digest,
    ) -> None:
        self._log = LogWriter(folder, segment_bytes=segment_bytes, sync=sync)
        with ExitStack() as undo:
            undo.callback(self._log.close)
            _check_graph(folder, graph)
            self._segments = Segments(folder)
            self._snapshots = Snapshots(folder, self._log, graph, sync=sync)
            self._state, address = self._snapshots.load(self._segments, digest)
            self._replay(folder, address)
            undo.pop_all()
        self.stamp, self.position = self._log.stamp, self._state.position
        self._live = Live(self._segments)
        for places in self._state.index.places():
            self._live.add(places)
        self._compaction = Compaction(self._log, self._segments, self._state.index, self._live)
        self._proven: dict[bytes, int] = {}  # marks of keys that were read since the last commit
        self._keep: int | None = None

    def __len__(self) -> int:
        return len(self._state.index)

    @property
    def end(self) -> int:
        """The address behind the last commit."""
        return self._log.end

    def keep_from(self, address: int) -> None:
        """Say that no reader needs frames before `address` any more. Until said, handed-over topics stay for ever."""
        self._keep = address

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        return self._state.index.items()

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        marks, values, strangers = self._state.index.get_many(keys)
        if len(self._proven) > MOST_PROVEN:
            self._proven = {}
        self._proven.update(zip(keys, marks.tolist(), strict=True))
        for key in strangers:
            self._proven.pop(key, None)
        return values

    def earliest(self, lane: str, after: int) -> int:
        wakes = self._state.lanes.get(lane)
        return NEVER if wakes is None else wakes.earliest(after)

    def ripe(self, lane: str, after: int, upto: int, fresh: Mapping[bytes, bytes | None]) -> list[Wake]:
        due, marks = self._state.lane(lane).ripe(after, upto)
        keys = self._state.index.keys_of(marks)
        if None in keys and fresh:
            unwritten = list(fresh)
            by_mark = dict(zip(self._state.index.marks(unwritten).tolist(), unwritten, strict=True))
            keys = [by_mark.get(mark) if key is None else key for key, mark in zip(keys, marks.tolist(), strict=True)]
        return [(time, key) for time, key in zip(due.tolist(), keys, strict=True) if key is not None]

    def seen(self, stage: str, ids: Sequence[int], since: int) -> list[int | None]:
        found = self._state.seen.find(stage, np.array(ids, np.uint64), since)
        return [None if mark == ABSENT else mark for mark in found.tolist()]

    def next_wake(self) -> int | None:
        soonest = min((lane.earliest(LONG_AGO) for lane in self._state.lanes.values()), default=NEVER)
        return None if soonest == NEVER else soonest

    def write(self, work: Work, stamp: int, position: bytes) -> None:
        checked_topics([*work.topics, *work.parts])
        marks = self._claim(work)
        parts = work.packed()
        room = sum(len(payload) for payload, _ in parts.values()) + sum(len(row or b"") for row in work.rows.values())
        copies = self._compaction.step(room, np.fromiter(marks.values(), np.uint64, len(marks)))
        frame = self._log.append(stamp, parts | self._own_parts(work, marks, copies, position))
        try:
            self._log.commit()
        except OSError:
            self._log.discard()
            raise
        faults.here("rows.after_commit")
        if self._segments.starts[-1:] != self._log.starts[-1:]:
            self._segments.refresh()
        rows, gone = self._state.apply(frame)
        self._live.add(gone, -1)
        if rows is not None:
            self._live.add(rows.places)
        self._compaction.done()
        self.position, self.stamp, self._proven = position, stamp, {}
        self._snapshots.tend(self._state)
        self._drop()

    def close(self, *, save: bool = True) -> None:
        """Save the memory for a quick restart, then let another process write; without `save` as if killed."""
        if save:
            self._snapshots.save(self._state)
        self._snapshots.give_up()
        self._segments.close()
        self._log.close()

    def _claim(self, work: Work) -> dict[bytes, int]:
        """The mark of every key that the work names; those of rows are its own."""
        index = self._state.index
        proven = self._proven
        marks = {key: proven[key] for key in work.rows if key in proven}
        unproven = [key for key in work.rows if key not in marks]
        if unproven:
            marks.update(zip(unproven, index.claim(unproven).tolist(), strict=True))
        taken = set[int]()
        for key, mark in marks.items():
            while mark in taken:
                proven.pop(key, None)
                index.move(key)
                mark = marks[key] = int(index.claim([key])[0])
            taken.add(mark)
        return marks

    def _own_parts(
        self, work: Work, marks: dict[bytes, int], copies: Copies, position: bytes
    ) -> dict[str, tuple[bytes, int]]:
        parts = {POSITION: (position, 1)}
        if work.rows or copies.bodies:
            parts[ROWS] = rows_part(work.rows, marks, self._state.index, copies), len(work.rows) + len(copies.bodies)
        if work.taken or work.armed:
            known = marks | self._marks_of_wakes(work, marks)
            parts[WAKES] = wakes_part(work, known), sum(map(len, work.armed.values()))
        if work.seen:
            parts[SEEN] = seen_part(work), sum(map(len, work.seen.values()))
        return parts

    def _marks_of_wakes(self, work: Work, marks: dict[bytes, int]) -> dict[bytes, int]:
        others = list({key for wakes in work.armed.values() for _, key in wakes if key not in marks})
        return dict(zip(others, self._state.index.marks(others).tolist(), strict=True))

    def _drop(self) -> None:
        """Remove segments without live rows that neither snapshot nor reader needs."""
        starts = self._log.starts
        if len(starts) < 2:
            return
        limit = min(self._live.first(starts[-1]), self._snapshots.needed, self._readers())
        if limit >= starts[1]:
            self._log.drop_before(limit)
            self._segments.refresh()

    def _readers(self) -> int:
        if self._keep is not None:
            return self._keep
        return 0 if any(not topic.startswith(".") for topic in self._log.numbers) else self._log.end

    def _replay(self, folder: Path, address: int) -> None:
        reader = LogReader(folder, address, TOPICS)
        while frames := reader.read():
            for frame in frames:
                self._state.apply(frame)
        reader.close()


def _check_graph(folder: Path, graph: str) -> None:
    """Refuse a store of another graph; mark a new one."""
    file = folder / "store.json"
    mine = Stamp(FORMAT, graph)
    if not file.exists():
        draft = file.with_suffix(".draft")
        draft.write_bytes(msgspec.json.encode(mine))
        draft.replace(file)
        sync_folder(folder)
        return
    theirs = msgspec.json.decode(file.read_bytes(), type=Stamp)
    if theirs != mine:
        raise StoreMismatch(
            f"expected {folder} written for graph {mine.graph!r} (format {mine.format}), got "
            f"{theirs.graph!r} (format {theirs.format}); start with the old version, or move the folder away "
            "and let the job read its journal again from the beginning"
        )
