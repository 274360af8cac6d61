"""The one unbounded read of the pipeline: whatever the transport, an element is one pull of blocks."""

from __future__ import annotations

from apache_beam import PTransform
from apache_beam.io.unbounded_source import ReadFromUnboundedSource
from apache_beam.pvalue import PBegin, PCollection

from transforms.batches import Pull
from transforms.sources.source import Source
from transforms.sources.unbounded import AsUnbounded


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
