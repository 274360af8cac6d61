"""What one Pub/Sub message holds: entries of the journal, and the place that it gives them there.

Pub/Sub numbers nothing, so the place is made of what never changes when a message comes again: its id and the time at
which the server took it. Records of one message keep their order; messages are in the order of their times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from schemas.codec import UnknownVersion, pack, pack_many, unpack_many
from schemas.records import CLAIMED, OWN, Block, Derived, Entry

SOURCE = "pubsub"
UNREADABLE = "unreadable"
MOST = 1_024
"""Records in one block: as many as the last ten bits of a sequence can number."""
LARGEST = 256 * 1024
"""A message that we write ends at this size, or after its first record."""
KEPT = 1024 * 1024
"""How much of a message that cannot be read is kept to be looked at."""
_TIME_BITS, _HASH_BITS = 21, 10


class Parcel(NamedTuple):
    """A message as the server hands it out; `published` is the server's time in microseconds."""

    id: str
    published: int
    data: bytes


def place_of(name: str, published: int) -> tuple[int, int]:
    """(partition, sequence) of the first record of a message: 31 bits of its id's hash; milliseconds, 11 bits, 0.

    Two messages of one millisecond meet at one place once in 2**42. A sequence fits a signed long until the year 2109.
    """
    mark = int.from_bytes(blake2b(name.encode(), digest_size=8).digest())
    return mark >> 33, (published // 1_000) << _TIME_BITS | (mark & 0x7FF) << _HASH_BITS


def blocks_of(parcel: Parcel, after: int = 0) -> Iterator[Block]:
    """The blocks of a message, none if it holds nothing (a tick); no record is received before `after`."""
    entries, received = entries_of(parcel.data), max(parcel.published, after)
    for start in range(0, len(entries), MOST):
        name = f"{parcel.id}/{start}" if start else parcel.id
        partition, first = place_of(name, parcel.published)
        yield Block(received, partition, first, entries[start : start + MOST])


def entries_of(data: bytes) -> list[Entry]:
    """The entries in a message. What cannot be read is one `unreadable` entry, so that it ends in a failure."""
    if not data:
        return []
    try:
        return unpack_many(data, Entry)
    except (UnknownVersion, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return [Entry(UNREADABLE, "", CLAIMED, SOURCE, 0, data[:KEPT])]


def messages_of(entries: Sequence[Entry]) -> Iterator[bytes]:
    """The data of as few messages as hold these entries: micro-batches, because one message is one Beam element."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        if batch and (len(batch) == MOST or size + len(entry.body) > LARGEST):
            yield pack_many(batch)
            batch, size = [], 0
        batch.append(entry)
        size += len(entry.body)
    if batch:
        yield pack_many(batch)


def given_back(records: Iterable[Derived]) -> list[Entry]:
    """The job's own records as entries of its input. Their ids repeat with the work, so their repeats are found."""
    return [Entry("derived", each.tenant, OWN, SOURCE, 0, pack(each)) for each in records]
