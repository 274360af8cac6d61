"""A job on Flink that goes on: poison costs itself, wakes ring on time, checkpoints of an idle job stay small.

Skipped by name where Java or Maven is missing. Figures are printed (`-s`) and bounded.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import planted
import pytest
import worlds
from flink_flow import Door, Shoppers, checkpoint_sizes, crowding, now, slope
from flink_lane import Lane, World, flink, plain, write
from shop import campaign, shop

from deploy.flink.cluster import Cluster
from deploy.flink.install import missing
from schemas.records import HOUR, SECOND
from transforms.topics.folder import FolderReader

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(missing()), reason=f"Flink's compatibility lane: {missing()}"),
]

WAIT = 2 * SECOND
RATE, PEOPLE = 20, 400
LATE_MS = 1_500
IDLE = 60
GROWTH = 30_000
"""Bytes a second: Beam's runner 2.70 is known to lose some with each poll."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with flink(tmp_path_factory.mktemp("flink")) as cluster:
        yield cluster


def test_poison_costs_one_failure_each_and_nobody_else_anything(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted.plant(monkeypatch.setattr)
    world = World.of(worlds.TENANT, worlds.blocks(7, 4 * HOUR), tmp_path / "world")
    lane = Lane(cluster, tmp_path, world.tenant)
    try:
        lane.start(settings=planted.settings(tmp_path / "planted"))
        write(lane.journal, world.fed)
        lane.wait_for(world)
        found, expected = plain(lane.told(), world.until), plain(world.expected, world.until)
        assert found == expected, "expected everything once, as the embedded engine tells it"
        restarts = cluster.rest.ask(f"/jobs/{cluster.rest.only_job()}/checkpoints")["counts"]["restored"]
        assert restarts == 0, "the job went on"
    finally:
        lane.cancel()
    refused = [failure for failure in lane.told().failures if failure.detail in ("KeyError", "ValueError")]
    assert {failure.stage for failure in refused} == {"pointers", "engage"}
    assert len({failure.id for failure in refused}) == len(refused) > 5


def test_wakes_ring_on_time_and_never_early_while_records_flow(cluster: Cluster, tmp_path: Path) -> None:
    tenant = shop(campaign("cart", after=(WAIT,)), campaign("welcome", counts_to_cap=False))
    lane = Lane(cluster, tmp_path, tenant, order="arrival")
    warm, shoppers = Shoppers(RATE, 5, "warm"), Shoppers(RATE, PEOPLE, "p")
    intents = FolderReader(lane.out, "intents")
    try:
        lane.start(lanes=("person",))
        with Door(lane.journal, warm.due) as door:
            _reminders(intents, door, 5)
        with Door(lane.journal, shoppers.due) as door:
            late = sorted(_reminders(intents, door, PEOPLE))
    finally:
        lane.cancel()
    assert len(late) == PEOPLE, "each cart is reminded of once"
    p50, p99 = late[len(late) // 2], late[int(len(late) * 0.99)]
    print(f"wakes ring {p50:.0f} ms late at the median, {p99:.0f} ms at p99, each core wanted by {crowding():.1f}")
    assert p99 <= LATE_MS * crowding()


def _reminders(intents: FolderReader, door: Door, many: int) -> list[float]:
    """How many milliseconds after its time each reminder could be read; none before the door had passed that time."""
    late: list[float] = []

    def all_there() -> bool:
        reminders = [message for message in intents.read() if message.campaign == "cart"]
        assert all(message.caused_at <= message.decided_at <= door.newest for message in reminders), "early"
        late.extend((now() - message.caused_at) / 1_000 for message in reminders)
        return len(late) >= many

    while not all_there():
        threading.Event().wait(0.005)
    return late


def test_checkpoints_of_an_idle_job_hardly_grow(cluster: Cluster, tmp_path: Path) -> None:
    lane = Lane(cluster, tmp_path, shop(), order="arrival")
    try:
        lane.start()
        with Door(lane.journal, Shoppers(1_000, 500).due):
            lane.until_more_comes()
            sizes = checkpoint_sizes(cluster.rest, IDLE)
    finally:
        lane.cancel()
    settled = [point for point in sizes if point[0] > sizes[0][0] + IDLE / 4]
    growth = slope(settled)
    print(f"{growth / 1000:.1f} KB/s over {len(settled)} checkpoints, the last one of {settled[-1][1] / 1000:.0f} KB")
    assert growth <= GROWTH
