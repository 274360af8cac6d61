"""Aliases, forwards and merges: two addresses turn out to be one person."""

from __future__ import annotations

import pytest
from lives import NO, YES, Lives, Result, address, returned, words
from shop import SECRET, shop
from story import at

from schemas.records import EventRow, Ids, Known, SignedUp, Traits, Viewed
from transforms.logic.engage import MOST_HOPS, Engage
from transforms.logic.profile import (
    ABSORBED,
    ORDERS,
    PERMISSIONS,
    VIEWS,
    Alias,
    unpack_row,
)
from transforms.stores.memory import MemoryRows


def alias(result: Result, who: str) -> Alias:
    found = unpack_row(result.rows[b"engage/" + address(who, "email")])
    assert isinstance(found, Alias)
    return found


def test_a_vacant_address_becomes_an_alias_and_forwards() -> None:
    lives = Lives().at("09:00").orders("ana", "o-1", "boots").joins("ana").at("10:00").signs_up("ana", kind="email")
    result = lives.play()
    assert alias(result, "ana") == Alias(address("ana"))
    assert ("welcome", "SENT") in result.reasons("ana")
    ends = [(row.partition, row.sequence, row.derived, row.disposition) for row in result.lines(EventRow)]
    assert ends == [
        (0, 0, False, "applied"),
        (0, 2, False, "forwarded"),  # record 1 was only a link
        (1, 0, True, "applied"),
        (0, 2, False, "applied"),
    ]
    assert result.messages("ana", "welcome")[0].caused_at == at("10:00")
    (forward,) = result.out.feedback
    assert (forward.address, forward.hops) == (address("ana"), 1)


def test_the_first_server_to_join_an_address_to_somebody_is_believed() -> None:
    lives = Lives().at("09:00").joins("ana").at("10:00")
    lives.put(address("ana", "email"), SignedUp(), ids=Ids("c-eve", "ana@people.example"), link=address("eve"))
    result = lives.play()
    assert alias(result, "ana") == Alias(address("ana"))
    assert not result.out.feedback


def test_a_merge_hands_everything_over_once() -> None:
    lives = Lives().at("09:00").signs_up("ana", kind="email").views("ana", "boots", kind="email")
    lives.at("10:00").orders("ana", "o-1", "boots").views("ana", "rope").joins("ana").at("11:00").signs_up("ana")
    result = lives.play()
    person = result.person("ana")
    assert person.id == address("ana", "email").hex()
    assert {seen.product for seen in VIEWS.read(person.views)} == {"boots", "rope"}
    assert [order.id for order in ORDERS.read(person.orders)] == ["o-1"]
    assert len([campaign for campaign, _ in result.sent("ana") if campaign == "welcome"]) == 1


def test_the_same_handover_twice_changes_nothing() -> None:
    lives = Lives().at("09:00").signs_up("ana", kind="email").at("10:00").orders("ana", "o-1", "boots").joins("ana")
    (handover,) = lives.play().out.feedback
    stage, store = Engage({"shop": shop()}, SECRET), MemoryRows()
    work = store.begin()
    rows = []
    for number in range(3):
        stage.run(work.shard("engage", 0), [returned(handover, at("11:00"), number)])
        rows.append(work.shard("engage", 0).get_many([address("ana")]))
    assert rows[0] == rows[1] == rows[2]


def test_whoever_is_absorbed_first_the_same_person_comes_out() -> None:
    parts = []
    for who, time in (("ana", "08:00"), ("bob", "07:00"), ("eve", "09:00")):
        lives = Lives().at(time).orders(who, f"o-{who}", "boots", kind="email").consents(who, YES, kind="email")
        lives.is_known_as(who, Traits(first_name=who), kind="email").at("10:00").joins(who)
        parts += lives.play(returns=False).out.feedback
    assert len(parts) == 3
    found = []
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        stage, work = Engage({"shop": shop()}, SECRET), MemoryRows().begin()
        shard = work.shard("engage", 0)
        for index in order:
            known = returned(parts[index], at("11:00"), index)
            stage.run(shard, [Known(b"\x00target", known.event, "verified")])
        row = unpack_row(shard.get_many([b"\x00target"])[0] or b"")
        assert not isinstance(row, Alias)
        names = sorted(order.id for order in ORDERS.read(row.orders))
        found.append((row.id, row.first_seen, names, len(ABSORBED.read(row.absorbed)), row.traits))
    assert found[0] == found[1] == found[2]
    assert found[0][:2] == (address("bob", "email").hex(), at("07:00"))


def test_consent_never_widens_through_a_merge() -> None:
    lives = Lives().at("09:00").consents("ana", YES, kind="email").consents("ana", NO).at("10:00").joins("ana")
    (word,) = PERMISSIONS.read(lives.play().person("ana").permissions).given
    assert not word.accept


def test_waits_go_along_and_ring_where_the_person_lives_now() -> None:
    lives = Lives().at("08:00").customer("ana")
    lives.at("09:00").fills_cart("ana", "boots", kind="email").at("10:00").joins("ana").until("10:30")
    lives.end = at("10:30")
    result = lives.play()
    stage, work = Engage({"shop": shop()}, SECRET), MemoryRows().begin()
    shard = work.shard("engage", 0)
    shard.put_many({key.removeprefix(b"engage/"): row for key, row in result.rows.items()})
    shard.wake_many([(result.person("ana").armed, address("ana"))])
    out = stage.wake(shard, at("13:00"))
    assert [(message.campaign, message.decided_at) for message in out.intents] == [("cart", at("13:00"))]


def test_too_many_hops_are_a_failure() -> None:
    lives = Lives().at("09:00").joins("ana").at("10:00")
    lives.signs_up("ana", kind="email", hops=MOST_HOPS)
    result = lives.play()
    assert [failure.reason for failure in result.out.failures] == ["identity_loop"]
    assert [(row.disposition, row.reason) for row in result.lines(EventRow)] == [("failed", "identity_loop")]


def test_a_claimed_person_is_not_called_by_name() -> None:
    traits = Traits(first_name="Ana")
    claimed = Lives().at("09:00").signs_up("ana", traits=traits, trust="browser").play()
    assert words(claimed.messages("ana", "welcome")[0])["subject"] == "Welcome, friend"
    shared = Lives().at("09:00").signs_up("ana", traits=traits, confidence="shared").play()
    assert words(shared.messages("ana", "welcome")[0])["subject"] == "Welcome, friend"
    verified = Lives().at("09:00").signs_up("ana", traits=traits).play()
    assert words(verified.messages("ana", "welcome")[0])["subject"] == "Welcome, Ana"


@pytest.mark.parametrize("trust", ["browser", "server"])
def test_a_page_view_never_makes_an_address_the_newest(trust: str) -> None:
    lives = Lives().at("09:00").signs_up("ana")
    lives.at("10:00").put(address("ana"), Viewed("page"), ids=Ids("c-ana", "other@people.example"), trust=trust)
    lives.at("11:00").put(address("ana"), SignedUp(), ids=Ids("c-ana"), consents=())
    lives.at("12:00").orders("ana", "o-1", "boots")
    assert lives.play().messages("ana", "receipt")[0].to == "ana@people.example"
