"""What a person refused, handed back to the door under every address that the job knows.

A message may wait at the sender for a retry while its person says no as a browser's cookie, by a complaint, or as
somebody whom the message did not know yet. The door cannot tell who that is; the job can, and tells it.
"""

from __future__ import annotations

from collections.abc import Iterable

from schemas.keys import address_of, derived_id
from schemas.records import Confirmed, Derived, Event, Handover, Ids, Receipt, Silenced
from transforms.logic import consent
from transforms.logic.identity import KINDS, identifiers, suppression_keys
from transforms.logic.moment import Moment
from transforms.logic.profile import ABSORBED, PERMISSIONS, SENDS, SUPPRESSED, Person
from transforms.logic.suppress import ANY, refused

TOLD = "told"
"""The name under which a profile notes that the door was told; it refuses nothing by itself."""

_NO_CATEGORY = (consent.CONFIRMED, consent.bounced(""), TOLD)


def hand_back(moment: Moment, address: bytes) -> None:
    """Tell the door what was refused if that may stop a message of which it cannot know, and what is taken back then.

    `address` is where the person lives.
    """
    person, event = moment.person, moment.cause
    if isinstance(event.fact, Confirmed) and moment.sure and any(getattr(event.ids, kind) for kind in KINDS):
        if TOLD in SUPPRESSED.read(person.suppressed):
            moment.out.feedback.append(_silenced(moment, address, ()))
        return
    said = _standing(person) if isinstance(event.fact, Handover) else refused(event, moment.plan.tenant.categories)
    pairs = tuple(sorted(set(said)))
    if pairs and (isinstance(event.fact, Receipt) or _waits(person, moment.now) or _claims(moment, address)):
        consent.suppress(person, TOLD, moment.now)
        moment.out.feedback.append(_silenced(moment, address, pairs))


def _waits(person: Person, now: int) -> bool:
    """Whether a message may still be on its way."""
    return any(send.state == "open" and now < send.expires for send in SENDS.read(person.sends))


def _claims(moment: Moment, address: bytes) -> bool:
    """Whether the person is also somebody by a browser's word, which joins nobody: who lives there hears nothing."""
    person, event, secret = moment.person, moment.cause, moment.plan.secret
    named = {(kind, getattr(event.ids, kind)) for kind in KINDS}
    return any(
        not each.sure
        and (each.kind, each.value) not in named
        and address_of(secret, person.tenant, each.kind, each.value) != address
        for each in identifiers(person)
    )


def _standing(person: Person) -> Iterable[tuple[str, str]]:
    """What two people refused who turn out to be one."""
    found = SUPPRESSED.read(person.suppressed)
    for what in found:
        if not what.startswith(_NO_CATEGORY) and consent.is_suppressed(found, (what,)):
            yield what, ANY
    for word in PERMISSIONS.read(person.permissions).given:
        if not word.accept:
            yield word.category, word.channel


def _silenced(moment: Moment, address: bytes, pairs: tuple[tuple[str, str], ...]) -> Derived:
    person, event = moment.person, moment.cause
    named = suppression_keys(moment.plan.secret, person, identifiers(person))
    absorbed = (each.origin for each in ABSORBED.read(person.absorbed))
    fact = Silenced(tuple(sorted({address, *named, *absorbed})), pairs, *_place(event))
    name = derived_id("silenced", address, event.id)
    return Derived(name, event.tenant, event.event_time, Ids(), fact, event.id, address)


def _place(event: Event) -> tuple[int, int]:
    """When and where the door took the record in, before any forward."""
    first = event.route.places[0] if event.route is not None and event.route.places else event
    return first.received_at, first.sequence
