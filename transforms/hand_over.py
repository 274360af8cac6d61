"""Hand over: records leave the graph for another process, by a topic of the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apache_beam import DoFn, ParDo, PTransform
from apache_beam.pvalue import PCollection

from transforms.batches import Batch


class HandOver(PTransform):
    """A sink for batches. The embedded engine packs their items into `topic` of the frame that it commits.

    On other runners the graph ends here; deployments put their topic's write beside it, tests look at the input.
    """

    def __init__(self, topic: str) -> None:
        super().__init__()
        self.topic = topic

    def expand(self, batches: PCollection) -> PCollection:
        return batches | "leave" >> ParDo(_Leave())


class _Leave(DoFn):
    def process(self, batch: Batch[Any]) -> Iterator[None]:  # noqa: ARG002 (Beam's signature)
        yield from ()
