"""Care hold: who is upset with a brand, has a complaint open or got money back is left in peace for a while."""

from __future__ import annotations

from schemas.records import CaseChanged, OrderChanged, Said
from transforms.logic.moment import Moment


def learn(moment: Moment) -> bool:
    """Start or prolong the hold if the event calls for one."""
    if not _upsets(moment):
        return False
    end = moment.cause.event_time + moment.plan.tenant.policy.care_hold
    moment.person.held_until = max(moment.person.held_until, end)
    return True


def _upsets(moment: Moment) -> bool:
    fact = moment.cause.fact
    if isinstance(fact, Said):
        return fact.directed and fact.sentiment == "negative"
    if isinstance(fact, CaseChanged):
        return fact.opened
    return isinstance(fact, OrderChanged) and fact.change == "refunded"
