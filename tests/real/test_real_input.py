"""Real orders and real posts through all real processes: three months and 500 posts, held against the files.

The whole 18 months: `python -m tests.real.play_real --full --data build/real-data`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipelines.config import Config
from tests.real.history import ORDERS, POSTS
from tests.real.play_real import WORKSPACE, perform
from tests.real.real_figures import macro_f1
from tests.real.real_input import FOLDER, missing
from tests.real.real_truth import CHECKS, Outcome, segment

MISSING = missing(ORDERS, POSTS)
NEEDED = pytest.mark.skipif(bool(MISSING), reason=MISSING)
DAY = 86_400_000_000


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, dict[str, Any]]:
    """One short play, whose ledgers add up and whose replay is equal: it raises otherwise."""
    data = tmp_path_factory.mktemp("real") / "data"
    figures = perform(FOLDER, data, short=True)
    return Outcome(FOLDER, Config(data, WORKSPACE), short=True), figures


@pytest.mark.slow
@pytest.mark.timeout(400)
@NEEDED
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_came_of_it_follows_from_the_files(
    played: tuple[Outcome, dict[str, Any]], check: Callable[[Outcome], Iterator[str]]
) -> None:
    outcome, _ = played
    assert list(check(outcome)) == []


@pytest.mark.slow
@pytest.mark.timeout(400)
@NEEDED
def test_the_figures_are_those_of_the_tables(played: tuple[Outcome, dict[str, Any]]) -> None:
    outcome, figures = played
    assert figures["records"]["orders"] == outcome.orders
    assert sum(figures["messages"].values()) == sum(figures["receipts"].values())
    assert sum(brand["posts"] for brand in figures["sentiment"].values()) == figures["records"]["posts"]
    assert set(figures["peak_rss_mb"]) == {"door", "person", "listen", "sender", "tables"}


# --- the yardsticks themselves ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "cents", "expected"),
    [
        ([], 100, ""),
        ([0], 0, ""),
        ([0], 100, "New"),
        ([31], 100, "Promising"),
        ([400], 100, "Hibernating"),
        ([1, 2, 3, 4], 100, "Champion"),
        ([1, 400, 401, 402], 100, "New"),
        ([181, 182, 183, 184, 185, 186], 100, "Can't lose"),
    ],
)
def test_a_segment_by_hand(days: list[int], cents: int, expected: str) -> None:
    now = 1000 * DAY
    assert segment([(now - each * DAY, cents) for each in days], now) == expected


def test_macro_f1_by_hand() -> None:
    pairs = [("negative", "negative"), ("negative", "neutral"), ("neutral", "neutral"), ("positive", "positive")]
    assert macro_f1(pairs) == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
