"""Scores, segments and when they change by waiting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lives import Lives
from shop import CUTS
from story import at

from schemas.records import DAY, CutsPublished, Ids
from transforms.logic.profile import Order
from transforms.logic.rfm import GRID, Score, next_change, score

NOW = 20_000 * DAY


def bought(*days_ago: int, value: int = 6_000) -> list[Order]:
    return [Order(f"o-{index}", NOW - days * DAY, value) for index, days in enumerate(days_ago)]


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ([], Score()),
        (bought(0, value=0), Score()),
        (bought(0), Score("New", 5, 1, 2)),
        (bought(30), Score("New", 5, 1, 2)),
        (bought(31), Score("Promising", 4, 1, 2)),
        (bought(0, 10), Score("Potential loyalist", 5, 2, 3)),
        (bought(0, 10, 20, 30), Score("Champion", 5, 4, 4)),
        (bought(300, 301, 302, 303, 304, 305), Score("Can't lose", 1, 5, 4)),
        (bought(400), Score("Hibernating", 1, 1, 2)),
        (bought(800), Score("Hibernating", 1, 1, 1)),
        ([Order("o", NOW, 6_000, back=6_000)], Score()),
        ([Order("o", NOW, 6_000, void=True)], Score()),
        ([Order("o", 0, 0, back=10)], Score()),
    ],
)
def test_scores(orders: list[Order], expected: Score) -> None:
    assert score(orders, NOW, CUTS) == expected


def test_all_cells_have_a_segment() -> None:
    assert len({name for row in GRID for name in row}) == 10


@given(st.lists(st.integers(0, 900), min_size=1, max_size=5), st.integers(0, 900 * 24))
def test_nothing_changes_before_the_next_change(days: list[int], hours: int) -> None:
    orders = bought(*days)
    following = next_change(orders, NOW, CUTS)
    later = NOW + hours * DAY // 24
    if not following or later < following:
        assert score(orders, later, CUTS) == score(orders, NOW, CUTS)


def test_a_refund_moves_the_person_back_at_once() -> None:
    lives = Lives().at("08:00").customer("ana").at("09:00").orders("ana", "o-2", "boots")
    lives.at("10:00").gets_back("ana", "o-2", change="cancelled")
    moves = [(move.old, move.new, move.cause) for move in lives.play().moves]
    assert moves[1:] == [("New", "Potential loyalist", "order"), ("Potential loyalist", "New", "order")]


def test_the_same_order_counts_once_in_whatever_order_its_changes_come() -> None:
    lives = (
        Lives().at("08:00").gets_back("ana", "o-1", 1_000).orders("ana", "o-1", "boots").orders("ana", "o-1", "boots")
    )
    result = lives.play()
    assert [(move.frequency, move.monetary) for move in result.moves] == [(1, 2)]
    assert [reason for name, reason in result.reasons("ana") if name == "receipt"] == ["SENT"]


def test_cut_points_hold_from_their_place_in_the_journal_on() -> None:
    strict = CutsPublished("cuts-2", (1, 2, 3, 4), CUTS.frequency, CUTS.monetary)
    lives = Lives().at("08:00").orders("ana", "o-1", "boots").at("09:00").publishes_cuts(strict)
    lives.at("09:01").orders("bob", "o-2", "boots", happened=at("09:00") - 6 * DAY)
    result = lives.play()
    assert [(move.new, move.cuts) for move in result.moves] == [("New", "fixed-1"), ("Hibernating", "cuts-2")]
    assert len(result.applied) == 3


def test_nobody_believes_a_browser_about_cut_points() -> None:
    strict = CutsPublished("cuts-2", (1, 2, 3, 4), CUTS.frequency, CUTS.monetary)
    lives = (
        Lives()
        .at("09:00")
        .put(b"\x00" * 16, strict, ids=Ids(), trust="browser")
        .at("09:01")
        .orders("bob", "o-2", "boots")
    )
    assert [move.cuts for move in lives.play().moves] == ["fixed-1"]
