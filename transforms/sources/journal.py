"""The journal as a firehose: what the door wrote, read from any place, by any number of readers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path

from schemas.codec import unpack_many
from schemas.records import Block, Entry
from transforms.batches import Pull
from transforms.stores.journal import RECORDS, pack_place, unpack_place
from transforms.stores.log import Frame, LogReader

PARTITION = 0
_FRAMES = 64


@dataclass(frozen=True, slots=True)
class JournalSource:
    """The journal in a folder as a firehose. With `end` it is done where the journal ends when it is opened.

    With `until`, a position, it is done there, and time stands where it stood for the reader of that position.
    """

    folder: Path
    end: bool = False
    until: bytes | None = None

    def open(self, position: bytes | None) -> JournalReader:
        """A reader at `position`, or at the oldest record kept; the folder need not exist yet."""
        return JournalReader(self.folder, position, finite=self.end, until=self.until)


class JournalReader:
    """Reads the journal as pulls of blocks; see `source.Reader`. `gap` is True if records were dropped unread."""

    def __init__(
        self, folder: Path, position: bytes | None, *, finite: bool = False, until: bytes | None = None
    ) -> None:
        self._address, self._stamp = unpack_place(position)
        self._log = LogReader(folder, self._address, (RECORDS,))
        self._ahead: deque[Frame] = deque()
        self._until = self._log.end if finite else None
        self._last_stamp = 1 << 62
        if until is not None:
            self._until, self._last_stamp = unpack_place(until)

    @property
    def gap(self) -> bool:
        return self._log.gap

    def poll(self, limit: int) -> Pull | None:
        """Whole blocks of about `limit` records, or None if nothing but ticks is there."""
        blocks: list[Block] = []
        while limit > 0 and (frame := self._next()) is not None:
            part = frame.parts[RECORDS]
            blocks.append(Block(frame.stamp, PARTITION, part.first, unpack_many(part.payload, Entry)))
            limit -= part.count
            self._address, self._stamp = frame.end, frame.stamp
        if limit > 0:
            self._pass_ticks()
        return Pull(blocks) if blocks else None

    def position(self) -> bytes:
        return pack_place(self._address, self._stamp)

    def watermark(self) -> int:
        return self._stamp

    def done(self) -> bool:
        return self._until is not None and self._address >= self._until

    def close(self) -> None:
        self._log.close()

    def _next(self) -> Frame | None:
        if not self._ahead and not self.done():
            self._ahead.extend(self._log.read(_FRAMES))
        if not self._ahead or (self._until is not None and self._ahead[0].address >= self._until):
            return None
        return self._ahead.popleft()

    def _pass_ticks(self) -> None:
        """Time passed up to where the log was read, though nothing stands there for us."""
        if not self._ahead:
            self._address, self._stamp = self._log.address, max(self._stamp, min(self._log.stamp, self._last_stamp))
        elif self._until is not None:  # what is ahead lies behind the end
            reached = min(self._ahead[0].stamp - 1, self._last_stamp)
            self._address, self._stamp = self._until, max(self._stamp, reached)
