"""The demo itself, with its real processes: it adds up, goes on where it stopped, and notices a planted difference."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.config import Config
from pipelines.demo.ending import compare_people, recorder_file
from pipelines.demo.play import Place
from pipelines.workspace import load

ROOT = Path(__file__).parent.parent


def run(data: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines", "demo", "--data", str(data), "--plain", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)


def events(said: str) -> int:
    found = re.search(r"^events +([\d,]+) in", said, re.MULTILINE)
    assert found is not None, said
    return int(found[1].replace(",", ""))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_demo_adds_up_goes_on_and_notices_a_difference(tmp_path: Path) -> None:
    first = run(tmp_path, "--seconds", "8")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "everything adds up" in first.stdout

    second = run(tmp_path, "--seconds", "4", "--speed", "300")
    assert second.returncode == 0, second.stdout + second.stderr
    assert events(second.stdout) > events(first.stdout)

    config, place = Config(tmp_path), Place.load(tmp_path / "world.json")
    assert place is not None
    tenant = load(config.workspace).tenants["wanderlodge"]
    lines = recorder_file(config).read_bytes().splitlines(keepends=True)
    recorder_file(config).write_bytes(b"".join([*lines, lines[0]]))
    assert len(compare_people(config, tenant, place.until, place).differences) == 1

    third = run(tmp_path, "--seconds", "2")
    assert third.returncode == 1
    assert "things do not add up" in third.stdout
