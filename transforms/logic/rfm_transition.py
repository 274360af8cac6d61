"""Moves between RFM segments: published at once on an order, by decay once they have held for an hour.

A move that new cut points alone caused is published as such and starts no campaign.
"""

from __future__ import annotations

from collections.abc import Iterator

from schemas.keys import derived_id
from schemas.records import HOUR, OrderChanged, SegmentChange
from transforms.logic.moment import Candidate, Moment
from transforms.logic.profile import ORDERS, RFM, Order, Rfm
from transforms.logic.rfm import Score, next_change, score

HOLD = HOUR
TRIGGER = "rfm_transition"


def on_order(moment: Moment) -> Iterator[Candidate]:
    """Score the person anew; a move is published at once."""
    if moment.new_order or isinstance(moment.cause.fact, OrderChanged):
        change = rescore(moment)
        if change is not None and not moment.is_history:
            yield from _candidates(moment, change)


def rescore(moment: Moment) -> SegmentChange | None:
    """Publish where the orders as they stand put the person, if that is somewhere else."""
    person = moment.person
    orders, rfm = ORDERS.read(person.orders), RFM.read(person.rfm)
    cuts = moment.book.at(moment.place)
    found = score(orders, moment.now, cuts)
    change = _publish(moment, rfm, found, "order", orders) if found.segment != person.segment else None
    person.rfm = RFM.write(Rfm(found.recency, found.frequency, found.monetary, cuts.version))
    person.rfm_due = next_change(orders, moment.now, cuts)
    return change


def on_wake(moment: Moment) -> Iterator[Candidate]:
    """Time alone may have moved the person: look, look again an hour later, then publish."""
    person, now = moment.person, moment.now
    orders, rfm = ORDERS.read(person.orders), RFM.read(person.rfm)
    cuts = moment.book.at(moment.place)
    found = score(orders, now, cuts)
    moved = found.segment != person.segment
    held = rfm.since and rfm.waiting == found.segment and now - rfm.since >= HOLD
    if moved and not held:
        rfm.waiting, rfm.since = found.segment, now
        person.rfm, person.rfm_due = RFM.write(rfm), now + HOLD
        return
    change = _publish(moment, rfm, found, "decay", orders) if moved else None
    person.rfm = RFM.write(Rfm(found.recency, found.frequency, found.monetary, cuts.version))
    person.rfm_due = next_change(orders, now, cuts)
    if change is not None:
        yield from _candidates(moment, change)


def _publish(moment: Moment, rfm: Rfm, found: Score, cause: str, orders: list[Order]) -> SegmentChange:
    person, now, book = moment.person, moment.now, moment.book
    cuts = book.at(moment.place)
    old = book.named(rfm.cuts)
    if old is not None and old.version != cuts.version and score(orders, now, old).segment == person.segment:
        cause = "recut"
    tenant = moment.plan.tenant.name
    causes = (moment.event.id,) if moment.event else ()
    change = SegmentChange(
        id=derived_id("segment", person.id, found.segment, now, *causes),
        tenant=tenant,
        person=person.id,
        old=person.segment,
        new=found.segment,
        as_of=now,
        cuts=cuts.version,
        cause=cause,
        recency=found.recency,
        frequency=found.frequency,
        monetary=found.monetary,
    )
    person.segment = found.segment
    moment.out.rows.append(change)
    return change


def _candidates(moment: Moment, change: SegmentChange) -> Iterator[Candidate]:
    if change.cause == "recut":
        return
    for campaign in moment.plan.of_trigger(TRIGGER):
        if change.new in campaign.to:
            yield Candidate(
                campaign=campaign,
                trigger=moment.event.id if moment.event else change.id,
                created_at=moment.now,
                caused_at=moment.now,
                channels=campaign.channels,
                words={"segment": change},
                entry=f"{campaign.name}/{change.new}",
                shared=moment.shared,
            )
