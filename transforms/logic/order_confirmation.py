"""Order confirmation: at once, for each order once.

An order of which only a browser told is confirmed by number and amount alone, and few of them in a day: anybody can
post orders under a customer's number, with any words in them.
"""

from __future__ import annotations

from collections.abc import Iterator

from schemas.records import CLAIMED, DAY, OrderPlaced
from transforms.logic.moment import Candidate, Moment
from transforms.logic.words import OrderWords

TRIGGER = "order_confirmation"
MOST = (3, DAY)
"""No browser's order is confirmed where so many were in so long."""


def on_order(moment: Moment) -> Iterator[Candidate]:
    """Confirm an order that nobody told us of before."""
    event = moment.cause
    assert isinstance(event.fact, OrderPlaced)
    if not moment.new_order or moment.is_history:
        return
    claimed = event.trust == CLAIMED
    for campaign in moment.plan.of_trigger(TRIGGER):
        yield Candidate(
            campaign=campaign,
            trigger=event.id,
            created_at=event.event_time,
            caused_at=moment.caused_at,
            channels=campaign.channels,
            words={"order": OrderWords.claimed(event.fact) if claimed else OrderWords.of(event.fact)},
            entry=campaign.name,
            shared=moment.shared,
            most=MOST if claimed else None,
        )
