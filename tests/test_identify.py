"""Discover and identify as part of a graph, on Beam's own runner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from apache_beam import Create, Pipeline
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that
from support_calls import BROWSER, NOON, block, entry, track

from schemas.records import DAY
from transforms.batches import Pull
from transforms.discover import Discover, Discovered
from transforms.identify import Identify

SECRET = b"s" * 32
MONDAY = block(
    entry({"event": "Product Viewed", "messageId": "1", "anonymousId": "k"}, trust=BROWSER),
    entry(b"{"),
    entry({"text": "Fernweh!", "id": "post"}, "mention"),
    at=NOON,
)
SIGN_UP = track("Signed Up", email="ana@shop.example") | {"messageId": "2", "userId": None, "anonymousId": "k"}
TUESDAY = block(
    entry(SIGN_UP),
    entry(SIGN_UP),
    entry(track("Signed Up", email="eva@shop.example") | {"messageId": "2"}),
    entry({"messageId": "3"}, "page"),
    at=NOON + DAY,
    first=3,
)


def are(field: str, *expected: object) -> Callable[[list[Any]], None]:
    """What a field of the records in batches must be, in the order of the journal."""

    def matcher(batches: list[Any]) -> None:
        found = sorted((item for batch in batches for item in batch.items), key=lambda item: item.sequence)
        assert tuple(getattr(item, field) for item in found) == expected, found

    return matcher


def test_each_record_has_one_place() -> None:
    with Pipeline(runner=FnApiRunner()) as pipeline:
        pulls = pipeline | Create([Pull([MONDAY, TUESDAY])])
        done = pulls | Discover("person")
        whose = done.events | Identify(SECRET, 1, "cells")
        assert_that(done.failures, are("sequence", 1), "broken")
        assert_that(done.rows, are("reason", "bad_json"), "lines of the broken")
        assert_that(done.mentions, are("text"), "no mentions")
        assert_that(whose.known, has_past, "known")
        assert_that(whose.rows, are("reason", "", "no_identifier"), "lines of nobody")
        assert_that(whose.failures, are("sequence", 6), "nobody")
        assert_that(whose.repeated, are("reason", "duplicate", "conflict"), "lines of repeats")
        assert_that(whose.refused, are("sequence", 5), "conflict")


def has_past(batches: list[Any]) -> None:
    (known,) = (item for batch in batches for item in batch.items)
    assert known.event.sequence == 3
    assert known.past is not None and known.past.first_seen == NOON


def test_the_listen_lane_takes_mentions_alone() -> None:
    with Pipeline(runner=FnApiRunner()) as pipeline:
        said: Discovered = pipeline | Create([Pull([MONDAY, TUESDAY])]) | Discover("listen")
        assert_that(said.mentions, are("text", "Fernweh!"), "mentions")
        assert_that(said.events, are("id"), "no events")
        assert_that(said.failures, are("id"), "no failures")


def test_amended_times_are_counted() -> None:
    early = track("Cart Emptied") | {"timestamp": "2032-01-01T00:00:00Z"}
    pipeline = Pipeline(runner=FnApiRunner())
    _ = pipeline | Create([Pull([block(entry(early), entry(early))])]) | Discover("person")
    result = pipeline.run()
    counters = result.metrics().query()["counters"]
    assert {counter.key.metric.name: counter.result for counter in counters}["future"] == 2


def test_a_lane_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="lane: expected listen or person, got 'fast'"):
        Discover("fast")
