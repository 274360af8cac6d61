"""Strangers with the browser key, told with named people, through the whole person lane."""

from __future__ import annotations

import json
from collections.abc import Iterable

from shop import shop
from story import Story, email
from told import Told, live

from schemas.records import Message

SHOP = shop()
MALLORY = "mallory@evil.example"


def lived(story: Story) -> Told:
    """With everything that the lane gives back journaled again."""
    return live(SHOP, story.blocks())[1]


def to(told: Told, mail: str) -> list[Message]:
    return [message for message in told.messages if message.to == mail]


def names(messages: Iterable[Message]) -> list[str]:
    return sorted(message.campaign for message in messages)


def test_mallory_cannot_draw_what_a_server_says_of_ben_to_his_own_account() -> None:
    """He names Ben's mailbox as his own before Ben ever came."""
    story = Story().at("08:00").is_known_as("mallory", firstName="Mallory")
    story.tracks("mallory", "Checkout Started", {"email": email("ben")}, trust="browser")
    story.at("09:00").tracks(
        "ben", "Order Completed", {"order_id": "o-1", "total": 9, "email": email("ben")}, known=False
    )
    told = lived(story.until("10:00"))
    assert names(to(told, email("ben"))) == ["receipt"]
    assert {row.disposition for row in told.events} == {"applied"}, "nothing of Ben's went on to Mallory's address"


def test_a_sign_up_with_anas_number_and_mallorys_mailbox_is_mallorys() -> None:
    story = Story().at("08:00").is_known_as("ana", firstName="Ana")
    signup = {"email": MALLORY, "marketing_opt_in": True}
    story.at("09:00").tracks("ana", "Signed Up", signup, trust="browser", cookie="k-mallory")
    told = lived(story.until("10:00"))
    assert names(to(told, MALLORY)) == ["confirm", "welcome"]
    assert "Ana" not in json.dumps([message.body.decode() for message in told.messages])
    assert names(told.messages) == ["confirm", "welcome"]
    (forwarded,) = [row for row in told.events if row.disposition == "forwarded"]
    assert len([row for row in told.events if row.sequence == forwarded.sequence]) == 2, (
        "its line is closed at its new home"
    )
