"""What became of messages: receipts settle reservations and tell which addresses are dead or unwilling."""

from __future__ import annotations

from schemas.keys import derived_id
from schemas.records import Event, Receipt, ReceiptRow
from transforms.logic import caps, consent
from transforms.logic.moment import Moment


def learn(moment: Moment) -> bool:
    """Settle the reservation; a hard bounce kills the address, a complaint ends all but what was ordered."""
    event, person = moment.cause, moment.person
    fact = event.fact
    assert isinstance(fact, Receipt)
    moment.out.rows.append(receipt_row(event, caps.settle(person, fact)))
    if fact.state == "bounced" and fact.code[:1] in ("", "5"):
        consent.suppress(person, consent.bounced(fact.channel), fact.at)
    elif fact.state == "complained":
        consent.suppress(person, consent.ANY, fact.at)
    return True


def receipt_row(event: Event, matched: bool) -> ReceiptRow:
    """The analysts' line of a receipt; one that matches no reservation is a ghost."""
    fact = event.fact
    assert isinstance(fact, Receipt)
    return ReceiptRow(
        id=derived_id("receipt", event.id),
        tenant=event.tenant,
        key=fact.key,
        state=fact.state,
        at=fact.at,
        channel=fact.channel,
        code=fact.code,
        attempt=fact.attempt,
        matched=matched,
        received_at=event.received_at,
    )
