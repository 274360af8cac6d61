"""The table writer under a clock that is set anew: it cuts files by the pace that holds, not by its first one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from intents import NOON
from logs import append, event

from pipelines.clock import Follower, real_now
from pipelines.config import Config
from pipelines.tables import TableWriter
from schemas.records import HOUR, MINUTE
from transforms.stores.parquet import read_manifest


def set_clock(config: Config, speed: float, at: int) -> None:
    config.clock_file.write_text(json.dumps({"journal": NOON, "real": real_now(), "speed": speed}))
    os.utime(config.clock_file, ns=(at, at))


@pytest.mark.parametrize(("speed", "files"), [(1.0, 4), (100_000.0, 1)])
def test_a_file_lasts_five_real_seconds_at_the_pace_that_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speed: float, files: int
) -> None:
    monkeypatch.setattr(Follower, "LOOK", 0.0)
    config = Config(tmp_path)
    set_clock(config, 1.0, at=1)
    writer = TableWriter(config)
    writer.turn()
    set_clock(config, speed, at=2)
    writer.turn()
    day = NOON - NOON % (24 * HOUR)
    append(config.folder("person"), *((day + number * 2 * MINUTE, [event(number)]) for number in range(4)))
    writer.finish()
    assert len(read_manifest(config.folder("tables")).tables["events"]) == files
