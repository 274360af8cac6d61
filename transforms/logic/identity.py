"""Who the person is, as records tell: identifiers and traits. All of it commutes: verified wins, then the newest.

A page view vouches for nothing: it may add an identifier but never makes one the newest.
"""

from __future__ import annotations

from msgspec.structs import asdict

from schemas.keys import address_of
from schemas.records import Event, Ids, Traits, Viewed
from transforms.logic.profile import IDENTIFIERS, TRAITS, Identifier, Person, Trait

KINDS = ("customer", "email", "phone", "handle")
CHANNEL_KIND = {"email": "email", "sms": "phone", "voice": "phone", "social": "handle"}
"""Which identifier a channel needs; any other channel takes the customer id."""

_MOST = 16
_LONGEST = 500


def observe(person: Person, event: Event, sure: bool) -> bool:
    """Learn the identifiers of a record; True if that changed anything."""
    ids, mine = event.ids, person.ids
    view = type(event.fact) is Viewed
    if view and holds(person, ids, sure):
        return False
    if not (ids.customer or ids.email or ids.phone or ids.handle):
        return False
    if sure:
        person.verified = True
    at = 0 if view else event.event_time
    if sure is person.ids_sure and _same(ids, mine):
        person.ids_at = max(person.ids_at, at)
        return True
    person.identifiers = IDENTIFIERS.write(identifiers(person))
    person.ids = Ids(ids.customer, ids.email, ids.phone, ids.handle)
    person.ids_sure, person.ids_at = sure, at
    return True


def _same(ids: Ids, mine: Ids) -> bool:
    return (
        ids.customer == mine.customer
        and ids.email == mine.email
        and ids.phone == mine.phone
        and ids.handle == mine.handle
    )


def holds(person: Person, ids: Ids, sure: bool) -> bool:
    """Whether a view with these identifiers tells nothing new: no other value, no first vouching."""
    mine = person.ids
    return (
        (person.ids_sure or not sure)
        and (not ids.customer or ids.customer == mine.customer)
        and (not ids.email or ids.email == mine.email)
        and (not ids.phone or ids.phone == mine.phone)
        and (not ids.handle or ids.handle == mine.handle)
    )


def identifiers(person: Person) -> list[Identifier]:
    """All identifiers of the person, the last record's among them, the best first."""
    found = {(each.kind, each.value): each for each in IDENTIFIERS.read(person.identifiers)}
    for kind in KINDS:
        if value := getattr(person.ids, kind):
            unite(found, Identifier(kind, value, person.ids_sure, person.ids_at))
    return sorted(found.values(), key=lambda each: each.rank, reverse=True)[:_MOST]


def unite(found: dict[tuple[str, str], Identifier], new: Identifier) -> None:
    """Add an identifier, or a better word on one: a claim makes nothing newer that a server said."""
    old = found.get((new.kind, new.value))
    if old is None or new.rank > old.rank:
        found[new.kind, new.value] = new


def trusted(known: list[Identifier]) -> list[Identifier]:
    """What may be relied upon of a verified person: a server's word, or a token's where no server ever spoke.

    A token proves an address, not whose customer id the sign-up claimed; so it stands back once a server has spoken.
    """
    return [each for each in known if each.sure] or [each for each in known if each.proven]


def is_trusted(known: list[Identifier], channel: str, to: str) -> bool:
    """Whether an address on a channel is the person's for certain."""
    kind = CHANNEL_KIND.get(channel, "customer")
    return any(each.kind == kind and each.value == to for each in trusted(known))


def address_on(channel: str, known: list[Identifier], verified: bool) -> str:
    """Where a channel reaches the person, empty if nowhere: a `verified` one never at what somebody only claims.

    `known` has the best first.
    """
    kind = CHANNEL_KIND.get(channel, "customer")
    return next((each.value for each in (trusted(known) if verified else known) if each.kind == kind), "")


def suppression_keys(secret: bytes, person: Person, known: list[Identifier]) -> tuple[bytes, ...]:
    """The person's own address and those of all identifiers: what the sender looks up before every attempt."""
    named = (address_of(secret, person.tenant, each.kind, each.value) for each in known)
    return tuple(sorted({bytes.fromhex(person.id), *named}))


def describe(person: Person, traits: Traits, sure: bool, at: int) -> None:
    """Learn what a record says about the person."""
    found = TRAITS.read(person.traits)
    for name, value in asdict(traits).items():
        if value:
            keep_trait(found, name, Trait(sure, at, value[:_LONGEST]))
    person.traits = TRAITS.write(found)


def keep_trait(found: dict[str, Trait], name: str, new: Trait) -> None:
    """The better of two traits stays."""
    old = found.get(name)
    if old is None or new.rank > old.rank:
        found[name] = new
