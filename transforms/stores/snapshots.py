"""When a row store's memory is saved, which snapshot a start uses, and how much of the log must stay for it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from transforms.stores.index import Digest, Index
from transforms.stores.log import LogWriter
from transforms.stores.segments import Segments
from transforms.stores.snapshot import (
    KEPT,
    Meta,
    Snapshot,
    load_snapshot,
    remove_drafts,
    snapshot_addresses,
    snapshot_file,
)
from transforms.stores.state import State


class StoreDamaged(RuntimeError):
    """Neither snapshot can be read and the log no longer reaches back to its beginning."""


class Snapshots:
    """The snapshots of one store. A new one is begun when the log has grown by a segment or by twice the last one."""

    def __init__(self, folder: Path, log: LogWriter, graph: str, *, sync: bool) -> None:
        self._folder, self._log, self._graph, self._sync = folder, log, graph, sync
        self._making: Snapshot | None = None
        self._size = 0
        self._tried = 0
        self._addresses: list[int] = []  # newest first

    @property
    def needed(self) -> int:
        """Frames from here on must stay, so that even the older snapshot can be completed."""
        return self._addresses[KEPT - 1] if len(self._addresses) >= KEPT else 0

    def load(self, segments: Segments, digest: Digest) -> tuple[State, int]:
        """The newest state that can be read, or an empty one, and the address to replay from. Raises StoreDamaged."""
        remove_drafts(self._folder)
        for address in snapshot_addresses(self._folder):
            file = snapshot_file(self._folder, address)
            loaded = load_snapshot(file, segments, digest) if address <= self._log.end else None
            if loaded is None:
                file.unlink()
                continue
            self._addresses = snapshot_addresses(self._folder)
            self._tried, self._size = address, file.stat().st_size
            return loaded[0], address
        if self._log.starts and self._log.starts[0] > 0:
            raise StoreDamaged(
                f"expected a readable snapshot in {self._folder}; all are damaged and the log no longer reaches back "
                "to its beginning: restore the folder from a copy, or move it away and replay the journal"
            )
        return State(Index(segments, digest)), 0

    def tend(self, state: State) -> None:
        """After a commit: write the next slice, or begin when it is time."""
        try:
            if self._making is not None:
                self._step()
            elif self._log.end - self._tried > max(self._log.segment_bytes, 2 * self._size):
                self._begin(state)
        except OSError:  # a full disk: the commit stands, the snapshot is tried again a segment later
            self.give_up()

    def save(self, state: State) -> None:
        """Save everything now, if there is anything new."""
        self.give_up()
        if self._addresses[:1] == [self._log.end] or not self._log.end:
            return
        try:
            self._begin(state)
            while self._making is not None:
                self._step()
        except OSError:  # without it the next start replays more
            self.give_up()

    def give_up(self) -> None:
        """Leave a snapshot in the making unfinished."""
        if self._making is not None:
            with suppress(OSError):
                self._making.abandon()
            self._making = None

    def _begin(self, state: State) -> None:
        index, self._tried = state.index, self._log.end
        meta = Meta(self._graph, self._log.end, len(index), state.position, dict(index.moved))
        self._making = Snapshot(self._folder, state, meta, sync=self._sync)

    def _step(self) -> None:
        making = self._making
        if making is not None and making.step():
            self._making, self._size = None, making.size
            self._addresses = snapshot_addresses(self._folder)
