"""Hand over on other runners: records are published, and a bundle ends only when they are durable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apache_beam import Create, Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from engine_stages import START

from schemas.records import Failure, Record
from transforms.batches import Failures
from transforms.hand_over import HandOver, publisher

FAILURE = Failure("f1", "shop", "discover", "bad_time", "expected a time", b"{}", START, 0, 0)


@dataclass(frozen=True)
class Listed:
    """Topics that are a list in memory."""

    name: str

    def open(self) -> Listing:
        return Listing()


class Listing:
    """What was published, and how much of it was flushed."""

    def __init__(self) -> None:
        self.published: list[tuple[str, Record]] = []
        self.durable = 0

    def publish(self, topic: str, records: Sequence[Record]) -> None:
        self.published += [(topic, record) for record in records]

    def flush(self) -> None:
        self.durable = len(self.published)


def test_records_are_published_under_their_topic_and_durable_before_the_bundle_ends() -> None:
    topics = Listed("here")
    with Pipeline(FnApiRunner(), PipelineOptions([])) as pipeline:
        pipeline | Create([Failures([FAILURE, FAILURE])]) | HandOver("failures", topics)
    listing = publisher(topics)
    assert isinstance(listing, Listing)
    assert listing.published == [("failures", FAILURE)] * 2
    assert listing.durable == 2


def test_one_process_has_one_publisher_for_equal_topics() -> None:
    assert publisher(Listed("a")) is publisher(Listed("a"))
    assert publisher(Listed("a")) is not publisher(Listed("b"))
