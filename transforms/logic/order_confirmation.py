"""Order confirmation: at once, for each order once."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.records import OrderPlaced
from transforms.logic.moment import Candidate, Moment
from transforms.logic.words import OrderWords

TRIGGER = "order_confirmation"


def on_order(moment: Moment) -> Iterator[Candidate]:
    """Confirm an order that nobody told us of before."""
    event = moment.cause
    assert isinstance(event.fact, OrderPlaced)
    if not moment.new_order or moment.is_history:
        return
    for campaign in moment.plan.of_trigger(TRIGGER):
        yield Candidate(
            campaign=campaign,
            trigger=event.id,
            created_at=event.event_time,
            caused_at=moment.caused_at,
            channels=campaign.channels,
            words={"order": OrderWords.of(event.fact)},
            entry=campaign.name,
            shared=moment.shared,
        )
