"""Ledgers that add up, and each way in which they cannot."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from transforms.logic.ledger import Census, lines, problems

WHOLE = Census(
    external=100,
    settled=90,
    unread_external=7,
    underway=3,
    derived=40,
    arrived=40,
    applied=30,
    repeated=2,
    refused_derived=1,
    unread_derived=5,
    underway_derived=2,
    emitted={"person": 20, "listen": 20, "sender": 5},
    pulled={"person": 18, "listen": 17, "sender": 5},
    candidates=60,
    decided_to_send=12,
    messages=12,
    intents=12,
    to_take=12,
    unread_intents=2,
    taken=9,
    repeated_intents=1,
    ended=6,
    open=3,
    receipts=6,
    told=6,
    returned=4,
    failed=3,
    explained=3,
    written=300,
    sealed=280,
    waiting=20,
)


def test_a_whole_ledger_has_no_problem_even_while_things_are_under_way() -> None:
    assert problems(lines(WHOLE)) == []


def test_an_empty_folder_has_no_problem() -> None:
    assert problems(lines(Census())) == []


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"settled": 89}, "records from outside"),
        ({"settled": 91}, "records from outside"),
        ({"doubled": 1}, "records with two ends"),
        ({"doubled_derived": 1}, "records with two ends"),
        ({"arrived": 41}, "records given back to the door"),
        ({"derived": 41}, "records given back and applied"),
        ({"applied": 29}, "records given back and applied"),
        ({"doubled_candidates": 1}, "candidates with two ends"),
        ({"decided_to_send": 13}, "decisions to send"),
        ({"intents": 13}, "messages decided"),
        ({"to_take": 13}, "intents"),
        ({"unread_intents": 1}, "intents"),
        ({"open": 2}, "messages claimed"),
        ({"receipts": 5}, "receipts"),
        ({"told": 20}, "receipts that came back"),
        ({"returned": 7}, "receipts that came back"),
        ({"explained": 2}, "failed records with a reason"),
        ({"unlike": 1}, "keys only decided or only written"),
        ({"sealed": 279}, "rows of the tables"),
        ({"emitted": {"person": 20, "listen": 20, "sender": 0}}, "records given back to the door"),
    ],
)
def test_a_single_count_that_is_off_is_named(changed: dict[str, int], name: str) -> None:
    found = problems(lines(replace(WHOLE, **changed)))
    assert [problem.partition(":")[0] for problem in found] == [name]


def test_a_log_that_was_pulled_further_than_it_goes_is_not_made_good_by_another() -> None:
    gone = replace(WHOLE, emitted={"person": 25, "listen": 20, "sender": 0}, arrived=40)
    (line,) = [line for line in lines(gone) if line.off]
    assert (line.name, line.off) == ("records given back to the door", -5)


def test_less_than_nothing_is_never_under_way() -> None:
    (line,) = [line for line in lines(Census(emitted={"sender": 41}, pulled={"sender": 88}, arrived=88)) if line.off]
    assert (line.expected, line.found, line.off) == (41, 88, -47)
