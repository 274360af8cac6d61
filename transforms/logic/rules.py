"""What each kind of event teaches about a person, and what it triggers: two tables to read, and to add to."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from schemas.records import (
    CartUpdated,
    CaseChanged,
    CheckoutStarted,
    Confirmed,
    ConsentChanged,
    Event,
    Fact,
    Handover,
    Known,
    OrderChanged,
    OrderPlaced,
    Receipt,
    Said,
    SignedUp,
    Unsubscribed,
    Viewed,
)
from transforms.logic import (
    abandoned_cart,
    care,
    cart,
    confirmation,
    consent,
    identity,
    merge,
    order_confirmation,
    orders,
    receipts,
    rfm_transition,
    silence,
    views,
    welcome,
)
from transforms.logic.moment import Candidate, Moment
from transforms.logic.profile import Person

Learner = Callable[[Moment], bool]
Rule = Callable[[Moment], Iterable[Candidate]]

LEARN: dict[type[Fact], tuple[Learner, ...]] = {
    Viewed: (views.learn,),
    CartUpdated: (cart.learn,),
    CheckoutStarted: (cart.learn,),
    OrderPlaced: (orders.place, cart.learn),
    OrderChanged: (orders.change, care.learn),
    CaseChanged: (care.learn,),
    Said: (care.learn,),
    Confirmed: (consent.confirm,),
    Unsubscribed: (consent.unsubscribe,),
    Receipt: (receipts.learn,),
    Handover: (merge.learn,),
}
"""How each kind of event changes the profile, beyond identifiers, traits and consents."""

RULES: dict[type[Fact], tuple[Rule, ...]] = {
    SignedUp: (confirmation.on_signup, welcome.on_signup),
    ConsentChanged: (welcome.on_consent,),
    Confirmed: (welcome.on_consent,),
    CartUpdated: (abandoned_cart.follow,),
    CheckoutStarted: (abandoned_cart.follow,),
    OrderPlaced: (order_confirmation.on_order, abandoned_cart.follow, rfm_transition.on_order),
    OrderChanged: (rfm_transition.on_order,),
}
"""What each kind of event triggers. Consents may come with any event."""


_NONE: tuple[Rule, ...] = ()


def rules_of(event: Event) -> tuple[Rule, ...]:
    """The rules that an event calls for; consents may come with any event."""
    rules = RULES.get(type(event.fact), _NONE)
    if event.consents and welcome.on_signup not in rules and welcome.on_consent not in rules:
        return (*rules, welcome.on_consent)
    return rules


def teaches_nothing(known: Known, person: Person, sure: bool) -> bool:
    """Whether a record cannot change the person, nor ask for anything: most of a day are pages that somebody opened."""
    event = known.event
    fact = event.fact
    return (
        type(fact) is Viewed
        and fact.item is None
        and event.traits is None
        and known.past is None
        and not event.consents
        and event.event_time >= person.first_seen
        and identity.holds(person, event.ids, sure)
    )


def learn(moment: Moment, known: Known) -> bool:
    """Take a record into the profile; True if that changed it."""
    event, person = known.event, moment.person
    changed = identity.observe(person, event, moment.sure)
    if event.event_time < person.first_seen:
        person.first_seen, changed = event.event_time, True
    if event.traits is not None:
        identity.describe(person, event.traits, moment.sure, event.event_time)
        changed = True
    if event.consents:
        consent.learn(moment)
        changed = True
    if known.past is not None:
        views.remember(person, known.past)
        changed = True
    for learner in LEARN.get(type(event.fact), ()):
        changed = learner(moment) or changed
    silence.hand_back(moment, known.address)
    return changed
