"""A journal that lost something: nobody says 200 behind it until it is mended, and no more than that is lost."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipelines import ready
from pipelines.__main__ import cli
from pipelines.accept import Feed
from pipelines.bounds import require, strayed
from pipelines.config import Config, ConfigError
from pipelines.door import play
from pipelines.mend import mend_journal
from pipelines.run import run
from schemas.records import Entry
from transforms.sources.journal import JournalReader
from transforms.stores.journal import Draft, Journal, pack_place
from transforms.stores.log import LogCorrupt
from transforms.stores.rows import RowStore
from transforms.stores.transaction import Change

NOON = 1_800_000_000_000_000


def journaled(config: Config, count: int) -> list[int]:
    """Journal so many records, one a frame; the addresses behind them."""
    journal, ends = Journal(config.folder("journal"), sync=False), []
    for number in range(count):
        journal.write(Draft([Entry("track", "shop", "server", "test", 0, b"{%d}" % number)]), NOON + number)
        ends.append(journal.end)
    journal.close()
    return ends


def committed(config: Config, name: str, position: bytes) -> None:
    store = RowStore(config.folder(name), graph=name, sync=False)
    store.commit(Change(NOON, position, rows={b"a": b"b"}))
    store.close()


def journal_file(config: Config) -> Path:
    (file,) = config.folder("journal").glob("*.log")
    return file


def bodies(config: Config, address: int = 0) -> list[bytes]:
    pull = JournalReader(config.folder("journal"), pack_place(address, 0)).poll(1000)
    return [entry.body for block in pull.items for entry in block.entries] if pull else []


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tmp_path / "data", port=0, sync=False)


@pytest.fixture
def cut(config: Config) -> list[int]:
    """A journal of ten records that both lanes have read, cut behind the third."""
    ends = journaled(config, 10)
    for lane in ("person", "listen"):
        committed(config, lane, pack_place(ends[-1], NOON + 9))
    os.truncate(journal_file(config), ends[2])
    return ends


def test_a_flipped_byte_stops_all_with_the_command_to_run(config: Config) -> None:
    ends = journaled(config, 10)
    data = bytearray(journal_file(config).read_bytes())
    data[ends[3] - 1] ^= 0xFF
    journal_file(config).write_bytes(data)
    with pytest.raises(LogCorrupt, match="rapport mend"):
        ready.probe(config)
    answer = CliRunner().invoke(cli, ["door", "--no-sync", "--data", str(config.data)])
    assert (answer.exit_code, "rapport mend" in answer.output) == (1, True)
    assert journal_file(config).read_bytes() == data


def test_a_lane_behind_the_end_of_the_journal_stops_the_door_and_the_lane(config: Config, cut: list[int]) -> None:
    (config.folder("journal") / "head").unlink()  # the frames alone say how far it goes: nothing looks damaged
    assert list(strayed(config)) == [
        f"the {lane} lane has read {config.folder('journal')} up to {cut[-1]}, but it ends at {cut[2]}; "
        "what came there is lost"
        for lane in ("person", "listen")
    ]
    for process in (lambda: play(config, list[Feed]()), lambda: run(config, "person", lambda: True)):
        with pytest.raises(LogCorrupt, match="what came there is lost"):
            process()


def test_a_journal_that_is_gone_is_not_begun_anew_under_lanes_that_read_it(config: Config, cut: list[int]) -> None:
    assert cut
    shutil.rmtree(config.folder("journal"))
    with pytest.raises(LogCorrupt, match="but it is not there"):
        ready.probe(config)


def test_a_sender_behind_the_end_of_the_intents_is_named(config: Config) -> None:
    committed(config, "person", b"")
    committed(config, "sender", (1 << 20).to_bytes(8))
    with pytest.raises(LogCorrupt, match="the sender has read"):
        require(config)


def test_after_mending_lanes_read_what_comes_and_no_record_has_an_old_number(config: Config, cut: list[int]) -> None:
    (sentence,) = mend_journal(config)
    assert f"bytes {cut[2]} to {cut[-1]}" in sentence
    assert "opt-outs among them may not have been heard" in sentence
    assert "lane had" not in sentence, "both had read them"
    require(config)
    journaled(config, 2)
    assert bodies(config, cut[-1]) == [b"{0}", b"{1}"]
    pull = JournalReader(config.folder("journal"), pack_place(cut[-1], 0)).poll(10)
    assert pull is not None
    assert pull.items[0].first >= 10
    assert pull.items[0].received_at > NOON + 9
    assert (config.data / "damaged").is_dir()


def test_mending_a_hole_that_a_lane_has_not_read_says_so(config: Config) -> None:
    ends = journaled(config, 5)
    data = bytearray(journal_file(config).read_bytes())
    data[ends[3] - 1] ^= 0xFF
    journal_file(config).write_bytes(data)
    answer = CliRunner().invoke(cli, ["mend", "--data", str(config.data)])
    assert answer.exit_code == 0
    assert "at most 1 records): the person lane had not read all of them, and never will" in answer.output
    assert bodies(config) == [b"{0}", b"{1}", b"{2}", b"{4}"]


def test_mending_without_a_journal_names_the_folder(config: Config) -> None:
    with pytest.raises(ConfigError, match="expected a journal in"):
        mend_journal(config)
