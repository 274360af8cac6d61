"""Two doors, two senders, both lanes and tables on a real Kafka and a real Redis; all of them die under load.

How long is in $RAPPORT_SOAK (seconds): `make cluster-soak` says 600, by default it is a minute. Figures are printed and
kept in build/cluster.json.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from shutil import which

import pytest
from cluster import ROOT, Cluster
from cluster_truth import compared, delivered, journal, kept
from kafka_server import missing
from msgspec import structs

from pipelines.check import check_data

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


def test_everything_dies_and_both_ledgers_are_exact(tmp_path: Path) -> None:
    if why := missing():
        pytest.skip(why)
    if not which("redis-server"):
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    seconds = float(os.environ.get("RAPPORT_SOAK", "60"))
    with Cluster(tmp_path) as cluster:
        cluster.run(seconds)
        report, blocks = check_data(cluster.config), journal(cluster.config)
        told = kept(cluster.config, blocks, cluster.clients.acknowledged)
        sent = delivered(cluster.config, blocks, cluster.sink.accepted)
        against = compared(cluster.config, blocks)
        figures = {
            "seconds": seconds,
            **cluster.figures(),
            "kept": asdict(told),
            "delivered": asdict(sent),
            "ghost_receipts": report.census.ghosts,
            "ledgers": [structs.asdict(line) for line in report.lines],
            "problems": report.problems,
            "came_again": report.census.again,
            "against_order": asdict(against),
        }
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "cluster.json").write_text(json.dumps(figures, indent=2))
    print(json.dumps(figures, indent=2))
    assert not report.problems
    assert not cluster.lost()
    assert not cluster.doubled()
    assert not cluster.clients.surprises
    assert not told.missing
    assert not told.taken_twice
    assert not (sent.unheard or sent.unreceipted or sent.ghosts or report.census.ghosts)
    assert min(cluster.kills.values()) >= 1
    assert not against.people_without_disorder
