"""The one unbounded read of the pipeline: whatever the transport, an element is one pull of blocks."""

from __future__ import annotations

from typing import Protocol

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
