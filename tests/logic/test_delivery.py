"""The life of one send, case by case."""

from __future__ import annotations

from itertools import product

import pytest
from intents import NOON, intent
from msgspec.structs import replace

from schemas.keys import address_in, derived_id
from schemas.records import DAY, HOUR, MINUTE, SECOND, Receipt
from transforms.logic.delivery import (
    ACCEPTED,
    AGAIN,
    ATTEMPTING,
    CLAIMED,
    CONFLICT,
    GONE,
    IN_DOUBT,
    JITTER,
    NEVER,
    REFUSED,
    SCHEDULE,
    SENT,
    WAITING,
    Answer,
    Send,
    Sink,
    begin,
    claim,
    horizon,
    look,
    receipt,
    recover,
    settle,
    stop,
    wait,
    withdraw,
)

A = Sink("A", window=4 * DAY, limit=20_000)
B = Sink("B", window=4 * DAY, limit=20_000)
C = Sink("C", window=4 * DAY, limit=20_000)
FOREVER = 365 * DAY


def claimed(**changes: object) -> Send:
    send = claim(None, intent(expires_at=NOON + FOREVER, **changes), NOON)
    assert send is not None
    return send


def tried(times: int = 1, **changes: object) -> Send:
    """A send in its nth attempt."""
    send = begin(claimed(**changes), NOON)
    for _ in range(times - 1):
        send = begin(settle(send, Answer(AGAIN, "500"), A, NOON), NOON)
    return send


def test_a_new_intent_is_claimed() -> None:
    send = claimed()
    assert (send.state, send.attempts, send.due) == (CLAIMED, 0, NOON)


@pytest.mark.parametrize("state", [CLAIMED, ATTEMPTING, WAITING, SENT, IN_DOUBT])
@pytest.mark.parametrize("revision", [0, 1, 2])
def test_a_taken_key_is_never_claimed_again(state: str, revision: int) -> None:
    assert claim(Send(state, 0, attempts=1), intent(revision=revision), NOON) is None


@pytest.mark.parametrize(("revision", "again"), [(0, False), (1, True), (3, True)])
def test_what_surely_never_left_may_be_decided_again_with_a_higher_revision(revision: int, again: bool) -> None:
    ended = stop(claimed(), "SUPPRESSED", NOON)
    assert ended.untried
    assert (claim(ended, intent(revision=revision), NOON) is not None) is again


def test_a_refusal_after_an_attempt_is_final() -> None:
    ended = settle(tried(), Answer(NEVER, "too_large"), A, NOON)
    assert ended.state == REFUSED
    assert claim(ended, intent(revision=2), NOON) is None


@pytest.mark.parametrize(
    ("now", "blocked", "reason"),
    [
        (NOON, False, ""),
        (NOON, True, "SUPPRESSED"),
        (NOON + DAY - 1, False, ""),
        (NOON + DAY, False, "EXPIRED"),
        (NOON + DAY, True, "EXPIRED"),
    ],
)
def test_the_last_look(now: int, blocked: bool, reason: str) -> None:
    assert look(intent(), blocked, now) == reason


def test_a_message_without_an_expiry_never_expires() -> None:
    assert look(intent(expires_at=0), False, NOON + FOREVER) == ""


def test_the_last_look_refuses_before_the_first_attempt_and_doubts_after_it() -> None:
    assert stop(claimed(), "EXPIRED", NOON).state == REFUSED
    waiting = settle(tried(), Answer(AGAIN, "429"), A, NOON)
    assert stop(waiting, "EXPIRED", NOON).state == IN_DOUBT


@pytest.mark.parametrize(("times", "state"), [(1, REFUSED), (2, IN_DOUBT), (5, IN_DOUBT)])
def test_a_mark_whose_attempt_never_began_is_taken_back(times: int, state: str) -> None:
    ended = stop(withdraw(tried(times)), "SUPPRESSED", NOON)
    assert (ended.state, ended.attempts) == (state, times - 1)


def test_marks_count_attempts_and_remember_the_first() -> None:
    first = begin(claimed(), NOON)
    second = begin(settle(first, Answer(AGAIN, "500"), A, NOON), NOON + MINUTE)
    assert (first.attempts, second.attempts, second.began_at) == (1, 2, NOON)


