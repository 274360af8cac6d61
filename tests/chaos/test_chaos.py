"""A hundred real deaths with work in flight: nothing lost, nothing doubled, and the harness sees a planted mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chaos import ROOT, Chaos
from chaos_points import POINTS
from webhook_sink import Sink

from pipelines.views import connect
from transforms import deliver

NAMES = dict.fromkeys(("events", "mentions", "decisions", "receipts", "failures"), "id") | {"messages": "key"}
"""What names a row of each table."""

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(2400)]


def test_a_hundred_deaths_lose_and_double_nothing(tmp_path: Path) -> None:
    with Sink() as sink, Chaos(tmp_path, sink) as chaos:
        chaos.run(times=5)
        figures = chaos.figures()
        (ROOT / "build").mkdir(exist_ok=True)
        (ROOT / "build" / "chaos.json").write_text(json.dumps(figures, indent=2))
        print(json.dumps(figures, indent=2))
    assert figures["lost"] == figures["duplicated"] == 0
    assert figures["kills"] - figures["kills_with_nothing_in_flight"] >= 100
    missed = [f"{name} {point}" for name in POINTS for point in POINTS[name] if chaos.kills[name, point] < 5]
    assert not missed, "fault points hit less than five times"
    assert not chaos.ledger()
    with connect(chaos.config.folder("tables")) as tables:
        for table, name in NAMES.items():
            total, distinct = tables.execute(f"select count(*), count(distinct {name}) from {table}").fetchone()
            assert total == distinct > 0 or table == "failures", table


def test_a_sender_that_says_sent_before_it_sends_is_caught(tmp_path: Path) -> None:
    with Sink() as sink, Chaos(tmp_path, sink) as chaos:
        chaos.run(times=5, points={"sender": deliver.POINTS}, wrong_sender=True)
    assert chaos.lost()
