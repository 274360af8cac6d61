"""The whole person lane on TestStream, its records scrambled: exact order tells what the embedded engine tells."""

from __future__ import annotations

from functools import cache

import pytest
import worlds
from clusters import job, on_cluster, remember_signatures
from told import Told, live, teststream

from schemas.records import HOUR, Block

GRAINS = {1: 1_000, 3: 100_000, 7: 60_000_000}
"""Microseconds of a slot, by number of shards: no result depends on either."""


@cache
def world(seed: int, hours: float) -> tuple[list[Block], Told]:
    """A complete journal, what the job gives back included, and what the embedded engine told on the way."""
    return live(worlds.TENANT, worlds.blocks(seed, int(hours * HOUR)))


@pytest.mark.parametrize("shards", GRAINS)
def test_exact_order_tells_the_same_bytes_as_the_embedded_engine(shards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    same(shards, 2, 2, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("shards", GRAINS)
@pytest.mark.parametrize("seed", range(3))
def test_longer_worlds_tell_the_same_bytes(seed: int, shards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    same(shards, seed, 6, monkeypatch)


def same(shards: int, seed: int, hours: float, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, calm = world(seed, hours)
    end = journal[-1].received_at
    scrambled = on_cluster(job(worlds.TENANT, shards, "exact", GRAINS[shards]), journal, seed, monkeypatch)
    assert scrambled.bytes(until=end) == calm.bytes(until=end)
    assert {*calm.topics} >= {"intents", "rows"}, "expected something to compare"


def test_order_of_arrival_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    journal, calm = world(2, 2)
    end = journal[-1].received_at
    scrambled = on_cluster(job(worlds.TENANT, 3, "arrival"), journal, 2, monkeypatch)
    assert scrambled.bytes(until=end) != calm.bytes(until=end)


def test_in_order_of_arrival_a_persons_own_wakes_ring_before_a_later_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six hours in one pull: no watermark passes a wake before the records behind it are taken."""
    journal, calm = world(2, 6)
    end = journal[-1].received_at
    remember_signatures(monkeypatch)
    at_once = teststream(worlds.TENANT, [journal], monkeypatch, shards=1)
    assert any(row.campaign == "abandoned-cart" for row in calm.decisions), "expected a wake that decided something"
    assert at_once.bytes(until=end) == calm.bytes(until=end)
