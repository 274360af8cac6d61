"""Laws of engage over made-up lives: cutting, order of arrival, ledgers, caps and consent."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from lives import NO, YES, Lives, Result, email
from shop import POLICY
from story import DAY_ZERO

from schemas.records import DAY, HOUR, MINUTE, Consent, ConsentChanged, Decision, EventRow, SignedUp, Traits
from transforms.logic.identity import identifiers
from transforms.logic.profile import CART, ORDERS, PERMISSIONS, SUPPRESSED, TRAITS, VIEWS, Person, pack_row, unpack_row
from transforms.logic.silence import TOLD

WHO = ("ana", "bob", "eve")
INVALID = Consent(True, "", "email", 0, "", valid=False)
DEEDS: dict[str, Any] = {
    "signs up": lambda lives, who, more: lives.signs_up(who, **more),
    "signs up without consent": lambda lives, who, more: lives.signs_up(who, NO, **more),
    "fills the cart": lambda lives, who, more: lives.fills_cart(who, "boots", **more),
    "adds to the cart": lambda lives, who, more: lives.fills_cart(who, "rope", **more),
    "takes out": lambda lives, who, more: lives.fills_cart(who, "boots", change="remove", **more),
    "replaces": lambda lives, who, more: lives.fills_cart(who, "tent", "rope", change="replace", **more),
    "empties": lambda lives, who, more: lives.empties_cart(who, **more),
    "checks out": lambda lives, who, more: lives.starts_checkout(who, "boots", **more),
    "orders": lambda lives, who, more: lives.orders(who, f"o-{len(lives.records)}", "boots", **more),
    "orders again": lambda lives, who, more: lives.orders(who, "o-same", "rope", **more),
    "gets money back": lambda lives, who, more: lives.gets_back(who, "o-same", 1_000, **more),
    "views": lambda lives, who, more: lives.views(who, "boots", **more),
    "opens a page": lambda lives, who, more: lives.opens_page(who, **more),
    "agrees": lambda lives, who, more: lives.consents(who, YES, **more),
    "takes it back": lambda lives, who, more: lives.consents(who, NO, **more),
    "says nothing clear": lambda lives, who, more: lives.consents(who, INVALID, **more),
    "unsubscribes": lambda lives, who, more: lives.unsubscribes(who, **more),
    "is called": lambda lives, who, more: lives.is_known_as(who, Traits(f"N{len(lives.records)}"), **more),
    "complains": lambda lives, who, more: lives.says(who),
}
deeds = st.tuples(
    st.sampled_from(sorted(DEEDS)),
    st.sampled_from(WHO),
    st.integers(0, 400),  # minutes since the deed before
    st.sampled_from((0, 0, 0, 0, 5, 90, 300)),  # minutes that it took to arrive
)
sizes = st.lists(st.integers(1, 12), min_size=1, max_size=4)


def lived(done: list[tuple[str, str, int, int]], step: int = MINUTE) -> Lives:
    """The life of these deeds; no two happen at the same time."""
    lives = Lives()
    now = DAY_ZERO + 10 * DAY
    for index, (deed, who, gap, late) in enumerate(done):
        now += gap * step + 1000
        lives._now = lives.end = now
        DEEDS[deed](lives, who, {"happened": now - late * step - index % 7})
    lives.end += 10 * HOUR
    return lives


def bare(result: Result) -> dict[bytes, bytes]:
    """All rows, without what depends on when the shard was asked."""
    rows = {}
    for key, packed in result.rows.items():
        row = unpack_row(packed)
        assert isinstance(row, Person)
        row.armed = 0
        rows[key] = pack_row(row)
    return rows


def told(result: Result) -> list[bytes]:
    out = result.out
    return sorted(msgspec.msgpack.encode(record) for kind in (out.rows, out.intents, out.feedback) for record in kind)


@settings(max_examples=60, deadline=None)
@given(st.lists(deeds, min_size=1, max_size=25), sizes)
def test_cutting_the_input_changes_nothing(done: list[tuple[str, str, int, int]], cuts: list[int]) -> None:
    lives = lived(done)
    one, many = lives.play((1,), returns=False), lives.play(cuts, returns=False)
    assert told(one) == told(many)
    assert bare(one) == bare(many)
    assert not one.out.failures


@settings(max_examples=60, deadline=None)
@given(st.lists(deeds, min_size=2, max_size=12), st.randoms())
def test_learning_commutes(done: list[tuple[str, str, int, int]], chance: Any) -> None:
    lives = lived(done, step=1000)  # all within less than any wait
    order = list(range(len(done)))
    chance.shuffle(order)
    first, second = lives.play(), lives.permuted(order).play()
    for key, packed in first.rows.items():
        assert known(packed) == known(second.rows[key])


def known(packed: bytes) -> list[Any]:
    """What is known of a person, without order."""
    person = unpack_row(packed)
    assert isinstance(person, Person)
    lists: tuple[Any, ...] = (
        CART.read(person.cart),
        ORDERS.read(person.orders),
        PERMISSIONS.read(person.permissions).given,
        VIEWS.read(person.views),
        identifiers(person),
    )
    flat = [sorted(msgspec.msgpack.encode(each) for each in found) for found in lists]
    suppressed = SUPPRESSED.read(person.suppressed)
    suppressed.pop(TOLD, None)  # depends on what waited then, as messages do
    return [*flat, TRAITS.read(person.traits), suppressed, person.first_seen, person.held_until]


@settings(max_examples=60, deadline=None)
@given(st.lists(deeds, min_size=1, max_size=25), sizes)
def test_both_ledgers_add_up(done: list[tuple[str, str, int, int]], cuts: list[int]) -> None:
    lives = lived(done)
    result = lives.play(cuts, returns=False)
    lines = Counter((row.partition, row.sequence) for row in result.lines(EventRow))
    assert lines == {(0, known.event.sequence): 1 for known in lives.records}
    finals = [row for row in result.lines(Decision) if row.final]
    assert len({row.id for row in finals}) == len(finals)
    assert sorted(row.key for row in finals if row.reason == "SENT") == sorted(each.key for each in result.out.intents)
    assert len({message.key for message in result.out.intents}) == len(result.out.intents)


@settings(max_examples=60, deadline=None)
@given(st.lists(deeds, min_size=5, max_size=30), st.sampled_from(("sent", "in_doubt", "")))
def test_caps_are_never_exceeded(done: list[tuple[str, str, int, int]], state: str) -> None:
    lives = lived(done)
    for message in lives.play().out.intents if state else ():
        lives._now = message.decided_at + 1
        lives.reports(message.key, state)
    result = lives.play()
    counted = [message for message in result.out.intents if message.klass == "marketing"]
    for message in counted:
        if message.campaign == "welcome":
            continue
        for cap in POLICY.caps:
            earlier = [
                other
                for other in counted
                if other.person == message.person and 0 < message.decided_at - other.decided_at < cap.window
            ]
            assert len(earlier) < cap.count


@settings(max_examples=60, deadline=None)
@given(st.lists(deeds, min_size=3, max_size=25))
def test_marketing_needs_the_last_word_to_be_yes(done: list[tuple[str, str, int, int]]) -> None:
    lives = lived(done)
    for message in lives.play().out.intents:
        if message.klass == "marketing":
            assert last_word(lives, message.to, message.decided_at)


def last_word(lives: Lives, to: str, now: int) -> bool:
    """What somebody with pencil and paper would say: the newest word that had arrived was a clear yes."""
    words = []
    for record in lives.records:
        event = record.event
        if event.ids.email != to or event.received_at > now:
            continue
        if isinstance(event.fact, ConsentChanged | SignedUp):
            words += [(event.event_time, consent == YES) for consent in event.consents]
        if event.fact.kind == "unsubscribed":
            return False
    return bool(words) and max(words)[1] and to in {email(who) for who in WHO}
