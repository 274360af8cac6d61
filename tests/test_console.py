"""The figures of the live view add up whatever order they come in, and every panel can be drawn, empty or full."""

from __future__ import annotations

import io
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from rich.console import Console

from pipelines.clock import Clock, open_clock
from pipelines.config import Config
from pipelines.console import View, watch
from pipelines.figures import Figures, Tail, statuses
from pipelines.panels import Pulse, bar, plain, spark, state
from schemas.codec import pack_many
from schemas.records import (
    HOUR,
    SECOND,
    Classification,
    Decision,
    Derived,
    EventRow,
    Failure,
    Ids,
    MentionRow,
    Message,
    Receipt,
    SegmentChange,
)
from transforms.stores.log import LogWriter

NOON = 20_500 * 24 * HOUR + 12 * HOUR
FAST = Clock(0, 0, 300.0)


def event(number: int, *, person: str = "ana", disposition: str = "applied", derived: bool = False) -> EventRow:
    reason = "duplicate" if disposition == "filtered" else ""
    return EventRow(f"e{number}", "shop", "viewed", NOON, NOON + number, 0, number, 0, derived, "server", "s", person,
                    disposition, reason)  # fmt: skip


def message(number: int, campaign: str = "welcome", *, waited: int = 0) -> Message:
    body = json.dumps({"subject": f"Hello {number} [b]", "text": "\n first line \nsecond"}).encode()
    cause = NOON + number
    return Message(f"k{number}", "shop", "ana", campaign, 1, "email", f"a{number}@people.example", "marketing",
                   "marketing", "t", cause + waited, cause + HOUR, (), body, caused_at=cause)  # fmt: skip


def receipt(number: int, state: str = "sent", *, after: int = 30 * SECOND) -> Derived:
    return Derived(f"r{number}", "shop", NOON, Ids(), Receipt(f"k{number}", state, NOON + number + after))


def decision(number: int, reason: str, *, final: bool = True) -> Decision:
    return Decision(f"d{number}", "shop", "ana", "cart", 1, "t", reason, final, NOON, NOON)


def feeling(number: int, brand: str, sentiment: str) -> Classification:
    return Classification(f"c{number}", "m", "shop", brand, "en", 0.9, sentiment, 0.9, True, "model@1", NOON)


MENTION = MentionRow("m1", "shop", "social", "chirp", "ana", "x", "", "", NOON, NOON, 0, 9, "en", True, "applied", "")
RECORDS: list[Any] = [
    *(event(number, person=f"p{number % 3}") for number in range(6)),
    event(6, person="", disposition="filtered"),
    event(7, disposition="forwarded"),
    event(8, derived=True, person="p0"),
    MENTION,
    *(message(number) for number in range(4)),
    message(4, "cart", waited=4 * HOUR),
    *(receipt(number) for number in range(3)),
    receipt(3, "refused"),
    receipt(4, after=4 * HOUR + 60 * SECOND),
    decision(1, "CARE_HOLD"),
    decision(2, "CARE_HOLD"),
    decision(3, "SENT"),
    decision(4, "DEFERRED_QUIET", final=False),
    feeling(1, "Fernweh", "negative"),
    feeling(2, "Fernweh", "positive"),
    feeling(3, "Kolibri", "neutral"),
    Failure("f", "shop", "discover", "unreadable", "", b"", NOON, 0, 10),
    SegmentChange("s", "shop", "ana", "New", "Loyal", NOON, "start", "order", 5, 4, 3),
]


def summary(figures: Figures) -> dict[str, Any]:
    return {
        "external": figures.external, "derived": figures.derived, "people": figures.people, "sent": figures.sent,
        "decided": figures.decided, "states": figures.states, "refused": figures.refused, "failed": figures.failures,
        "filtered": figures.filtered, "feelings": figures.feelings, "latency": sorted(figures.latencies),
        "waiting": figures.waiting, "examples": figures.examples, "last": figures.last,
    }  # fmt: skip


def folded(records: list[Any]) -> Figures:
    figures = Figures()
    figures.take(records)
    return figures


def test_records_are_counted_for_what_they_are() -> None:
    figures = folded(RECORDS)
    assert (figures.events, figures.mentions, figures.derived) == (7, 1, 1)
    assert figures.people == {"p0", "p1", "p2"}
    assert figures.sent == {"welcome": 3, "cart": 1}
    assert figures.refused == {("cart", "CARE_HOLD"): 2}
    assert figures.feelings["Fernweh"] == {"negative": 1, "positive": 1}
    assert figures.filtered == {"duplicate": 1}
    assert figures.failures == {"unreadable": 1}
    assert figures.waiting == 0
    assert figures.examples["welcome"].key == "k3"


def test_latency_runs_from_the_cause_or_from_the_wake_that_was_waited_for() -> None:
    figures = folded(RECORDS)
    assert sorted(figures.latencies) == [30 * SECOND] * 3 + [60 * SECOND]
    assert figures.latency(0.5) == 30 * SECOND
    assert figures.latency(0.99) == 60 * SECOND
    assert Figures().latency(0.5) is None


