"""kill -9 at every named point of the loop: the end is that of the run that nobody disturbed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import engine_crash
import pytest
from engine_job import rows_of

from transforms.stores.log import LogReader
from transforms.stores.rows import RowStore


@pytest.mark.chaos
def test_kills_at_every_point_change_nothing(tmp_path: Path) -> None:
    engine_crash.work(tmp_path / "unbroken")
    command = [sys.executable, engine_crash.__file__, str(tmp_path / "broken")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    unbroken = RowStore(tmp_path / "unbroken", graph="crash")
    assert report["kills"] == dict.fromkeys(report["kills"], 5)
    assert report["position"] == len(engine_crash.SOURCE.blocks)
    assert report["rows"] == {key.decode(): row.hex() for key, row in sorted(rows_of(unbroken).items())}
    unbroken.close()
    assert handed_over(tmp_path / "broken") == handed_over(tmp_path / "unbroken")


def handed_over(folder: Path) -> list[tuple[int, bytes]]:
    """Numbers and bytes of all rows handed over: none lost, none twice."""
    reader, found = LogReader(folder, topics=["rows"]), list[tuple[int, bytes]]()
    while frames := reader.read():
        found += [(frame.parts["rows"].first, frame.parts["rows"].payload) for frame in frames]
    reader.close()
    return found
