"""Who is started by another ends with it, and waits in words for who is not there."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from pipelines import ready
from pipelines.config import Config
from transforms.stores.segments import Lock, LogBusy, make_folder

ROOT = Path(__file__).parents[2]
WAITING = "waiting for a door to begin in "

HOUSEHOLD = """
import sys
from pathlib import Path
from pipelines.together import Household
line = [sys.executable, "-m", "pipelines", "send", "--data", sys.argv[1]]
home = Household({"sender": line}, Path(sys.argv[2]))
home.start()
print(home.running["sender"].pid, flush=True)
sys.stdin.read()
"""


def wait_for(text: str, file: Path) -> None:
    for _ in range(1200):
        if text in file.read_text():
            return
        Event().wait(0.05)
    pytest.fail(f"expected {text} in {file}, got {file.read_text()}")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child of its parent's death")
def test_a_killed_household_leaves_no_orphan_and_no_folder_that_no_door_made(tmp_path: Path) -> None:
    data, log = tmp_path / "typo" / "data", tmp_path / "log"
    line = [sys.executable, "-c", HOUSEHOLD, str(data), str(log)]
    with subprocess.Popen(line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as home:
        assert home.stdout is not None
        child = os.pidfd_open(int(home.stdout.readline()))
        try:
            wait_for(WAITING, log / "sender.log")
            home.kill()
            ended, _, _ = select.select([child], [], [], 60)
        finally:
            os.close(child)
    assert ended
    assert (log / "sender.log").read_text().count(WAITING) == 1
    assert not (tmp_path / "typo").exists()


def test_all_that_still_write_are_named_at_once(tmp_path: Path) -> None:
    config = Config(tmp_path, port=0)
    for name in ("person", "tables"):
        make_folder(config.folder(name), sync=False)
    with (
        closing(Lock(config.folder("person"))),
        closing(Lock(config.folder("tables"))),
        pytest.raises(LogBusy) as raised,
    ):
        ready.probe(config)
    assert str(config.folder("person")) in str(raised.value)
    assert str(config.folder("tables")) in str(raised.value)


IMPORT = """
import logging
from pipelines.quiet import expect_no_google
expect_no_google()
import pipelines.run
logging.getLogger("apache_beam.io.filesystems").warning("Failed to import another one")
logging.warning("apitools are here")
"""


def test_beam_is_imported_without_words_and_what_is_news_is_heard() -> None:
    told = subprocess.run([sys.executable, "-c", IMPORT], cwd=ROOT, capture_output=True, text=True, check=True).stderr
    assert [line.rpartition(":")[2] for line in told.splitlines()] == [
        "Failed to import another one",
        "apitools are here",
    ]
