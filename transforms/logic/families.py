"""Calls of every family of SDKs: read as Segment's, with the bytes that the caller sent kept.

    {"event":"$identify","distinct_id":"c-1",…}  ->  Event(Identified(), ids=Ids("c-1"), raw=the same bytes)

The same checks as for Segment's own calls hold for each layer of a record; translating comes after them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from schemas.failures import TOO_DEEP, WRONG_TYPE, Refused, form_of
from schemas.records import Block, Entry, Event
from transforms.logic import posthog, snowplow
from transforms.logic.bodies import check, check_keys, decode
from transforms.logic.broken import may_refuse, record_in
from transforms.logic.eventids import id_of
from transforms.logic.events import event_of
from transforms.logic.intake import SEGMENT, too_deep
from transforms.logic.posted import FAMILIES, POSTHOG, SNOWPLOW

Told = dict[str, Any]
Reading = Callable[[bytes], Any]
"""How a layer of a record is read, strictly or with every leniency."""

CALLS = SEGMENT | FAMILIES
"""Kinds of entries that are a call of an SDK."""


class Family(NamedTuple):
    """How a record of a family is opened, and the call that it is."""

    opened: Callable[[bytes, Reading], Any]
    call_of: Callable[[Told, Reading], Told]


_BY_KIND: Mapping[str, Family] = {
    POSTHOG: Family(lambda body, read: read(body), lambda record, _: posthog.call_of(record)),
    SNOWPLOW: Family(snowplow.opened, snowplow.call_of),
}
_any = msgspec.json.Decoder()


def event_in(entry: Entry, block: Block, sequence: int) -> tuple[Event, str]:
    """The event in a call of any family, and what was amended of its time ("" for nothing). Raises Refused."""
    if entry.kind not in FAMILIES:
        return event_of(entry, block, sequence)
    event, note = event_of(as_segment(entry), block, sequence)
    return replace(event, raw=entry.body), note


def as_segment(entry: Entry) -> Entry:
    """The entry as if Segment's SDK had sent it; one of Segment's as it is. Raises Refused."""
    if entry.kind not in FAMILIES:
        return entry
    family = _BY_KIND[entry.kind]
    record = family.opened(entry.body, _strictly)
    if not isinstance(record, dict):
        raise Refused(WRONG_TYPE, f"expected an object, got {form_of(record)}")
    call = family.call_of(record, _strictly)
    named = {**call, "messageId": id_of(call.get("messageId"), entry.body)}
    return replace(entry, kind=call["type"], body=msgspec.json.encode(named))


def leniently(kind: str, body: bytes) -> Told | None:
    """The call in a record that was refused, with every leniency; None if there is not one in it that can be read.

    `kind` is what it was sent as, "" if only itself says so. Raises Refused for a hidden layer that may be an opt-out.
    """
    for name in (kind,) if kind in FAMILIES else () if kind else sorted(FAMILIES):
        record = _BY_KIND[name].opened(body, record_in)
        if isinstance(record, dict) and (_is_one(record) if kind else _KNOWN_BY[name](record)):
            return _BY_KIND[name].call_of(record, record_in)
    return None if kind in FAMILIES else record_in(body)


def _is_one(record: Told) -> bool:
    """Whether it is no envelope of several."""
    return not record.keys() & {"batch", "data"}


def may_refuse_in(kind: str, body: bytes) -> bool:
    """Whether somebody who reads the body, coded parts as well, could take it for an opt-out."""
    coded = kind in ("", SNOWPLOW)
    return may_refuse(body) or (coded and may_refuse(snowplow.revealed(body)))


_KNOWN_BY: Mapping[str, Callable[[Told], bool]] = {
    POSTHOG: lambda record: "distinct_id" in record or "distinct_id" in str(record.get("properties")),
    SNOWPLOW: lambda record: isinstance(record.get("e"), str) and ("eid" in record or "tv" in record),
}
"""How a record is recognised of which nobody wrote down any more where it came in."""


def _strictly(body: bytes) -> Any:
    check(body)
    check_keys(body)
    found = decode(_any, body)
    if too_deep(body):
        raise Refused(TOO_DEEP, "expected JSON of at most 64 levels")
    return found
