"""The whole graph on a real Flink (compatibility lane): the embedded engine's answers, also through faults.

Skipped by name where Java or Maven is missing. What a kill costs in seconds is printed (`-s`) and bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import worlds
from flink_lane import Growing, Lane, World, expect_equal, flink, kill, workers, write

from deploy.flink.cluster import Cluster
from deploy.flink.install import missing
from schemas.records import HOUR, MINUTE, Block

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(missing()), reason=f"Flink's compatibility lane: {missing()}"),
]

FEED = 30.0
"""Seconds that the journal grows while things go wrong."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World.of(worlds.TENANT, worlds.blocks(7), tmp_path_factory.mktemp("world"))
    assert world.expected.failures, "expected records that are refused, each alone in its batch"
    return world


@pytest.fixture(scope="module", params=["heap", "rocksdb"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with flink(tmp_path_factory.mktemp("flink"), request.param) as cluster:
        yield cluster


@pytest.fixture
def lane(world: World, cluster: Cluster, tmp_path: Path) -> Iterator[Lane]:
    lane = Lane(cluster, tmp_path, world.tenant)
    try:
        yield lane
    finally:
        lane.cancel()


@pytest.mark.parametrize("parallelism", [1, 2])
def test_a_complete_journal_gives_what_the_embedded_engine_gives(lane: Lane, world: World, parallelism: int) -> None:
    write(lane.journal, world.fed)
    lane.start(parallelism, end=True)
    lane.wait_for(world)
    lane.finished()
    assert expect_equal(lane, world) == 0


def test_a_killed_worker_costs_seconds_and_nothing_else(lane: Lane, world: World) -> None:
    lane.start()
    growing = Growing(lane.journal, world.fed, FEED)
    growing.start()
    lane.until_more_comes()
    seconds = []
    for _ in range(2):
        (worker,) = workers(lane.cluster)
        kill(worker)
        seconds.append(lane.until_more_comes())
    growing.join()
    lane.wait_for(world)
    print(f"first output {seconds} s after kill -9 of the worker; {expect_equal(lane, world)} records left again")


def test_a_killed_taskmanager_costs_seconds_and_nothing_else(lane: Lane, world: World) -> None:
    lane.start()
    growing = Growing(lane.journal, world.fed, FEED)
    growing.start()
    lane.until_more_comes()
    victim = next(name for name in lane.cluster.processes() if name.startswith("taskmanager"))
    lane.cluster.kill(victim)
    lane.cluster.add_taskmanager()
    seconds = lane.until_more_comes()
    growing.join()
    lane.wait_for(world)
    print(f"first output {seconds:.1f} s after kill -9 of the TaskManager; {expect_equal(lane, world)} left again")


def test_a_savepoint_goes_on_wider_and_narrower(lane: Lane, world: World) -> None:
    growing = Growing(lane.journal, world.fed, FEED)
    lane.start(1)
    growing.start()
    lane.until_more_comes()
    lane.start(2, lane.stop())
    lane.until_more_comes()
    lane.start(1, lane.stop())
    growing.join()
    lane.wait_for(world)
    assert expect_equal(lane, world) == 0


def test_wakes_ring_while_nothing_but_ticks_comes(lane: Lane, tmp_path: Path) -> None:
    busy = worlds.blocks(7, 3 * HOUR)
    quiet = [Block(busy[-1].received_at + minute * MINUTE, 0, busy[-1].first, []) for minute in range(1, 12 * 60, 5)]
    world = World.of(worlds.TENANT, [*busy, *quiet], tmp_path / "world")
    last = max(
        block.received_at for block in world.blocks if block.entries and block.received_at < busy[-1].received_at
    )
    lane.start()
    write(lane.journal, [block for block in world.blocks if block.received_at <= last])
    lane.until_more_comes()
    assert all(row.decided_at <= last for row in lane.told().decisions)
    write(lane.journal, [block for block in world.fed if block.received_at > last])
    lane.wait_for(world)
    expect_equal(lane, world)
    assert [row for row in lane.told().decisions if row.final and row.decided_at > busy[-1].received_at]
