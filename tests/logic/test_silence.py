"""A no reaches messages that wait already, however the person was named who says it."""

from __future__ import annotations

import pytest
from lives import NO, Lives, Result, address
from msgspec.structs import replace

from schemas.codec import pack
from schemas.records import Derived, Identified, Ids, Message, Silenced, Unsubscribed
from transforms.logic import suppress


def told(result: Result) -> list[Silenced]:
    return [back.fact for back in result.out.feedback if isinstance(back.fact, Silenced)]


def refused(message: Message, *facts: Silenced) -> bool:
    """Whether the door's list stops a message after these were handed back."""
    found: dict[bytes, suppress.Refusals] = {}
    for fact in facts:
        for change in suppress.handed_back(pack(Derived("d", "shop", 0, Ids(), fact)), 0):
            assert change.said is not None
            row = found.get(change.address, suppress.Refusals())
            found[change.address] = suppress.fold(row, replace(change, sequence=change.said[1]))
    rows = [found.get(key, suppress.Refusals()) for key in message.suppression]
    return suppress.blocked(rows, message.klass, message.category, message.channel)


def welcomed() -> Lives:
    return Lives().at("09:00").signs_up("ana").at("09:01")


def test_a_no_that_only_a_cookie_says_stops_what_waits() -> None:
    result = welcomed().unsubscribes("ana", ids=Ids(cookie="k"), trust="browser").play()
    (message,) = result.messages("ana", "welcome")
    (fact,) = told(result)
    assert refused(message, fact)
    assert (fact.refused, fact.number) == ((("marketing", "*"),), 1)


def test_a_rejected_consent_stops_what_waits_and_only_that() -> None:
    result = welcomed().consents("ana", NO, ids=Ids(cookie="k"), trust="browser").play()
    (message,) = result.messages("ana", "welcome")
    assert told(result)[0].refused == (("marketing", "email"),)
    assert refused(message, *told(result))


def test_a_complaint_stops_what_waits() -> None:
    key = welcomed().play().messages("ana", "welcome")[0].key
    result = welcomed().reports(key, "complained").play()
    assert told(result)[0].refused == (("*", "*"),)
    assert refused(result.messages("ana", "welcome")[0], *told(result))


@pytest.mark.parametrize("linked_first", [True, False])
def test_a_link_brings_the_no_to_what_waits_for_an_address_alone(linked_first: bool) -> None:
    lives = Lives().at("09:00").signs_up("ana", kind="email", ids=Ids(email="ana@people.example")).at("09:01")
    if linked_first:
        lives.joins("ana")
    lives.at("09:02").unsubscribes("ana", ids=Ids("c-ana")).at("09:03").joins("ana")
    result = lives.play()
    (message,) = result.messages("ana", "welcome")
    assert address("ana") not in message.suppression
    assert refused(message, *told(result))


def test_a_no_under_a_number_stops_mail_to_the_address_that_only_browsers_join_to_it() -> None:
    """A shop without a server: the mailbox was confirmed before the same browser told the customer's number."""
    lives = Lives().at("09:00").signs_up("ana", kind="email", ids=Ids(email="ana@people.example"), trust="browser")
    lives.at("10:00").add("ana", Identified(), trust="browser").at("10:01")
    result = lives.add("ana", Unsubscribed(everything=True), ids=Ids("c-ana", cookie="k"), trust="browser").play()
    (message,) = result.messages("ana", "welcome")
    assert message.person == address("ana", "email").hex()
    assert refused(message, *told(result))


def test_nobody_tells_the_door_of_what_no_message_waits_for() -> None:
    assert told(Lives().at("09:00").unsubscribes("ana").play()) == []
    key = welcomed().play().messages("ana", "welcome")[0].key
    confirm = next(message.key for message in welcomed().play().messages("ana", "confirm"))
    sent = welcomed().reports(key).reports(confirm).unsubscribes("ana").play()
    assert told(sent) == []


def test_only_a_servers_confirmation_takes_back_what_the_door_was_told() -> None:
    lives = welcomed().unsubscribes("ana").at("09:05")
    first = told(lives.play())
    assert told(lives.confirms("ana", trust="browser").play()) == first
    back = told(lives.confirms("ana").play())
    assert [fact.refused for fact in back] == [(("marketing", "*"),), ()]
    (message,) = lives.play().messages("ana", "welcome")
    assert refused(message, first[0])
    assert not refused(message, *back)
    assert not refused(message, *reversed(back)), "whichever arrives first"


def test_a_message_can_be_refused_by_its_person_alone() -> None:
    message = welcomed().play().messages("ana", "welcome")[0]
    assert address("ana") in message.suppression
    assert bytes.fromhex(message.person) in message.suppression


def test_what_the_door_was_told_makes_nobody_and_says_nothing_again() -> None:
    fact = Silenced((address("ana"),), (("*", "*"),), 1, 1)
    result = Lives().at("09:00").put(address("ana"), fact, ids=Ids(), trust="own", derived=True).play()
    assert (b"engage/" + address("ana")) not in result.rows
    assert not result.out.feedback
    assert [row.type for row in result.applied] == ["silenced"]
