"""A job on Flink that goes on: poison costs itself and nothing else.

Skipped by name where Java or Maven is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import planted
import pytest
import worlds
from flink_lane import Lane, World, flink, plain, write

from deploy.flink.cluster import Cluster
from deploy.flink.install import missing
from schemas.records import HOUR

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(missing()), reason=f"Flink's compatibility lane: {missing()}"),
]


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
