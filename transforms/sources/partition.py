"""One partition of a topic as a reader knows it: its next offset, its time, and what was fetched but not yet given.

Time is what the broker stamped, on records and on the doors' ticks, and never goes back. It stands still while nobody
appends. After a silence it waits until the broker's clock has gone on for `patience`, so that whoever kept records
back meanwhile delivers them first.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from confluent_kafka import Message

from schemas.records import SECOND, Block, Entry
from transforms.topics.values import entry_of

SILENCE = 10 * SECOND
"""Doors tick ten times a second; a longer pause means that none of them was there."""

FORM = 1
ENDLESS = (1 << 63) - 1
_PLACE = struct.Struct(">IQQQQQ")


class Time(NamedTuple):
    """`newest` stamp passed, how far time has come (`watermark`), and the stamp `until` which it waits. Microseconds.

    A broker stamps in milliseconds, so another record may still get the newest stamp: time ends just before it.
    """

    newest: int = 0
    watermark: int = 0
    until: int = 0

    def after(self, stamp: int, patience: int) -> Time:
        """Time once a record or a tick with this stamp has passed."""
        newest = max(self.newest, stamp)
        until = newest + patience if 0 < self.newest < newest - SILENCE else self.until
        return Time(newest, newest - 1 if newest >= until else self.watermark, until)


class Place(NamedTuple):
    """Where the reader of one partition goes on; `end` is where it is done (ENDLESS: never)."""

    partition: int
    offset: int = 0
    time: Time = Time()
    end: int = ENDLESS


def pack_places(places: Iterable[Place]) -> bytes:
    """The position of a reader of some partitions."""
    packed = [_PLACE.pack(place.partition, place.offset, *place.time, place.end) for place in places]
    return bytes((FORM,)) + b"".join(packed)


def unpack_places(position: bytes) -> list[Place]:
    """The places in a position. Raises ValueError for one of another version."""
    if position[:1] != bytes((FORM,)) or (len(position) - 1) % _PLACE.size:
        raise ValueError(f"expected a Kafka position of form {FORM}, got {position.hex()}; migrate first")
    found = _PLACE.iter_unpack(position[1:])
    return [Place(partition, offset, Time(*time), end) for partition, offset, *time, end in found]


class Part:
    """One partition under way. `caught_up` means that everything that the broker had when last asked was fetched."""

    def __init__(self, place: Place, patience: int) -> None:
        self.partition, self.offset, self.time, self.end = place
        self.caught_up, self._ended = False, 0
        self._ahead: deque[Message] = deque()
        self._patience = patience

    @property
    def place(self) -> Place:
        return Place(self.partition, self.offset, self.time, self.end)

    @property
    def waiting(self) -> int:
        """How many messages were fetched and not yet given."""
        return len(self._ahead)

    @property
    def done(self) -> bool:
        return self.offset >= self.end

    @property
    def reached(self) -> int:
        """Up to which stamp this partition lets the others go on: that of what comes next, as far as it is known."""
        if self._ahead:
            return max(self.time.newest, stamp_of(self._ahead[0]))
        return ENDLESS if self.caught_up or self.done else self.time.newest

    def fetched(self, message: Message) -> None:
        """A message came from the broker, in order."""
        self.caught_up = False
        offset = message.offset()
        if offset is not None and self.offset <= offset < self.end:
            self._ahead.append(message)

    def ended(self, offset: int) -> None:
        """The broker has nothing before `offset` that was not fetched."""
        self.caught_up, self._ended = True, offset
        self._pass_gaps()

    def forget(self) -> None:
        """Throw away what was fetched and not given."""
        self._ahead.clear()
        self.caught_up = False

    def take(self, limit: int, upto: int) -> list[Block]:
        """Blocks of up to `limit` entries whose stamps are not later than `upto`; ticks only move time."""
        blocks: list[Block] = []
        entries: list[Entry] = []
        follows = -1
        while limit > 0 and self._ahead and stamp_of(self._ahead[0]) <= upto:
            message = self._ahead.popleft()
            offset, value, before = int(message.offset() or 0), message.value(), self.time.newest
            self.time = self.time.after(stamp_of(message), self._patience)
            self.offset = offset + 1
            if not value:
                continue
            if offset != follows or self.time.newest != before:
                entries = []
                blocks.append(Block(self.time.newest, self.partition, offset, entries))
            entries.append(entry_of(value))
            follows = offset + 1
            limit -= 1
        self._pass_gaps()
        return blocks

    def _pass_gaps(self) -> None:
        """Offsets need not be dense: behind the last message there may be marks of the broker's own."""
        if self.caught_up and not self._ahead:
            self.offset = max(self.offset, min(self._ended, self.end))


def stamp_of(message: Message) -> int:
    """When the broker took a message (microseconds); 0 if it does not say."""
    return max(0, message.timestamp()[1]) * 1000
