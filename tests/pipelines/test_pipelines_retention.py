"""How far a lane's log may be cut: never behind a reader, never behind the days that the configuration keeps."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pipelines.config import Config, ConfigError
from pipelines.retention import Retention
from schemas.records import DAY
from transforms.stores.journal import Draft, Journal
from transforms.stores.log import LogWriter
from transforms.stores.parquet import MANIFEST, Cursor, Manifest

FAR = 1 << 40


def log_of_days(config: Config, days: int, feedback_on: int = 0) -> list[int]:
    """A listen lane's log with a segment a day, one of which has something for the door; where the segments start."""
    log = LogWriter(config.folder("listen"), segment_bytes=1, sync=False)
    for day in range(1, days + 1):
        log.append(day * DAY, {"feedback" if day == feedback_on else "rows": (b"\xc0", 1)})
        log.commit()
    starts = list(log.starts)
    log.close()
    return starts


def read_by_all(config: Config, address: int, door: tuple[int, int] | None = None) -> None:
    """Door (or as given) and table writer have come to `address`."""
    journal = Journal(config.folder("journal"), sync=False)
    journal.write(Draft(cursors={"listen": door or (address, 0)}), DAY)
    journal.close()
    config.folder("tables").mkdir()
    manifest = Manifest(cursors={"listen": Cursor(address, 0)})
    (config.folder("tables") / MANIFEST).write_bytes(msgspec.json.encode(manifest))


@pytest.mark.parametrize(("keep", "oldest"), [(7, 12), (15, 4)])
def test_a_log_goes_back_as_many_days_as_configured(tmp_path: Path, keep: int, oldest: int) -> None:
    config = Config(tmp_path, keep=keep)
    starts = log_of_days(config, 20)
    read_by_all(config, FAR)
    assert Retention(config, "listen").keep_from(20 * DAY) == starts[oldest]


def test_a_log_kept_longer_than_it_is_stays_whole(tmp_path: Path) -> None:
    config = Config(tmp_path, keep=1000)
    log_of_days(config, 20)
    read_by_all(config, FAR)
    assert Retention(config, "listen").keep_from(20 * DAY) is None


def test_nothing_is_cut_before_its_readers_have_it(tmp_path: Path) -> None:
    config = Config(tmp_path)
    starts = log_of_days(config, 20)
    read_by_all(config, starts[3])
    assert Retention(config, "listen").keep_from(20 * DAY) == starts[3]


@pytest.mark.parametrize("taken, oldest", [(0, 5), (1, 12)])
def test_what_holds_nothing_for_the_door_is_cut_though_it_never_took_anything_after_it(
    tmp_path: Path, taken: int, oldest: int
) -> None:
    config = Config(tmp_path)
    starts = log_of_days(config, 20, feedback_on=6)
    read_by_all(config, FAR, door=(0, taken))
    assert Retention(config, "listen").keep_from(20 * DAY) == starts[oldest]


@pytest.mark.parametrize("keep", [0, 40_000])
def test_days_that_make_no_sense_are_refused(tmp_path: Path, keep: int) -> None:
    with pytest.raises(ConfigError, match="keep"):
        Config(tmp_path, keep=keep)
