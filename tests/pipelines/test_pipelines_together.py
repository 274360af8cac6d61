"""All processes under one roof are told everything that the one command was told; one that dies is told of."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipelines.__main__ import cli
from pipelines.config import Config
from pipelines.ready import PROCESSES
from pipelines.together import MOST_QUICK, RAN_WELL, GaveUp, Household, commands, last_words
from transforms.stores.rows import RowStore
from transforms.stores.segments import Lock

ROOT = Path(__file__).parents[2]
KAFKA, REDIS = "--kafka broker:9092 --topics shop", "--redis redis://there/0"
TAKES = {
    "door": {"--keep 9", "--no-sync", "--port 7000", KAFKA, REDIS},
    "person": {"--keep 9", "--no-sync", "--shards 3", "--lane person", KAFKA},
    "listen": {"--keep 9", "--no-sync", "--shards 3", "--lane listen", KAFKA},
    "sender": {"--no-sync", KAFKA, REDIS},
    "tables": {KAFKA},
}
"""What each process must hear of, beside the folders."""


def test_every_process_hears_what_the_one_command_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Config] = []
    monkeypatch.setattr("pipelines.__main__.stopper", lambda: lambda: True)  # leaves the signals to pytest
    monkeypatch.setattr("pipelines.together.run_all", lambda config, stop: told.append(config) or 0)
    options = ["--port", "7000", "--shards", "3", "--keep", "9", "--no-sync", *KAFKA.split(), *REDIS.split()]
    assert CliRunner().invoke(cli, ["run", "--all", "--data", str(tmp_path), *options]).exit_code == 0
    lines = {name: " ".join(line) for name, line in commands(told[0], "--start", "2026-01-01").items()}
    assert lines.keys() == TAKES.keys()
    for name, line in lines.items():
        assert {option for option in TAKES[name] if option in line} == TAKES[name]
        assert f"--data {tmp_path}" in line
    assert lines["door"].endswith("--start 2026-01-01")


@pytest.mark.parametrize("name", TAKES)
def test_every_command_line_is_one_that_the_program_takes(tmp_path: Path, name: str) -> None:
    config = Config(tmp_path, sync=False, kafka="broker:9092", redis="redis://there/0")
    line = commands(config)[name]
    answer = CliRunner().invoke(cli, [*line[line.index("pipelines") + 1 :], "--help"])
    assert answer.exit_code == 0, answer.output


# --- deaths -----------------------------------------------------------------------------------------------------------


class Watched:
    """A household of one process, with its own time and ears."""

    def __init__(self, folder: Path, program: str) -> None:
        self.time = 0.0
        self.heard: list[str] = []
        line = [sys.executable, "-S", "-c", program]
        self.household = Household({"sender": line}, folder / "log", self.heard.append, lambda: self.time)

    def __enter__(self) -> Watched:
        self.household.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.household.stop()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self.household.running["sender"]

    def dies(self, after: float = 0.1) -> str:
        """Let it die so many seconds after its start; what is told of it."""
        self.process.wait(20)
        self.time += after
        self.household.look()
        self.household.look()  # told of once
        return self.heard.pop()

    def rises(self, after: float) -> bool:
        """Whether it was started again `after` seconds, and not a moment before."""
        old = self.process
        self.time += after - 0.01
        self.household.look()
        too_soon = self.process is not old
        self.time += 0.01
        self.household.look()
        return not too_soon and self.process is not old


def test_a_death_is_told_with_its_last_words_and_the_next_start_waits_longer_each_time(tmp_path: Path) -> None:
    with Watched(tmp_path, "raise SystemExit('rapport: the folder is full')") as watched:
        for pause in (1, 2, 4, 8, 10):
            words = f"sender ended with status 1: the folder is full; it is started again in {pause} s"
            assert watched.dies() == words
            assert watched.rises(after=pause)
        with pytest.raises(
            GaveUp, match=r"sender ended with status 1: the folder is full, 6 times in a row; see .*log"
        ):
            watched.dies()
        assert watched.heard == []


def test_a_process_that_ran_well_for_a_while_begins_anew(tmp_path: Path) -> None:
    with Watched(tmp_path, "raise SystemExit(3)") as watched:
        for pause in (1, 2, 4):
            watched.dies()
            assert watched.rises(after=pause)
        for _ in range(MOST_QUICK + 1):
            assert watched.dies(after=RAN_WELL + 1) == (
                "sender ended with status 3: it said nothing; it is started again in 1 s"
            )
            assert watched.rises(after=1)


def test_a_killed_process_is_told_of_by_its_signal(tmp_path: Path) -> None:
    with Watched(tmp_path, "import signal; signal.pause()") as watched:
        watched.process.kill()
        assert watched.dies().startswith("sender was ended by SIGKILL: it said nothing; ")


def test_last_words_are_told_without_jargon(tmp_path: Path) -> None:
    (tmp_path / "door.log").write_text("Traceback\n  x\ntransforms.stores.segments.LogBusy: expected to be alone\n\n")
    (tmp_path / "sender.log").write_text("")
    assert last_words(tmp_path, "door") == "expected to be alone"
    assert last_words(tmp_path, "sender") == "it said nothing"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_lane_that_cannot_start_ends_the_whole_household_with_its_reason(tmp_path: Path) -> None:
    RowStore(tmp_path / "person", graph="a graph of yesterday").close()
    line = [sys.executable, "-m", "pipelines", "run", "--all", "--data", str(tmp_path), "--port", str(free_port())]
    ended = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 1
    assert "person ended with status 1: expected " in ended.stderr
    assert "written for graph" in ended.stderr
    assert "it is started again in 10 s" in ended.stderr
    assert "6 times in a row; see" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    for name in PROCESSES:
        Lock(tmp_path / name).close()  # nobody is left


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
