"""One call of an SDK as a typed event: when it happened, who it is about, what it says, what it permits."""

from __future__ import annotations

from functools import lru_cache

import msgspec
from msgspec.structs import replace

from schemas.failures import MISSING_FIELD, NOT_TRUSTED, Refused, form_of
from schemas.records import (
    CLAIMED,
    Aliased,
    AnyFact,
    Block,
    CartUpdated,
    CheckoutStarted,
    Confirmed,
    Consent,
    ConsentChanged,
    Custom,
    CutsPublished,
    Entry,
    Event,
    Identified,
    Ids,
    OrderPlaced,
    Receipt,
    SignedUp,
    Unsubscribed,
    Viewed,
)
from transforms.logic import calls, consents
from transforms.logic.bodies import check, check_keys, check_person, decode
from transforms.logic.calls import Call, Words
from transforms.logic.eventids import id_of
from transforms.logic.facts import Reader, fact_of, reader_of
from transforms.logic.identifiers import email, opaque, phone
from transforms.logic.properties import Permission, Properties, SignUp
from transforms.logic.times import event_time, moment
from transforms.logic.traits import handle_of, traits_of
from transforms.logic.vocabulary import Meaning, meaning

_LONGEST_NAME = 200
_PAGES = {what: reader_of(Meaning("page", what)) for what in ("page", "screen")}
_LIGHT = frozenset((Viewed, CartUpdated, Custom))
"""What happens most, and what nobody is harmed by."""

_NAMING = frozenset((SignedUp, ConsentChanged, Confirmed, Unsubscribed, CheckoutStarted, OrderPlaced))
"""Facts whose properties may name the person: nowhere else is an address in the properties the caller's own."""

_GRAVE = frozenset((Receipt, CutsPublished, Confirmed))
"""Facts that not everybody may tell."""

_NO_PROPERTIES = Properties()
_properties = msgspec.json.Decoder(Properties)
_calls = calls.decoder
_GROUP = Custom("Group")


@lru_cache(4096)
def _reader(name: str) -> Reader:
    """Who reads a call of this name; a page view told as a track call is read like a page call."""
    found = meaning(name)
    return _PAGES.get(found.variant) or reader_of(found)


def event_of(entry: Entry, block: Block, sequence: int) -> tuple[Event, str]:
    """The event in a Segment call, and what was amended of its time ("" for nothing). Raises Refused."""
    body = entry.body
    check(body)
    call = decode(_calls, body)
    words = call.words
    fact, properties = _fact(entry.kind, call)
    what = type(fact)
    light = what in _LIGHT
    silent = light and not properties.consent and not any(each.consent for each in words)
    permitted = () if silent else _consents(properties, words, entry.kind)
    if light and not permitted:
        check_person(body)
    else:
        check_keys(body)
    received = block.received_at
    sent = moment(call.sent) if call.sent else entry.sent_at
    time, note = event_time(moment(call.original or call.at), sent, received)
    if not light:
        fact = _believed(fact, entry.trust, time)
    event = Event(
        id_of(call.id, body),
        entry.tenant,
        entry.trust,
        entry.source,
        time,
        received,
        block.partition,
        sequence,
        _ids(call, words, properties if what in _NAMING else _NO_PROPERTIES),
        fact,
        permitted,
        traits_of(call.around, words) if words or not light else None,
        body,
    )
    return event, note


def _fact(kind: str, call: Call) -> tuple[AnyFact, Properties]:
    if kind == "track":
        name = call.event
        return fact_of(_reader(name if isinstance(name, str) and len(name) <= _LONGEST_NAME else ""), call)
    page = _PAGES.get(kind)
    if page is not None:
        return fact_of(page, call)
    if kind == "identify":
        return Identified(), _any_properties(call)
    if kind == "alias":
        return _aliased(call), _any_properties(call)
    return _GROUP, _any_properties(call)


def _any_properties(call: Call) -> Properties:
    """The properties of a call that should have none: what permits or forbids is read there as well."""
    return decode(_properties, call.properties) if bytes(call.properties).startswith(b"{") else _NO_PROPERTIES


def _aliased(call: Call) -> Aliased:
    previous = opaque(call.previous)
    if not previous:
        raise Refused(MISSING_FIELD, f"previousId: expected an id, got {form_of(call.previous)}")
    return Aliased(previous)


def _believed(fact: AnyFact, trust: str, time: int) -> AnyFact:
    """The fact, if this caller may say so."""
    kind = type(fact)
    if kind not in _GRAVE:
        return fact
    unproven = kind is Receipt or kind is CutsPublished or (isinstance(fact, Confirmed) and not fact.token)
    if unproven and trust == CLAIMED:
        raise Refused(NOT_TRUSTED, f"{fact.kind}: expected a server key")
    return replace(fact, at=time) if isinstance(fact, Receipt) else fact


def _ids(call: Call, words: tuple[Words, ...], properties: Properties) -> Ids:
    customer, cookie = opaque(call.user), opaque(call.anonymous)
    if not words and properties is _NO_PROPERTIES:
        return Ids(customer, "", "", "", cookie)
    mail = email(properties.email) if properties.email else ""
    number = phone(properties.phone) if properties.phone else ""
    handle = ""
    for each in words:
        mail, number = mail or email(each.email), number or phone(each.phone)
        handle = handle or handle_of(each)
    return Ids(customer, mail, number, handle, cookie)


def _consents(properties: Properties, words: tuple[Words, ...], kind: str) -> tuple[Consent, ...]:
    """Every permission in the record; `Consent Updated` is one itself if it lists none.

    The properties count, and the traits of an identify. SDKs repeat traits for months in every call: what stands in
    others only takes back.
    """
    found = consents.listed(properties.consent) if properties.consent else ()
    ticked = properties.marketing_opt_in if isinstance(properties, SignUp) else None
    for place, each in enumerate(words):
        told = consents.listed(each.consent) if each.consent else ()
        own = kind == "identify" and place == 0
        found += told if own else consents.withdrawn(told)
        ticked = each.marketing_opt_in if own else ticked
    if ticked is not None and consents.is_true(ticked):
        found += (consents.OPT_IN,)
    if isinstance(properties, Permission) and not found:
        found = (consents.consent(properties),)
    return found
