"""How long a lane's log is kept: as the configuration says, and longer where a reader has not come so far."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.census import position
from pipelines.config import Config
from transforms.stores.frames import LONGEST_HEAD, read_segment_head
from transforms.stores.journal import last_counts
from transforms.stores.parquet import read_manifest
from transforms.stores.segments import segment_file, segment_starts


@dataclass
class Retention:
    """Where the log of a lane may be cut. Looks at files only when a segment has come to an end."""

    config: Config
    lane: str
    _segments: int = 0

    def keep_from(self, stamp: int) -> int | None:
        """The address from which frames are still needed at journal time `stamp`; None if nothing changed."""
        folder = self.config.folder(self.lane)
        starts = segment_starts(folder)
        if len(starts) == self._segments or len(starts) < 2:
            return None
        self._segments = len(starts)
        old = [start for start in starts[1:] if self._begins(start) < stamp - self.config.keep_for]
        return min(old[-1], *self._readers()) if old else None

    def _begins(self, start: int) -> int:
        """The stamp before which everything before a segment lies."""
        with segment_file(self.config.folder(self.lane), start).open("rb") as file:
            head = read_segment_head(file.read(LONGEST_HEAD))
        return head.stamp if head else 1 << 62

    def _readers(self) -> list[int]:
        """How far door, tables and sender have read; one that never ran needs everything."""
        door = last_counts(self.config.folder("journal")).cursors.get(self.lane, (0, 0))[0]
        tables = read_manifest(self.config.folder("tables")).cursors.get(self.lane)
        found = [door, tables.address if tables else 0]
        if self.lane == "person":
            found.append(int.from_bytes(position(self.config.folder("sender")) or b""))
        return found
