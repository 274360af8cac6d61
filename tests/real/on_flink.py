"""What the embedded engine and Flink make of one journal, that of a data folder in which the real data was played.

    python -m tests.real.play_real --full --data build/real-data       # 18 months, three minutes
    python -m tests.real.on_flink --data build/real-data               # the same on Flink, order exact

Flink is the compatibility lane, parallelism 1; its records leave to `topics` in the data folder.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from flink_lane import Lane, World, expect_equal, flink, replayed, write  # noqa: E402
from told import when  # noqa: E402

from deploy.flink.cluster import Cluster  # noqa: E402
from deploy.flink.rest import wait  # noqa: E402
from pipelines.config import Config  # noqa: E402
from pipelines.run import Head  # noqa: E402
from pipelines.workspace import load  # noqa: E402
from schemas.records import HOUR, Block  # noqa: E402
from tests.real.play_real import WORKSPACE  # noqa: E402
from transforms.sources.journal import JournalSource  # noqa: E402
from transforms.topics.folder import KINDS, FolderReader  # noqa: E402

GRAIN = HOUR
"""Months pass in a minute: of the journal's time an hour may be one slot, and no result depends on it."""


def expect_the_same(cluster: Cluster, data: Path, patience: float) -> dict[str, float]:
    """Read the journal in `data` whole on Flink; every record that leaves must be the embedded engine's, byte for byte.

    Gives how many left to each topic, and the seconds that Flink took. Nothing may be appended to `data` meanwhile.
    """
    config, began = Config(data, WORKSPACE), time.monotonic()
    (tenant,) = load(WORKSPACE).tenants.values()
    journal = config.folder("journal")
    over = Head(journal).stamp()
    expected = replayed(tenant, JournalSource(journal, end=True), config.secret())
    embedded, world = time.monotonic() - began, World(tenant, [Block(over, 0, 0, [])], expected)
    write(journal, [Block(over + 2 * GRAIN, 0, 0, [])])
    lane = Lane(cluster, data, tenant, secret=config.secret(), grain=GRAIN)
    began = time.monotonic()
    try:
        lane.start()
        _wait_for(lane, world, patience)
    finally:
        lane.cancel()
    seconds = time.monotonic() - began
    assert expect_equal(lane, world) == 0, "left again"
    left = {topic: len(records) for topic, records in expected.topics.items()}
    return {
        **left,
        "decisions": len(expected.decisions),
        "embedded_seconds": round(embedded, 1),
        "flink_seconds": round(seconds, 1),
    }


def _wait_for(lane: Lane, world: World, patience: float) -> None:
    """Until as many records have left as must."""
    readers, many = [FolderReader(lane.out, topic) for topic in KINDS], sum(map(len, world.expected.topics.values()))
    come = 0

    def all_there() -> bool:
        nonlocal come
        come += sum(when(record) <= world.until for reader in readers for record in reader.read())
        return come >= many

    wait(f"{many} records", all_there, patience)


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description="One journal, two engines.")
    options.add_argument("--data", type=Path, required=True, help="A data folder of tests.real.play_real.")
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rapport-real-"))
    with flink(folder) as cluster:
        print(expect_the_same(cluster, given.data, 3600))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
