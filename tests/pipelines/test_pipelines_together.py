"""All processes under one roof are told everything that the one command was told."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from pipelines.__main__ import cli
from pipelines.config import Config
from pipelines.together import commands

TAKES = {
    "door": {"--keep 9", "--no-sync", "--port 7000"},
    "person": {"--keep 9", "--no-sync", "--shards 3", "--lane person"},
    "listen": {"--keep 9", "--no-sync", "--shards 3", "--lane listen"},
    "sender": {"--no-sync"},
    "tables": set(),
}
"""What each process must hear of, beside the folders."""


def test_every_process_hears_what_the_one_command_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Config] = []
    monkeypatch.setattr("pipelines.__main__.stopper", lambda: lambda: True)  # leaves the signals to pytest
    monkeypatch.setattr("pipelines.together.run_all", lambda config, stop: told.append(config) or 0)
    options = ["--port", "7000", "--shards", "3", "--keep", "9", "--no-sync"]
    assert CliRunner().invoke(cli, ["run", "--all", "--data", str(tmp_path), *options]).exit_code == 0
    lines = {name: " ".join(line) for name, line in commands(told[0], "--speed", "2").items()}
    assert lines.keys() == TAKES.keys()
    for name, line in lines.items():
        assert {option for option in TAKES[name] if option in line} == TAKES[name]
        assert f"--data {tmp_path}" in line
    assert lines["door"].endswith("--speed 2")


@pytest.mark.parametrize("name", TAKES)
def test_every_command_line_is_one_that_the_program_takes(tmp_path: Path, name: str) -> None:
    line = commands(Config(tmp_path, sync=False))[name]
    answer = CliRunner().invoke(cli, [*line[line.index("pipelines") + 1 :], "--help"])
    assert answer.exit_code == 0, answer.output
