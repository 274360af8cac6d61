"""The clock: scaled, kept on disk, followed by those who did not set it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.clock import Follower, begin_clock, open_clock, real_now
from pipelines.config import ConfigError
from schemas.records import DAY, SECOND


def test_real_time_is_the_default(tmp_path: Path) -> None:
    clock = open_clock(tmp_path / "clock.json")
    assert abs(clock.now() - real_now()) < SECOND


def test_a_scaled_clock_starts_where_it_is_told_and_runs_faster(tmp_path: Path) -> None:
    clock = open_clock(tmp_path / "clock.json", speed=1_000_000.0, start=5 * DAY)
    first = clock.now()
    assert first >= 5 * DAY
    while clock.now() < first + SECOND:
        pass
    assert clock.real_seconds(DAY) == DAY / 1e12


def test_the_first_to_ask_sets_it(tmp_path: Path) -> None:
    open_clock(tmp_path / "clock.json", speed=60.0, start=DAY)
    assert open_clock(tmp_path / "clock.json", speed=5.0, start=9 * DAY).speed == 60.0


def test_time_stands_still_while_nothing_runs(tmp_path: Path) -> None:
    open_clock(tmp_path / "clock.json", speed=60.0, start=DAY)
    resumed = open_clock(tmp_path / "clock.json", resume_at=3 * DAY)
    assert 3 * DAY <= resumed.now() < 4 * DAY


def test_a_follower_sees_a_clock_that_was_set_anew(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    open_clock(file, speed=60.0, start=DAY)
    follower = Follower(file)
    follower.LOOK = 0.0  # type: ignore[misc]
    assert DAY <= follower.now() < 2 * DAY
    open_clock(file, resume_at=30 * DAY)
    os.utime(file, ns=(1, 1))
    assert 30 * DAY <= follower.now() < 31 * DAY


def test_another_speed_than_the_folder_s_is_refused_and_the_same_is_not(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    begin_clock(file, 60.0, DAY)
    begin_clock(file, 60.0)
    with pytest.raises(ConfigError, match=r"speed: expected 60, at which time runs in .*, got 5; leave --speed out"):
        begin_clock(file, 5.0)
