"""Hand over: records leave the graph for another process, by a topic."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import Any

from apache_beam import DoFn, ParDo, PTransform
from apache_beam.pvalue import PCollection

from transforms.batches import Batch
from transforms.topics import Publisher, Topics


class HandOver(PTransform):
    """A sink for batches. The embedded engine packs their items into `topic` of the frame that it commits.

    On clusters they are published to `topics`, at least once: a bundle ends only when all of it is durable there.
    Without `topics` the graph ends here, which is what tests want that look at the input.
    """

    def __init__(self, topic: str, topics: Topics | None = None) -> None:
        super().__init__()
        self.topic = topic
        self.topics = topics

    def expand(self, batches: PCollection) -> PCollection:
        return batches | "leave" >> ParDo(_Leave(self.topic, self.topics))


class _Leave(DoFn):
    def __init__(self, topic: str, topics: Topics | None) -> None:
        self._topic = topic
        self._topics = topics

    def setup(self) -> None:
        self._publisher = publisher(self._topics) if self._topics else None

    def process(self, batch: Batch[Any]) -> Iterator[None]:
        if self._publisher:
            self._publisher.publish(self._topic, batch.items)
        yield from ()

    def finish_bundle(self) -> None:
        if self._publisher:
            self._publisher.flush()


_open: dict[Topics, Publisher] = {}
_opening = Lock()


def publisher(topics: Topics) -> Publisher:
    """This process's one publisher to `topics`. A runner sets a DoFn up far more often than connections are made."""
    with _opening:
        if topics not in _open:
            _open[topics] = topics.open()
        return _open[topics]
