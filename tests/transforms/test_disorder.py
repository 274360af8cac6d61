"""Disorder is counted exactly: each record that comes after a later one of its own key, once."""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest
from apache_beam import Create, ParDo, Pipeline
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from engine_stages import Read, Tally, block, entry

from schemas.records import SECOND, Block
from transforms import shards
from transforms.batches import Events, Pull
from transforms.disorder import WINDOW, Disorder
from transforms.shards import Keyed


class Item(NamedTuple):
    key: bytes
    order: tuple[int, int, int, int]


def key(item: Item) -> bytes:
    return item.key


def item(who: str, time: int, sequence: int = 0) -> Item:
    return Item(who.encode(), (time, 0, sequence, 0))


def test_only_what_comes_after_a_later_record_of_its_own_key_is_disordered() -> None:
    disorder = Disorder()
    assert disorder.count([item("ana", 5), item("bo", 3), item("ana", 5, 1)], key) == 0
    assert disorder.count([item("ana", 5), item("bo", 2), item("cy", 1), item("bo", 4)], key) == 2
    assert disorder.count([item("ana", 5, 1), item("ana", 5)], key) == 1, "expected the last key to have stayed"


def test_however_arrivals_are_cut_into_batches_the_count_is_the_same() -> None:
    chance = random.Random(3)
    items = [item(chance.choice("abcdef"), chance.randrange(SECOND) + 10 * number) for number in range(500)]
    last: dict[bytes, tuple[int, int, int, int]] = {}
    expected = 0
    for each in items:
        expected += each.order < last.get(each.key, each.order)
        last[each.key] = max(each.order, last.get(each.key, each.order))
    for size in (1, 7, 500):
        disorder = Disorder()
        assert sum(disorder.count(items[at : at + size], key) for at in range(0, 500, size)) == expected > 0


def test_who_was_not_seen_for_long_is_forgotten() -> None:
    disorder = Disorder()
    disorder.count([item("ana", WINDOW)], key)
    for step in range(2, 6):
        disorder.count([item("bo", step * 2 * WINDOW)], key)
    assert len(disorder) == 1
    assert disorder.count([item("bo", 0)], key) == 1


# --- as a metric of the job -------------------------------------------------------------------------------------------


FIRST, MIDDLE, LAST = (
    block(number * SECOND, 2 * number, entry("ana"), entry(who)) for number, who in enumerate(("bo", "bo", "cy"))
)


@pytest.mark.parametrize(
    ("blocks", "expected"), [((FIRST, MIDDLE, LAST), 0), ((FIRST, LAST, MIDDLE), 1), ((LAST, MIDDLE, FIRST), 3)]
)
def test_disorder_is_a_counter_of_the_stage(
    blocks: tuple[Block, ...], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert disordered(blocks) == 0, "expected the batches of one bundle to be put in order"
    monkeypatch.setattr(shards, "GATHERED", 1)
    assert disordered(blocks) == expected


def disordered(blocks: tuple[Block, ...]) -> int:
    """What the stage counts over blocks that arrive as one bundle."""
    pipeline = Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    pulls = pipeline | Create([Pull([each]) for each in blocks], reshuffle=False).with_output_types(Pull)
    _ = pulls | ParDo(Read()).with_output_types(Events) | Keyed(Tally, Events, 2, "cells")
    result = pipeline.run()
    result.wait_until_finish()
    found = result.metrics().query(MetricsFilter().with_namespace("tally").with_name("disordered"))["counters"]
    return sum(each.committed for each in found)
