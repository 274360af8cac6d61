"""How long a lane's log is kept: as the configuration says, and longer where a reader has not come so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.brokers import handed_on
from pipelines.census import position
from pipelines.config import Config
from pipelines.pull import LOGS
from transforms.stores.frames import LONGEST_HEAD, SegmentHead, read_segment_head
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
        heads = [head for start in starts[1:] if (head := self._head(start)) is not None]
        old = [head for head in heads if head.stamp < stamp - self.config.keep_for]
        return min(old[-1].start, self._door(old), *self._others()) if old else None

    def _head(self, start: int) -> SegmentHead | None:
        """What a segment knows of everything before it."""
        with segment_file(self.config.folder(self.lane), start).open("rb") as file:
            return read_segment_head(file.read(LONGEST_HEAD))

    def _door(self, old: Iterable[SegmentHead]) -> int:
        """How far the door has pulled, and on to where the next record for it may stand: there may be none for long."""
        if self.config.kafka:
            return handed_on(self.config, self.lane)
        address, number = last_counts(self.config.folder("journal")).cursors.get(self.lane, (0, 0))
        topic = LOGS[self.lane]
        return max(address, *(head.start for head in old if head.numbers.get(topic, 0) <= number), 0)

    def _others(self) -> list[int]:
        """How far tables and sender have read; one that never ran needs everything."""
        if self.config.kafka:
            return []  # they read the topics
        tables = read_manifest(self.config.folder("tables")).cursors.get(self.lane)
        found = [tables.address if tables else 0]
        if self.lane == "person":
            found.append(int.from_bytes(position(self.config.folder("sender")) or b""))
        return found