ANSWERS = {
    "taken": (Answer(ACCEPTED, "200"), SENT, SENT, SENT),
    "other body": (Answer(CONFLICT, "409"), IN_DOUBT, IN_DOUBT, IN_DOUBT),
    "never": (Answer(NEVER, "too_large"), REFUSED, REFUSED, REFUSED),
    "gone": (Answer(GONE, "410"), REFUSED, REFUSED, REFUSED),
    "busy": (Answer(AGAIN, "429", throttle=True), WAITING, WAITING, WAITING),
    "unreachable": (Answer(AGAIN, "unreachable"), WAITING, WAITING, WAITING),
    "lost": (Answer(AGAIN, "timeout", doubt=True), WAITING, WAITING, IN_DOUBT),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize(("place", "sink"), [(0, A), (1, B), (2, C)], ids=["A", "B", "C"])
def test_what_an_answer_means_by_class_of_sink(name: str, place: int, sink: Sink) -> None:
    answer, *states = ANSWERS[name]
    assert settle(tried(), answer, sink, NOON).state == states[place]


@pytest.mark.parametrize("verdict", [NEVER, GONE])
def test_a_refusal_after_a_doubtful_attempt_stays_in_doubt(verdict: str) -> None:
    doubtful = begin(settle(tried(), Answer(AGAIN, "timeout", doubt=True), A, NOON), NOON)
    assert settle(doubtful, Answer(verdict, "410"), A, NOON).state == IN_DOUBT


@pytest.mark.parametrize("times", range(1, len(SCHEDULE)))
def test_waits_follow_the_schedule_with_at_most_a_tenth_more(times: int) -> None:
    send = tried()
    send = replace(send, attempts=times)
    pause = wait(send, Answer(AGAIN, "500"))
    assert SCHEDULE[times] <= pause <= SCHEDULE[times] * (1 + JITTER)
    assert pause == wait(send, Answer(AGAIN, "500"))


def test_waits_of_different_keys_spread() -> None:
    sends = [replace(tried(), attempts=2, message=intent(f"person-{number}")) for number in range(50)]
    assert len({wait(send, Answer(AGAIN, "500")) for send in sends}) == 50


@pytest.mark.parametrize(
    ("wish", "pause"),
    [(-5 * SECOND, SECOND), (0, SECOND), (SECOND, SECOND), (90 * SECOND, 90 * SECOND), (10**15, 24 * HOUR)],
)
def test_the_sinks_wish_counts_between_a_second_and_a_day(wish: int, pause: int) -> None:
    assert wait(tried(), Answer(AGAIN, "429", throttle=True, retry_after=wish)) == pause


@pytest.mark.parametrize(("doubt", "state"), [(False, REFUSED), (True, IN_DOUBT)])
def test_after_the_last_attempt_of_the_schedule_it_is_over(doubt: bool, state: str) -> None:
    send, now, starts = claimed(), NOON, []
    while not send.terminal:
        starts.append(now)
        send = settle(begin(send, now), Answer(AGAIN, "500", doubt=doubt), A, now)
        now = send.due
    assert (send.state, send.code, len(starts)) == (state, "exhausted", len(SCHEDULE))
    assert 27 * HOUR < starts[-1] - starts[0] < 31 * HOUR


@pytest.mark.parametrize(
    ("window", "expires", "last"),
    [
        (24 * HOUR, FOREVER, 23 * HOUR),
        (4 * DAY, FOREVER, 72 * HOUR),
        (4 * DAY, 2 * HOUR, 2 * HOUR),
        (2 * HOUR, FOREVER, HOUR),
    ],
)
def test_the_horizon_is_the_sinks_memory_three_days_or_the_expiry(window: int, expires: int, last: int) -> None:
    send = replace(tried(), message=intent(expires_at=NOON + expires))
    assert horizon(send, Sink("A", window, 20_000)) == NOON + last


@pytest.mark.parametrize("window", [2 * HOUR, 24 * HOUR, 4 * DAY])
def test_no_attempt_begins_behind_the_horizon(window: int) -> None:
    sink, send, now = Sink("A", window, 20_000), claimed(), NOON
    while not send.terminal:
        send = begin(send, now)
        assert now < horizon(send, sink)
        send = settle(send, Answer(AGAIN, "500"), sink, now)
        now = send.due


@pytest.mark.parametrize(("sink", "state"), [(A, WAITING), (B, WAITING), (C, IN_DOUBT)])
def test_an_attempt_that_a_crash_cut_short(sink: Sink, state: str) -> None:
    found = recover(tried(), sink, NOON + SECOND)
    assert (found.state, found.doubt) == (state, True)


def test_a_crash_longer_than_the_sinks_memory_ends_in_doubt() -> None:
    assert recover(tried(), A, NOON + 72 * HOUR).state == IN_DOUBT


def test_a_receipt_repeats_its_id_and_finds_its_person() -> None:
    key = intent().key
    ended = settle(tried(), Answer(ACCEPTED, "200"), A, NOON + SECOND)
    found = receipt(key, "shop", ended, "email")
    assert found.id == derived_id("receipt", key, SENT, 0)
    assert found.address == address_in(key)
    assert found.fact == Receipt(key, SENT, NOON + SECOND, "email", "200", 1, 0)
    assert found == receipt(key, "shop", ended, "email")


def test_a_key_that_names_no_person_still_gets_its_receipt() -> None:
    assert receipt("odd", "shop", stop(claimed(), "EXPIRED", NOON), "email").address == b""


VERDICTS = [answer for answer, *_ in ANSWERS.values()]


@pytest.mark.parametrize("sink", [A, B, C], ids="ABC")
def test_every_history_of_answers_ends_once_and_never_calls_a_doubt_a_refusal(sink: Sink) -> None:
    for history in product(VERDICTS, repeat=3):
        send, doubted = claimed(), False
        for answer in history:
            send = begin(send, NOON)
            doubted = doubted or answer.doubt
            send = settle(send, answer, sink, NOON)
            if send.terminal:
                break
        assert send.state in (SENT, REFUSED, IN_DOUBT, WAITING)
        assert not (send.state == REFUSED and doubted)
        assert send.terminal == (send.message is None)
