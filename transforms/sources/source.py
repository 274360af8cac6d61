"""What a firehose reads from: the small interface behind which the journal, files, Kafka and Pub/Sub stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from transforms.batches import Pull


class Reader(Protocol):
    """An open source. Positions are opaque bytes; reading again from a position gives the same records."""

    def poll(self, limit: int) -> Pull | None:
        """Whole blocks of about `limit` records (at least one block), or None if nothing is there now; never waits."""

    def position(self) -> bytes:
        """Where the next poll starts; stored with the state that includes everything before it."""

    def watermark(self) -> int:
        """All records still to come are later than this (microseconds of journal time)."""

    def done(self) -> bool:
        """True once a source that ends has ended."""

    def close(self) -> None:
        """Free files and connections."""


class Source(Protocol):
    """How to open a firehose; picklable."""

    def open(self, position: bytes | None) -> Reader:
        """A reader at `position`, or at the beginning."""


@runtime_checkable
class Parted(Source, Protocol):
    """A source in several parts (partitions, streams), each read by a reader of its own, perhaps elsewhere."""

    def parts(self) -> Sequence[Source]:
        """One source a part; the same parts every time."""


@runtime_checkable
class Acknowledged(Source, Protocol):
    """A source whose server wants to know what is done with; it may hand out again what it was not told of."""

    def acknowledge(self, position: bytes) -> None:
        """All up to `position` is durable. Called late, out of order, again, in another process, or never."""
