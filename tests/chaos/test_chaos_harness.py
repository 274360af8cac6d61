"""The harness itself: what it says when a process ends of its own, and that it leaves none behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from chaos import Chaos, Victim
from webhook_sink import Sink

WAITS = [sys.executable, "-c", "import signal; signal.pause()"]
FAILS = [sys.executable, "-c", "raise SystemExit('there is no way out')"]


def test_a_process_that_ends_of_its_own_is_named_with_its_last_words_and_takes_all_others_along(tmp_path: Path) -> None:
    with Sink() as sink, Chaos(tmp_path, sink) as chaos:
        chaos.victims = [Victim("door", WAITS, [], chaos), Victim("sender", FAILS, [], chaos)]
        for victim in chaos.victims:
            victim.start()
        with pytest.raises(RuntimeError, match="sender ended with 1 of its own:\nthere is no way out"):
            chaos.settle(lambda: False, within=30)
    assert all(victim.process and victim.process.poll() is not None for victim in chaos.victims)
