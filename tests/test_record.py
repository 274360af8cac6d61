"""Record takes rows and failures of every stage, whatever else the stages hand over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from apache_beam import Create, FlatMap, Map, Pipeline, PTransform
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from logs import event, mention, one_of_each

from schemas.records import Failure
from transforms.batches import emit
from transforms.logic.shard import Outputs
from transforms.record import Record

FAILED = next(row for row in one_of_each() if isinstance(row, Failure))


class Named(NamedTuple):
    """What a stage may hand over: outputs under names of its own."""

    feedback: PCollection
    repeated: PCollection


class Kept(PTransform):
    """In place of the hand-over: compares the ids of all lines with what was told."""

    def __init__(self, topic: str, topics: None) -> None:
        super().__init__()
        assert (topic, topics) == ("rows", None)

    def expand(self, batches: PCollection) -> PCollection:
        ids = batches | FlatMap(lambda batch: [f"{type(batch).__name__} {row.id}" for row in batch.items])
        assert_that(ids, equal_to(["Rows event-1", "Rows event-2", "Rows mention-3", "Rows f-1"]))
        return ids


def stage(number: int) -> Iterator[TaggedOutput]:
    """One stage's outputs."""
    if number == 1:
        yield from emit(Outputs(rows=[event(1), event(2)], failures=[FAILED]))
    else:
        yield from emit(Outputs(rows=[mention(3)]))


def test_all_lines_are_handed_over_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.record.HandOver", Kept)
    with Pipeline(FnApiRunner()) as pipeline:
        first = pipeline | "one" >> Create([1]) | "a" >> FlatMap(stage).with_outputs("rows", "failures", "events")
        second = pipeline | "two" >> Create([2]) | "b" >> FlatMap(stage).with_outputs("rows", "feedback")
        other = second.feedback | "other" >> Map(str)
        (first, Named(other, second.rows)) | "record" >> Record()
