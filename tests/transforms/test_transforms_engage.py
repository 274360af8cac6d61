"""Engage as a Beam composite: cut points reach every shard, and are counted once."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from apache_beam import Create, FlatMap, Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from lives import Lives
from shop import CUTS, SECRET, shop

from schemas.records import CutsPublished, EventRow, SegmentChange
from transforms.batches import Batch, Knowns
from transforms.engage import Engage, one_address_a_shard
from transforms.shards import shard_of

STRICT = CutsPublished("cuts-2", (1, 2, 3, 4), CUTS.frequency, CUTS.monetary)


@pytest.mark.parametrize("shards", [1, 4, 256])
def test_each_shard_has_an_address_for_everybody(shards: int) -> None:
    assert [shard_of(address, shards) for address in one_address_a_shard(shards)] == list(range(shards))


def test_cut_points_reach_people_on_all_shards_and_count_once() -> None:
    who = ("ana", "bob", "eve", "joe", "kim")
    lives = Lives().at("09:00").publishes_cuts(STRICT).at("09:01")
    for name in who:
        lives.orders(name, f"o-{name}", "boots")
    pipeline = Pipeline(FnApiRunner(), PipelineOptions([]))
    knowns = pipeline | Create([Knowns(lives.records)], reshuffle=False).with_output_types(Knowns)
    lived = knowns | "engage each person" >> Engage({"shop": shop()}, SECRET, 4, "cells")
    told = lived.rows | FlatMap(line)
    assert_that(told, equal_to([("moved", "New", "cuts-2")] * 5 + ["applied"] * 6))
    pipeline.run().wait_until_finish()


def line(batch: Batch[Any]) -> list[Any]:
    """First moves and dispositions. (This runner rings all wakes at the end, so later moves are there, too.)"""
    moves = [("moved", row.new, row.cuts) for row in batch.items if isinstance(row, SegmentChange) and not row.old]
    return moves + [row.disposition for row in batch.items if isinstance(row, EventRow)]


def test_the_composite_can_be_sent_to_workers() -> None:
    assert pickle.loads(pickle.dumps(Engage({"shop": shop()}, SECRET, 4, "cells")._stage))().name == "engage"