@pytest.mark.parametrize("seed", range(20))
def test_order_and_pieces_do_not_matter(seed: int) -> None:
    chance = Random(seed)
    shuffled = chance.sample(RECORDS, len(RECORDS))
    figures = Figures()
    while shuffled:
        size = chance.randrange(1, 8)
        figures.take(shuffled[:size])
        shuffled = shuffled[size:]
    assert summary(figures) == summary(folded(RECORDS))


def test_a_pulse_knows_its_rate() -> None:
    pulse = Pulse()
    for second in range(5):
        pulse.beat(float(second), second * 100)
        pulse.beat(second + 0.1, 10_000)  # too soon after the last one
    assert pulse.rate == 100.0
    assert spark(pulse.rates()) == "████"
    assert spark([]) == ""
    assert spark([0, 0]) == "  "


@pytest.mark.parametrize("counts", [(0, 0, 0), (1, 0, 0), (1, 1, 1), (5, 3, 11), (1, 0, 999)])
def test_a_bar_is_always_as_wide(counts: tuple[int, int, int]) -> None:
    figures = Figures()
    names = ("negative", "neutral", "positive")
    figures.take(feeling(0, "X", name) for name, number in zip(names, counts, strict=True) for _ in range(number))
    assert len(bar(figures.feelings["X"]) if sum(counts) else "█" * 18) == 18


def test_one_plain_line_says_it_all() -> None:
    line = plain(folded(RECORDS), 12.4, FAST)
    assert "8 events in (12/s)" in line
    assert "sent: cart 1, welcome 3" in line
    assert "p50 100 ms, p99 200 ms" in line
    assert "refused: CARE_HOLD 2" in line
    assert "Fernweh 1/0/1, Kolibri 0/1/0" in line
    assert "filtered 1, failed 1" in line


@pytest.mark.parametrize(
    ("told", "text", "colour"),
    [
        ({"lag": 30 * SECOND}, "100 ms behind", "green"),
        ({"lag": 3_000 * SECOND}, "10,000 ms behind", "yellow"),
        ({"lag": -1}, "", "green"),
        ({"lag": 0, "trouble": "disk full"}, "disk full", "red"),
        ({"error": "disk full"}, "disk full", "red"),
        ({"open": 3}, "3 open", "green"),
        ({"waiting": {"person": 3}}, "", "green"),
        ({}, "", "green"),
    ],
)
def test_a_process_is_shown_by_what_it_says_of_itself(told: dict[str, Any], text: str, colour: str) -> None:
    assert state(told, FAST) == (text, colour)


def drawn(view: View, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(view.screen())
    return console.export_text()


def installation(folder: Path) -> Config:
    """A data folder as a running installation would have it."""
    rows = [record for record in RECORDS if not isinstance(record, Derived)]
    receipts = [record for record in RECORDS if isinstance(record, Derived)]
    config = Config(folder)
    for name, topic, records in (("person", "rows", rows), ("sender", "receipts", receipts)):
        writer = LogWriter(config.folder(name), sync=False)
        writer.append(NOON, {topic: (pack_many(records), len(records)), "other": (b"x", 1)})
        writer.commit()
        writer.close()
    open_clock(config.clock_file, speed=300.0)
    config.folder("status").mkdir()
    (config.folder("status") / "sender.json").write_text('{"open": 2}')
    (config.folder("status") / "door.json").write_text('{"half": ')
    return config


def test_the_view_follows_the_logs_of_a_data_folder(tmp_path: Path) -> None:
    config = installation(tmp_path)
    view = View(config, "Ctrl-C ends")
    for _ in range(2):
        assert not view.refresh()
    assert summary(view.figures) == summary(folded(RECORDS))
    screen = drawn(view, 110)
    clock, words = "300 times as fast", ("a3@people.example", "Hello 3 [b]", "first line", "care hold", "Fernweh")
    for shown in (clock, *words, "p50 100 ms", "1 duplicate", "1 unreadable", "2 open", "Ctrl-C ends"):
        assert shown in screen
    view.close()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_an_empty_view_can_be_drawn_at_any_width(tmp_path: Path, width: int) -> None:
    view = View(Config(tmp_path))
    assert not view.refresh()
    assert max(len(line) for line in drawn(view, width).splitlines()) <= width


def test_watching_in_plain_text_ends_when_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    looks = iter([False, False, True])
    watch(installation(tmp_path), lambda: next(looks), plain=True)
    assert "8 events in" in capsys.readouterr().out


def test_half_written_figures_are_passed_over(tmp_path: Path) -> None:
    config = installation(tmp_path)
    assert statuses(config.folder("status")) == {"sender": {"open": 2}}
    assert statuses(tmp_path / "none") == {}
    assert Tail(Config(tmp_path / "none")).read() == []
