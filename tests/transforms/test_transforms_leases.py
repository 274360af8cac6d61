"""Leases: each message is settled, given back or let go of, exactly once."""

from __future__ import annotations

import random

from transforms.sources.leases import Due, Leases

HOLD = 100


def due(leases: Leases, now: int = 0, renew: bool = False) -> Due:
    return leases.due(now, renew=renew)


def test_what_a_checkpoint_holds_is_settled_up_to_its_number_and_once() -> None:
    leases = Leases(HOLD)
    leases.take("abcd", 0)
    assert leases.hand_out("ab") == 2
    assert leases.hand_out("c") == 3
    leases.settle(2)
    assert due(leases).settled == ["a", "b"]
    leases.settle(1)
    leases.settle(2)
    assert due(leases) == Due([], [], [])
    leases.settle(3)
    assert due(leases, renew=True) == Due(["c"], [], ["d"])


def test_what_a_position_does_not_hold_is_given_back() -> None:
    leases = Leases(HOLD)
    leases.take("abcd", 0)
    leases.hand_out("abc")
    leases.give_back_after(1)
    assert sorted(due(leases, renew=True).returned) == ["b", "c", "d"]
    leases.settle(3)
    assert due(leases).settled == ["a"]
    assert leases.idle


def test_a_lease_is_renewed_until_it_was_held_long_enough_and_then_let_go_of() -> None:
    leases = Leases(HOLD)
    leases.take("a", 0)
    leases.take("b", 50)
    leases.hand_out("a")
    assert due(leases, HOLD - 1, renew=True).held == ["a", "b"]
    assert due(leases, HOLD, renew=True).held == ["b"]
    leases.settle(1)
    assert due(leases, HOLD).settled == []


def test_what_the_server_could_not_be_told_is_said_again() -> None:
    leases = Leases(HOLD)
    leases.owe(["a"])
    assert not leases.idle
    assert due(leases).settled == ["a"]
    assert leases.idle


def test_each_lease_has_one_end_whatever_the_order_of_events() -> None:
    chance = random.Random(5)
    leases, ended, fresh, number = Leases(1 << 60), list[str](), list[str](), 0
    for step in range(3_000):
        what = chance.random()
        if what < 0.4:
            leases.take([str(step)], step)
            fresh.append(str(step))
        elif what < 0.7 and fresh:
            number = leases.hand_out([fresh.pop(chance.randrange(len(fresh)))])
        elif what < 0.9:
            leases.settle(chance.randint(0, number))
        elif fresh:
            leases.give_back([fresh.pop()])
        told = due(leases, step, renew=True)
        ended += told.settled + told.returned
        assert not set(told.held) & set(ended)
    assert len(ended) == len(set(ended)) > 300
