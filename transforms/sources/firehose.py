"""The one unbounded read of the pipeline: whatever the transport, an element is one pull of blocks."""

from __future__ import annotations

from typing import Protocol

from apache_beam import PTransform
from apache_beam.io.unbounded_source import ReadFromUnboundedSource
from apache_beam.pvalue import PBegin, PCollection

from transforms.batches import Pull
from transforms.sources.unbounded import AsUnbounded


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


class Firehose(PTransform):
    """Reads a source for as long as there is one; elements are pulls.

    The embedded engine reads it natively, one pull a bundle. Elsewhere it is Beam's unbounded read with a bundle of at
    most `PULLS` pulls or `SECONDS` seconds, so that commits stay as small as on the embedded engine.
    """

    PULLS = 100
    SECONDS = 0.1
    POLL = 0.05

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source

    def expand(self, begin: PBegin) -> PCollection:
        pulls = begin | "read" >> ReadFromUnboundedSource(
            AsUnbounded(self.source),
            poll_interval=self.POLL,
            max_records_per_bundle=self.PULLS,
            max_read_time_seconds=self.SECONDS,
        )
        pulls.element_type = Pull
        return pulls
