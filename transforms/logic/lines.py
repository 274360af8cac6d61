"""The lines that engage writes for analysts: one disposition a record, one final reason a candidate."""

from __future__ import annotations

from msgspec.structs import replace

from schemas.keys import derived_id
from schemas.records import SECOND, Decision, Derived, Event, EventRow, Known
from transforms.logic.moment import STEP, Candidate, Moment
from transforms.logic.profile import Send

STAGE = "engage"
APPLIED, FAILED, FORWARDED = "applied", "failed", "forwarded"


def event_row(event: Event, person: str, disposition: str = APPLIED, reason: str = "") -> EventRow:
    """The line of a record with what became of it; its id is the record's place in the journal and that."""
    partition, sequence, sub = event.partition, event.sequence, event.sub
    return EventRow(
        f"{partition}-{sequence}-{sub}-{disposition}",
        event.tenant,
        event.fact.kind,
        event.event_time,
        event.received_at,
        partition,
        sequence,
        sub,
        event.derived,
        event.trust,
        event.source,
        person,
        disposition,
        reason,
        event.raw,
    )


def earlier_rows(event: Event, person: str, disposition: str = APPLIED, reason: str = "") -> list[EventRow]:
    """The final lines of the places that a record was forwarded from."""
    if event.route is None:
        return []
    moved = (
        replace(
            event,
            received_at=place.received_at,
            partition=place.partition,
            sequence=place.sequence,
            sub=place.sub,
            derived=place.derived,
        )
        for place in event.route.places
    )
    return [event_row(each, person, disposition, reason) for each in moved]


def forward(known: Known, target: bytes) -> Derived:
    """The same record for the address where its person lives now, through the log."""
    event = known.event
    return Derived(
        id=derived_id("forward", event.id, target),
        tenant=event.tenant,
        event_time=event.event_time,
        ids=event.ids,
        fact=event.fact,
        cause=event.id,
        address=target,
        hops=known.hops + 1,
        original=event,
        past=known.past,
    )


def decision_id(moment: Moment, candidate: Candidate) -> str:
    """The id of a candidate's final decision."""
    campaign, person = candidate.campaign.name, moment.person.id
    return derived_id("decision", moment.plan.tenant.name, campaign, STEP, person, candidate.trigger)


def cancelled(moment: Moment, candidate: Candidate, reason: str) -> Decision:
    """The final decision on a candidate that never came to its gates."""
    return Decision(
        id=decision_id(moment, candidate),
        tenant=moment.plan.tenant.name,
        person=moment.person.id,
        campaign=candidate.campaign.name,
        step=STEP,
        trigger=candidate.trigger,
        reason=reason,
        final=True,
        decided_at=moment.now,
        created_at=candidate.created_at,
    )


def regret(moment: Moment, send: Send) -> Decision:
    """An afterthought on a message that went: had we known in time, it would not have. Lateness in seconds."""
    return Decision(
        id=derived_id("decision", send.key, "regretted"),
        tenant=moment.plan.tenant.name,
        person=moment.person.id,
        campaign=send.campaign,
        step=STEP,
        trigger=send.trigger,
        reason="SENT",
        final=False,
        decided_at=moment.now,
        created_at=send.decided,
        channel=send.channel,
        key=send.key,
        detail=f"regretted {(moment.now - send.decided) // SECOND}",
    )
