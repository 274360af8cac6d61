"""From a candidate to its one decision and, if all gates let it pass, its message with the reservation it counts as."""

from __future__ import annotations

from schemas.keys import address_of, derived_id
from schemas.records import Decision, Message
from transforms.logic import caps, welcome
from transforms.logic.gates import Case, Verdict, judge
from transforms.logic.identity import CHANNEL_KIND, identifiers, suppression_keys
from transforms.logic.lines import decision_id
from transforms.logic.moment import STEP, Candidate, Moment
from transforms.logic.profile import ENTERED, SENDS, Send


def decide(moment: Moment, candidate: Candidate) -> None:
    """Judge a candidate, record the decision and hand over the message, all in the person's own step."""
    person = moment.person
    case = Case(moment, candidate, identifiers(person), SENDS.read(person.sends), candidate.channels)
    verdict = judge(case)
    if verdict.entered:
        _enter(case)
    key = ""
    if not verdict.reason:
        message = _message(case)
        key = message.key
        _reserve(case, message)
        moment.out.intents.append(message)
        moment.out.rows.append(message)
    moment.out.rows.append(_decision(case, verdict, key))


def _enter(case: Case) -> None:
    """Remember the entry; those of once-for-life campaigns by channel."""
    campaign = case.campaign
    if campaign.reentry == 0:
        return
    entered = ENTERED.read(case.person.entered)
    if campaign.reentry is None:
        chosen = (case.channel,) if case.channel else case.channels
        entered.update((welcome.entry_of(campaign, channel), case.moment.now) for channel in chosen)
    else:
        entered[case.candidate.entry] = case.moment.now
    case.person.entered = ENTERED.write(entered)


def _message(case: Case) -> Message:
    campaign, moment, plan = case.campaign, case.moment, case.moment.plan
    tenant = plan.tenant.name
    kind = CHANNEL_KIND.get(case.channel, "customer")
    life = ""
    if campaign.reentry is None:
        life = derived_id("life", campaign.name, STEP, address_of(plan.secret, tenant, kind, case.to))
    return Message(
        key=case.key(case.channel),
        tenant=tenant,
        person=case.person.id,
        campaign=campaign.name,
        step=STEP,
        channel=case.channel,
        to=case.to,
        klass=campaign.klass,
        category=campaign.category,
        trigger=case.candidate.trigger,
        decided_at=moment.now,
        expires_at=case.candidate.created_at + campaign.expires,
        suppression=suppression_keys(plan.secret, case.person, case.known),
        body=case.body,
        life=life,
        variant=case.variant,
        caused_at=case.candidate.caused_at,
    )


def _reserve(case: Case, message: Message) -> None:
    counts = case.campaign.counts_to_cap
    mark = caps.mark(message.to)
    case.person.sends = caps.reserved(
        case.sends,
        Send(
            message.key,
            message.campaign,
            message.channel,
            mark,
            message.trigger,
            message.decided_at,
            message.expires_at,
            counts,
        ),
    )


def _decision(case: Case, verdict: Verdict, key: str) -> Decision:
    candidate, moment = case.candidate, case.moment
    return Decision(
        id=decision_id(moment, candidate),
        tenant=moment.plan.tenant.name,
        person=case.person.id,
        campaign=case.campaign.name,
        step=STEP,
        trigger=candidate.trigger,
        reason=verdict.reason or "SENT",
        final=True,
        decided_at=moment.now,
        created_at=candidate.created_at,
        channel=case.channel,
        key=key,
        not_checked=verdict.not_checked,
    )
