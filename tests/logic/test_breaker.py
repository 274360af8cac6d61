"""The breaker: who is turned away, for how long, and who may try for all."""

from __future__ import annotations

from transforms.logic.breaker import FAILURES, LONGEST, SHORTEST, Breaker


def broken(at: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES):
        assert breaker.may(at)
        breaker.failed(at)
    return breaker


def test_single_failures_turn_nobody_away() -> None:
    breaker = Breaker()
    for _ in range(10):
        breaker.failed(0.0)
        assert breaker.may(0.0)
        breaker.worked()


def test_some_failures_in_a_row_turn_all_away_until_the_rest_is_over() -> None:
    breaker = broken()
    assert breaker.open
    assert not breaker.may(SHORTEST - 0.01)
    assert breaker.may(SHORTEST)


def test_only_one_tries_for_all() -> None:
    breaker = broken()
    assert [breaker.may(SHORTEST) for _ in range(3)] == [True, False, False]
    breaker.worked()
    assert breaker.may(SHORTEST)


def test_vain_trials_come_ever_more_seldom_and_a_success_forgets_them() -> None:
    breaker, now, rests = broken(), 0.0, []
    for _ in range(6):
        began = now
        while not breaker.may(now):
            now += 0.25
        rests.append(now - began)
        breaker.failed(now)
    assert rests == [SHORTEST, 1.0, 2.0, 4.0, LONGEST, LONGEST]
    breaker.worked()
    assert not breaker.open
    assert broken().may(SHORTEST)
