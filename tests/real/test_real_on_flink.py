"""Real orders and real posts, played through all real processes, and their journal read again by Flink.

Skipped by name without the data, Java or Maven. The whole 18 months: see `on_flink.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from flink_lane import flink

from deploy.flink.install import missing as lacking
from tests.real.history import ORDERS, POSTS
from tests.real.on_flink import expect_the_same
from tests.real.play_real import perform
from tests.real.real_input import FOLDER, missing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(lacking()), reason=f"Flink's compatibility lane: {lacking()}"),
    pytest.mark.skipif(bool(missing(ORDERS, POSTS)), reason=missing(ORDERS, POSTS)),
]


def test_flink_decides_on_real_data_what_the_embedded_engine_decides(tmp_path: Path) -> None:
    played = perform(FOLDER, tmp_path / "data", short=True)
    with flink(tmp_path / "flink") as cluster:
        figures = expect_the_same(cluster, tmp_path / "data", 240)
    print(figures)
    assert played["records"]["orders"] > 10_000
    assert figures["intents"] == sum(played["messages"].values())
