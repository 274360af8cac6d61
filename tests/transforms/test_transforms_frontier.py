"""How far time has come for a reader whose server keeps no order."""

from __future__ import annotations

import random

from schemas.records import SECOND
from transforms.sources.frontier import Frontier

T = 1_790_000_000 * SECOND
LATENESS, SETTLE = 5 * SECOND, 15 * SECOND


def settled(now: int = T) -> Frontier:
    """A frontier whose server has answered for long enough."""
    frontier = Frontier(0, LATENESS, SETTLE)
    for second in range(20, -1, -1):
        frontier.heard(now - second * SECOND)
    return frontier


def test_an_idle_reader_follows_the_server_s_signs_of_life_not_the_clock() -> None:
    frontier = settled()
    assert frontier.watermark() == T - LATENESS
    assert frontier.watermark() == T - LATENESS
    frontier.heard(T + SECOND)
    assert frontier.watermark() == T + SECOND - LATENESS


def test_time_waits_after_the_start_until_the_backlog_had_its_time_to_come() -> None:
    frontier = Frontier(T - 60 * SECOND, LATENESS, SETTLE)
    for second in range(15):
        frontier.heard(T + second * SECOND)
        assert frontier.watermark() == T - 60 * SECOND
    frontier.heard(T + SETTLE)
    assert frontier.watermark() == T + SETTLE - LATENESS


def test_time_stands_while_the_server_is_silent_and_for_a_while_after() -> None:
    frontier = settled()
    before = frontier.watermark()
    frontier.heard(T + 60 * SECOND)
    assert frontier.watermark() == before
    frontier.came(T + 2 * SECOND, T + 61 * SECOND)
    for second in range(62, 77):
        frontier.heard(T + second * SECOND)
    assert frontier.watermark() == T + 71 * SECOND


def test_what_waits_here_holds_time_up() -> None:
    frontier = settled()
    assert frontier.watermark(T - 8 * SECOND) == T - 8 * SECOND - 1
    assert frontier.watermark(T) == T - LATENESS


def test_what_came_lately_holds_time_up_as_long_as_its_contemporaries_may_be_on_their_way() -> None:
    frontier = settled()
    frontier.came(T - 20 * SECOND, T)
    assert frontier.watermark() == T - 20 * SECOND - 1
    for second in range(1, 5):
        frontier.heard(T + second * SECOND)
        assert frontier.watermark() == T - 20 * SECOND - 1
    frontier.heard(T + LATENESS)
    assert frontier.watermark() == T


def test_what_is_late_already_holds_nothing_up_once_it_is_handed_out() -> None:
    frontier = settled()
    before = frontier.watermark()
    frontier.came(before - 60 * SECOND, T)
    assert frontier.watermark(before - 60 * SECOND) == before
    frontier.heard(T + SECOND)
    assert frontier.watermark() == before + SECOND


def test_whatever_happens_time_never_goes_back_and_nothing_on_time_is_overtaken() -> None:
    chance = random.Random(4)
    frontier, last, waiting = settled(), 0, list[int]()
    for step in range(5_000):
        now = T + step * SECOND // 10
        frontier.heard(now)
        if chance.random() < 0.3:
            published = now - chance.randrange(LATENESS)
            assert published > last, "overtaken although it came in time"
            waiting.append(published)
            frontier.came(published, now)
        if waiting and chance.random() < 0.3:
            waiting.remove(min(waiting))
        reached = frontier.watermark(min(waiting, default=None))
        assert reached >= last
        assert not waiting or reached < min(waiting)
        last = reached
    assert last > T + 400 * SECOND
