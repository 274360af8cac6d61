"""The harness itself: it forgets no fault point, says what a process ended of, and leaves none behind."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from chaos import ROOT, Chaos, Victim
from chaos_points import ELSEWHERE, EXCUSED, PASSES, POINTS
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


def named() -> dict[str, set[str]]:
    """The fault points that each module of ours names, by module."""
    files = [path for folder in ("pipelines", "transforms") for path in (ROOT / folder).rglob("*.py")]
    found = {}
    for path in files:
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if any(line.startswith("POINTS") for line in path.read_text("utf-8").splitlines()):
            found[name] = set(importlib.import_module(name).POINTS)
    return found


def test_every_fault_point_of_every_module_lies_on_the_way_of_a_process_or_has_its_reason() -> None:
    points = named()
    assert points["transforms.stores.snapshot"] == {"snapshot.before_rename", "snapshot.after_rename"}
    assert set().union(*points.values()) == set().union(ELSEWHERE, *PASSES.values())
    assert all(ELSEWHERE.values())


def test_a_point_at_which_one_process_is_not_killed_kills_another_and_has_its_reason() -> None:
    assert all(point in PASSES[name] and reason for (name, point), reason in EXCUSED.items())
    assert set().union(*POINTS.values()) == set().union(*PASSES.values())
