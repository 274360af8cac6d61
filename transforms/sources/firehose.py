"""The one unbounded read of the pipeline: whatever the transport, an element is one pull of blocks."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from apache_beam import PTransform
from apache_beam.io.unbounded_source import ReadFromUnboundedSource
from apache_beam.pvalue import PBegin, PCollection

from transforms.batches import Pull
from transforms.sources.source import Source
from transforms.sources.unbounded import AsUnbounded


@runtime_checkable
class Served(Source, Protocol):
    """A source that some runners read in a service of their own."""

    def read_by(self, runner: str) -> PTransform | None:
        """How the runner of that class reads it: gives pulls. None if it has no way of its own."""


class Firehose(PTransform):
    """Reads a source for as long as there is one; elements are pulls.

    The embedded engine reads it natively, one pull a bundle; Dataflow reads a `Served` source in its service. Elsewhere
    it is Beam's unbounded read with a bundle of at most `PULLS` pulls or `SECONDS` seconds, so that commits stay as
    small as on the embedded engine.
    """

    PULLS = 100
    SECONDS = 0.1
    POLL = 0.05

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source

    def expand(self, begin: PBegin) -> PCollection:
        pulls = begin | "read" >> (self._service(begin) or self._ours())
        pulls.element_type = Pull
        return pulls

    def _service(self, begin: PBegin) -> PTransform | None:
        runner = type(begin.pipeline.runner).__name__
        return self.source.read_by(runner) if isinstance(self.source, Served) else None

    def _ours(self) -> PTransform:
        return ReadFromUnboundedSource(
            AsUnbounded(self.source),
            poll_interval=self.POLL,
            max_records_per_bundle=self.PULLS,
            max_read_time_seconds=self.SECONDS,
        )
