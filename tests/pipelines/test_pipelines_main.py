"""The command line: what a person can mend is one sentence and an exit status, and no option takes what cannot work."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from models.gate import ModelRefused
from pipelines.__main__ import cli
from pipelines.clock import open_clock
from pipelines.config import Config, ConfigError
from pipelines.together import GaveUp
from transforms.stores.lease import LeaseLost
from transforms.stores.log import LogWriter
from transforms.stores.rows import RowStore, StoreMismatch
from transforms.stores.segments import Lock, LogBusy, LogCorrupt
from transforms.stores.snapshots import StoreDamaged


@pytest.fixture(autouse=True)
def without_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.__main__.stopper", lambda: lambda: True)  # leaves the signals to pytest


def rapport(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def refuses(answer: Result, words: str, status: int) -> None:
    """One sentence on stderr, nothing on stdout, no traceback."""
    assert isinstance(answer.exception, SystemExit), answer.exception
    assert answer.exit_code == status, answer.output
    assert answer.stdout == ""
    assert answer.stderr.startswith("rapport: ")
    assert words in answer.stderr
    assert answer.stderr.count("\n") == 1


# --- errors -----------------------------------------------------------------------------------------------------------

SAYS_IT_ITSELF = (GaveUp, LeaseLost, LogBusy, LogCorrupt, ModelRefused, StoreDamaged, StoreMismatch)
OF_THE_MACHINE = {
    errno.EACCES: "expected to be allowed to read and write /srv/x; change its owner or rights",
    errno.EADDRINUSE: "choose another with --port",
    errno.EEXIST: "expected a folder at /srv/x, got a file",
    errno.EISDIR: "expected a file at /srv/x, got a folder",
    errno.EMFILE: "too many files are open; raise the limit",
    errno.ENOENT: "expected /srv/x, there is none",
    errno.ENOSPC: "expected room on the disk for /srv/x, it is full; free some",
    errno.ENOTDIR: "expected a folder on the way to /srv/x, got a file",
    errno.EROFS: "its disk is read-only",
}


def raising(monkeypatch: pytest.MonkeyPatch, error: Exception, *before: str) -> Result:
    def run(*_: object) -> None:
        raise error

    monkeypatch.setattr("pipelines.tables.run", run)
    return rapport(*before, "record")


@pytest.mark.parametrize("kind", SAYS_IT_ITSELF)
def test_an_error_that_says_what_to_do_is_said_without_its_traceback(
    monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    refuses(raising(monkeypatch, kind("expected this, got that; do so")), "expected this, got that; do so", 1)


@pytest.mark.parametrize("number", OF_THE_MACHINE)
def test_trouble_with_the_machine_is_said_with_the_file_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuses(raising(monkeypatch, OSError(number, "jargon", "/srv/x")), OF_THE_MACHINE[number], 1)


def test_a_setting_that_cannot_work_has_a_status_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    refuses(raising(monkeypatch, ConfigError("speed: expected more")), "speed: expected more", 2)


def test_a_missing_extra_is_named_with_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = ModuleNotFoundError("No module named 'py3langid'", name="py3langid.langid")
    refuses(raising(monkeypatch, missing), "py3langid, it is not installed: pip install 'rapport[nlp]'", 1)


@pytest.mark.parametrize("error", [ImportError("bad", name="pipelines.door"), ValueError("ours"), OSError(5, "io")])
def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    assert raising(monkeypatch, error).exception is error


def test_debug_shows_where_an_error_arose(monkeypatch: pytest.MonkeyPatch) -> None:
    error = LogBusy("expected to be alone")
    assert raising(monkeypatch, error, "--debug").exception is error
    monkeypatch.setenv("RAPPORT_DEBUG", "1")
    assert raising(monkeypatch, error).exception is error


# --- real ones --------------------------------------------------------------------------------------------------------


def test_a_second_table_writer_is_kept_out(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    with closing(Lock(tmp_path / "tables")):
        refuses(rapport("record", "--data", tmp_path), f"expected to be the only writer of {tmp_path / 'tables'}", 1)
    assert rapport("record", "--data", tmp_path).exit_code == 0


def test_a_second_sender_is_kept_out(tmp_path: Path) -> None:
    open_clock(tmp_path / "clock.json")
    with closing(LogWriter(tmp_path / "sender")):
        refuses(rapport("send", "--data", tmp_path), "expected to be the only writer", 1)


def test_a_store_of_another_graph_is_refused(tmp_path: Path) -> None:
    open_clock(tmp_path / "clock.json")
    RowStore(tmp_path / "sender", graph="sender 0").close()
    refuses(rapport("send", "--data", tmp_path), "start with the old version, or move the folder away", 1)


@pytest.mark.parametrize("command", ["door", "send", "record", "run", "replay", "check", "console", "demo"])
def test_a_file_in_place_of_the_data_folder_is_refused(tmp_path: Path, command: str) -> None:
    (tmp_path / "data").touch()
    refuses(rapport(command, "--data", tmp_path / "data"), "is a file; name another one with --data", 2)


@pytest.mark.parametrize("command", ["door", "record", "run"])
def test_a_file_on_the_way_to_the_data_folder_is_refused(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").touch()
    refuses(rapport(command, "--data", tmp_path / "file" / "data"), "expected a folder on the way to", 1)


def test_a_file_in_place_of_the_workspace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refuses(rapport("record", "--workspace", tmp_path / "file"), "workspace: expected a folder", 2)


def test_a_folder_in_place_of_a_file_of_the_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clock.json").mkdir()
    refuses(rapport("send", "--data", tmp_path), f"expected a file at {tmp_path / 'clock.json'}, got a folder", 1)


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = rapport("door", "--data", tmp_path, "--port", str(server.getsockname()[1]))
    refuses(answer, "to be free", 2)


def test_another_speed_than_the_folder_s_is_refused(tmp_path: Path) -> None:
    open_clock(tmp_path / "clock.json", speed=60.0)
    refuses(rapport("door", "--data", tmp_path, "--port", "0", "--speed", "1"), "speed: expected 60", 2)
    assert rapport("door", "--data", tmp_path, "--port", "0", "--speed", "60").exit_code == 0
    assert rapport("door", "--data", tmp_path, "--port", "0").exit_code == 0


# --- options ----------------------------------------------------------------------------------------------------------


def numeric() -> Iterator[tuple[str, click.Option]]:
    for name, command in cli.commands.items():
        for option in command.params:
            if isinstance(option.type, click.types.IntParamType | click.types.FloatParamType):
                yield name, option  # type: ignore[misc]


def test_there_are_numeric_options() -> None:
    assert len(list(numeric())) >= 10


@pytest.mark.parametrize(
    "command, option", [pytest.param(*found, id=f"{found[0]} {found[1].name}") for found in numeric()]
)
def test_every_number_has_a_least_value_and_one_below_is_refused(command: str, option: click.Option) -> None:
    assert isinstance(option.type, click.IntRange | click.FloatRange), "expected a range, it takes anything"
    answer = rapport(command, f"--{option.name}", "-3")
    assert answer.exit_code == 2
    assert f"Invalid value for '--{option.name}': -3" in answer.stderr


@pytest.mark.parametrize("option", ["bundle", "shards"])
def test_no_bundle_and_no_shards_are_refused(option: str) -> None:
    assert "0 is not in the range" in rapport("replay", f"--{option}", "0").stderr


@pytest.mark.parametrize("field, value", [("port", 70_000), ("port", -1), ("bundle", 0), ("shards", 0), ("keep", 0)])
def test_the_configuration_refuses_them_too(tmp_path: Path, field: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"{field}: expected .*, got {value}"):
        Config(tmp_path, **{field: value})  # type: ignore[arg-type]


def test_no_summary_of_a_command_is_cut_short() -> None:
    assert "..." not in rapport("--help").stdout.partition("Commands:")[2]
