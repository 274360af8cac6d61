"""The same small graphs on the embedded engine and on Beam's own runners: what comes out is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from engine_graphs import in_series, stateless, states, timers
from engine_runs import END, Build, on_engine, on_fn_api, on_test_stream
from engine_stages import block, entry

from schemas.records import SECOND, Block
from transforms.stores.rows import RowStore

Lines = dict[str, list[Any]]


def says(second: float, first: int, *lines: str) -> Block:
    return block(int(second * SECOND), first, *(entry(*line.split(" ", 1)) for line in lines))


WORDS = (
    says(0, 0, "ana hi", "bo welcome", "ana there"),
    says(1, 3, "bo hi", "ana wonderful", "bo forget", "bo hi"),
    says(9, 7, "bo hi", "ana forget", "ana hi"),
)
ALARMS = (
    says(0, 0, "ana soon", "bo later", "cy chain", "dee tags"),
    says(1, 4, "ana soon", "bo x"),
    says(2.5, 6, "ana never", "eve soon"),
    says(10, 8, "fay chain"),
    says(20, 9, "bo later", "ana soon"),
    says(60, 11, "ana chain"),
)
IN_SERIES = (
    says(0, 0, "ana soon", "bo later"),
    says(40, 2, "cy soon", "ana soon"),
)
GRAPHS: dict[str, tuple[Build, tuple[Block, ...]]] = {
    "stateless": (stateless, WORDS),
    "states": (states, WORDS),
    "timers": (timers, ALARMS),
    "in series": (in_series, IN_SERIES),
}


def told(outputs: Lines) -> Lines:
    return {name: sorted(lines, key=repr) for name, lines in outputs.items()}


@pytest.mark.parametrize("name", GRAPHS)
def test_the_engine_and_the_bundle_based_runner_on_test_stream_agree(name: str, tmp_path: Path) -> None:
    build, blocks = GRAPHS[name]
    expected = told(on_test_stream(build, blocks))
    assert sum(map(len, expected.values())) > 2
    assert told(on_engine(build, blocks)) == expected
    assert told(on_engine(build, blocks, store=RowStore(tmp_path, graph="test", sync=False))) == expected


@pytest.mark.parametrize("name", ["stateless", "states"])
def test_the_engine_and_the_fn_api_runner_agree_on_bounded_input(name: str) -> None:
    build, blocks = GRAPHS[name]
    assert told(on_fn_api(build, blocks)) == told(on_engine(build, blocks, at_once=3))


@pytest.mark.parametrize("name", ["stateless", "states"])
@pytest.mark.parametrize("at_once", [2, 3])
def test_bundles_do_not_show(name: str, at_once: int) -> None:
    build, blocks = GRAPHS[name]
    assert told(on_engine(build, blocks, at_once)) == told(on_engine(build, blocks))


def test_timers_fire_in_order_of_time_behind_the_elements() -> None:
    """The watermark moves only when a step has taken everything; then timers fire one after the other."""
    lines = on_engine(timers, (says(0, 0, "ana chain", "bo soon", "cy tags"), says(8, 3, "ana hi")))["timers"]
    assert [line[1] for line in lines[:4]] == ["said"] * 4
    assert [(line[0], line[-1]) for line in lines[4:]] == [
        ("ana", 1.0),
        ("ana", 2.0),
        ("bo", 2.0),
        ("ana", 3.0),
        ("cy", 3.0),
        ("cy", 4.0),
        ("ana", 4.0),
    ]


def test_state_and_timers_survive_a_restart(tmp_path: Path) -> None:
    for graph, blocks in ((states, WORDS), (timers, ALARMS)):
        whole, parts = on_engine(graph, blocks), dict[str, list[Any]]()
        for count in range(1, len(blocks) + 1):
            store = RowStore(tmp_path / graph.__name__, graph="test", sync=False)
            end = END if count == len(blocks) else 0
            found = on_engine(graph, blocks[:count], store=store, end=end)
            store.close()
            for name, lines in found.items():
                parts.setdefault(name, []).extend(lines)
        assert told(parts) == told(whole)
