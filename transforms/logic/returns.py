"""What comes back through the door: receipts of senders and channels, and the job's own derived records."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from schemas.codec import UnknownVersion, unpack
from schemas.failures import BAD_VALUE, NOT_TRUSTED, UNKNOWN_VERSION, WRONG_TYPE, Refused, form_of
from schemas.records import CLAIMED, OWN, Block, Derived, Entry, Event, Ids, Place, Receipt, Route
from transforms.logic.bodies import check, check_keys, decode
from transforms.logic.eventids import id_of
from transforms.logic.identifiers import opaque
from transforms.logic.products import label
from transforms.logic.times import event_time, moment

STATES = frozenset(("sent", "refused", "in_doubt", "delivered", "opened", "clicked", "bounced", "complained"))
_NOBODY = Ids()


class Report(Struct, gc=False, rename={"message": "messageId"}):
    """A receipt as a channel sends it."""

    message: Any = None
    id: Any = None
    key: Any = None
    state: Any = None
    at: Any = None
    channel: Any = None
    code: Any = None
    attempt: Any = None


_reports = msgspec.json.Decoder(Report)


def receipt_of(entry: Entry, block: Block, sequence: int) -> tuple[Event, str]:
    """The event in a receipt. Raises Refused; browsers have nothing to say about messages."""
    if entry.trust == CLAIMED:
        raise Refused(NOT_TRUSTED, "receipt: expected a server key")
    check(entry.body)
    check_keys(entry.body)
    said = decode(_reports, entry.body)
    key, state = opaque(said.key), said.state.strip().lower() if isinstance(said.state, str) else ""
    if state not in STATES:
        raise Refused(BAD_VALUE, f"state: expected one of {', '.join(sorted(STATES))}, got {form_of(said.state)}")
    time, note = event_time(moment(said.at), 0, block.received_at)
    attempt = said.attempt if isinstance(said.attempt, int) and 0 <= said.attempt < 1 << 31 else 0
    code = label(str(said.code) if isinstance(said.code, int) else said.code, 60)
    fact = Receipt(key, state, time, label(said.channel, 60), code, int(attempt))
    event = Event(
        id_of(said.message or said.id, entry.body),
        entry.tenant,
        entry.trust,
        entry.source,
        time,
        block.received_at,
        block.partition,
        sequence,
        _NOBODY,
        fact,
        raw=entry.body,
    )
    return event, note


def derived_of(entry: Entry, block: Block, sequence: int) -> tuple[Event, str]:
    """The event in a derived record. A forward is its original, at a new place in the journal. Raises Refused."""
    if entry.trust != OWN:
        raise Refused(NOT_TRUSTED, "derived: expected a record of the job's own")
    derived = _unpacked(entry.body)
    place = block.received_at, block.partition, sequence
    route = Route(derived.id, derived.address, derived.hops, derived.past) if derived.address else None
    original = derived.original
    if original is not None:
        received, partition, sequence = place
        route = replace(route, places=_places(original)) if route else None
        moved = replace(
            original, received_at=received, partition=partition, sequence=sequence, sub=0, derived=True, route=route
        )
        return moved, ""
    ids, fact, time = derived.ids, derived.fact, derived.event_time
    event = Event(derived.id, derived.tenant, OWN, entry.source, time, *place, ids, fact, derived=True, route=route)
    return event, ""


def _places(original: Event) -> tuple[Place, ...]:
    """Where a forwarded event has stood before."""
    earlier = original.route.places if original.route else ()
    place = Place(original.received_at, original.partition, original.sequence, original.sub, original.derived)
    return (*earlier, place)


def _unpacked(body: bytes) -> Derived:
    try:
        return unpack(body, Derived)
    except UnknownVersion as error:
        raise Refused(UNKNOWN_VERSION, "derived: expected a version that this Rapport knows") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(WRONG_TYPE, f"derived: expected a record of ours, got {form_of(body)}") from error
