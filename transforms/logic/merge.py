"""Two addresses, one person: aliases, and folding an absorbed person into the one who stays.

The fold commutes: whoever is absorbed first, the same person comes out, with the smallest (first seen, id) as identity.
A handover that comes twice changes nothing. Consent never widens: at the same time the stricter word stays.
"""

from __future__ import annotations

from msgspec.structs import replace

from schemas.keys import address_of, derived_id
from schemas.records import CLAIMED, Derived, Handover, Ids, Known, SignedUp
from transforms.logic import caps, consent, identity, orders, views
from transforms.logic.cart import insert
from transforms.logic.moment import Moment
from transforms.logic.profile import (
    ABSORBED,
    CART,
    ENTERED,
    IDENTIFIERS,
    ORDERS,
    PERMISSIONS,
    RUNS,
    SENDS,
    SUPPRESSED,
    TOKENS,
    TRAITS,
    VIEWS,
    Alias,
    Person,
    Run,
    Sealed,
    pack_row,
    unpack_row,
)
from transforms.logic.rfm_transition import rescore


def link(known: Known, row: Person | Alias | None) -> tuple[Alias | None, Derived | None]:
    """What a server's link does to the weaker address: the alias to write, if any, and the person to hand over, if any.

    The first word stays.
    """
    if isinstance(row, Alias):
        return None, None
    return Alias(known.link), None if row is None else _handover(known, row)


def at_home(known: Known, person: Person, secret: bytes) -> tuple[Known, bytes] | None:
    """Where a browser's sign-up belongs that names somebody verified and brings an address that is not theirs.

    It is about that address alone, and whose customer id came along is forgotten: gives the record as it may be
    believed and the address where its person lives, None if the record is right where it is.
    """
    event = known.event
    mail = event.ids.email
    if event.trust != CLAIMED or type(event.fact) is not SignedUp or not person.verified or not mail:
        return None
    home = address_of(secret, event.tenant, "email", mail)
    if home == known.address or identity.is_trusted(identity.identifiers(person), "email", mail):
        return None
    return replace(known, event=replace(event, ids=Ids(email=mail))), home


def _handover(known: Known, person: Person) -> Derived:
    event = known.event
    person.armed = 0  # wakes stay behind, and which one a shard holds depends on how its input was cut
    return Derived(
        id=derived_id("handover", known.address, known.link, event.id),
        tenant=event.tenant,
        event_time=event.received_at,
        ids=Ids(),
        fact=Handover(pack_row(person), known.address),
        cause=event.id,
        address=known.link,
    )


def inherit(fact: Handover) -> Person:
    """The person who arrives at an address where nobody lives."""
    person = unpack_row(fact.parts)
    assert isinstance(person, Person)
    person.armed = 0
    person.absorbed = ABSORBED.write([*ABSORBED.read(person.absorbed), Sealed(fact.origin, b"")])
    return person


def learn(moment: Moment) -> bool:
    """Fold an absorbed person in, once."""
    fact, mine = moment.cause.fact, moment.person
    assert isinstance(fact, Handover)
    absorbed = ABSORBED.read(mine.absorbed)
    if any(each.origin == fact.origin for each in absorbed):
        return False
    other = unpack_row(fact.parts)
    assert isinstance(other, Person)
    nested = [Sealed(each.origin, b"") for each in ABSORBED.read(other.absorbed)]
    mine.absorbed = ABSORBED.write([*absorbed, Sealed(fact.origin, fact.parts), *nested])
    _fold(mine, other, moment.now)
    rescore(moment)
    return True


def _fold(mine: Person, other: Person, now: int) -> None:
    _fold_identity(mine, other)
    _fold_history(mine, other)
    _fold_messages(mine, other, now)


def _fold_identity(mine: Person, other: Person) -> None:
    """Who they are; the older one's id stays, and with it the experiment arms."""
    found = {(each.kind, each.value): each for each in identity.identifiers(mine)}
    for each in identity.identifiers(other):
        identity.unite(found, each)
    mine.identifiers = IDENTIFIERS.write(list(found.values()))
    mine.ids, mine.ids_at = Ids(), 0
    traits = TRAITS.read(mine.traits)
    for name, trait in TRAITS.read(other.traits).items():
        identity.keep_trait(traits, name, trait)
    mine.traits = TRAITS.write(traits)
    older = min(mine, other, key=lambda person: (person.first_seen, person.id))
    mine.id, mine.first_seen = older.id, older.first_seen
    mine.verified = mine.verified or other.verified


def _fold_history(mine: Person, other: Person) -> None:
    """What they did and said."""
    mine.signed_up = min(filter(None, (mine.signed_up, other.signed_up)), default=0)
    mine.held_until = max(mine.held_until, other.held_until)
    mine.orders = ORDERS.write(orders.unite(ORDERS.read(mine.orders), ORDERS.read(other.orders)))
    words = consent.unite(PERMISSIONS.read(mine.permissions), PERMISSIONS.read(other.permissions))
    mine.permissions = PERMISSIONS.write(words)
    mine.suppressed = SUPPRESSED.write(_latest(SUPPRESSED.read(mine.suppressed), SUPPRESSED.read(other.suppressed)))
    seen = VIEWS.read(mine.views)
    for view in VIEWS.read(other.views):
        seen = views.count(seen, view)
    mine.views = VIEWS.write(seen)
    ops = CART.read(mine.cart)
    for op in CART.read(other.cart):
        ops = insert(ops, op)
    mine.cart = CART.write(ops)


def _fold_messages(mine: Person, other: Person, now: int) -> None:
    """What was said to them, and what still waits; a wait whose time passed on the way rings now."""
    mine.sends = SENDS.write(caps.unite(SENDS.read(mine.sends), SENDS.read(other.sends)))
    mine.entered = ENTERED.write(_latest(ENTERED.read(mine.entered), ENTERED.read(other.entered)))
    mine.tokens = TOKENS.write([*TOKENS.read(mine.tokens), *TOKENS.read(other.tokens)])
    runs: dict[str, Run] = {}
    for run in (*RUNS.read(mine.runs), *RUNS.read(other.runs)):
        rival = runs.get(run.campaign)
        if rival is None or (run.at, run.trigger) > (rival.at, rival.trigger):
            runs[run.campaign] = run
    for run in runs.values():
        run.due = max(run.due, now) if run.due else 0
    mine.runs = RUNS.write(list(runs.values()))
    mine.run_due = min((run.due for run in runs.values() if run.due), default=0)


def _latest(mine: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: max(mine.get(name, 0), other.get(name, 0)) for name in sorted({*mine, *other})}
