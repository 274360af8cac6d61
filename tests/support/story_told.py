"""The story that each family of SDKs tells, and the records that it must come to."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from schemas.records import AnyFact, CartUpdated, Custom, Event, Identified, Item, OrderPlaced, Unsubscribed, Viewed

STORY: dict[str, Any] = json.loads((Path(__file__).parent.parent / "sdks" / "story.json").read_text())
BOOT, BOOTS = (Item("boot-1", "Trail boot", "boots", "", 8990, quantity) for quantity in (1, 2))
FACTS: tuple[AnyFact, ...] = (
    Identified(),
    Viewed("page", "https://shop.example/boots", "Boots"),
    Viewed("product", "", "", BOOT),
    CartUpdated("add", "k-1", "EUR", (BOOTS,)),
    OrderPlaced("o-1", 17980, "EUR", (BOOTS,)),
    Unsubscribed("news", False),
)
EXPECTED = sorted((("c-ana", fact) for fact in FACTS), key=repr)
"""Whose and what; web SDKs post side by side, so in no order."""

MAIL = "ana@people.example"


def told(events: Iterable[Event]) -> list[tuple[str, AnyFact]]:
    """Whose and what; a group that a family must send for itself is no part of the story and nobody's."""
    found = [event for event in events if event.fact != Custom("Group")]
    assert not any(event.ids.customer for event in events if event.fact == Custom("Group"))
    assert [event.ids.email for event in found if event.fact == Identified()] == [MAIL]
    return sorted(((event.ids.customer, event.fact) for event in found), key=repr)
