"""Cutting what each family of SDKs posts into records, with the caller's bytes kept. Pure.

    PostHog    {"api_key":…,"batch":[…],"sent_at":…}, one event, a list, or `data=` with base64; gzip by its bytes
    Snowplow   {"schema":…,"data":[…]}, or one event as the query of an image
    all others intake.cut

Here only a record's size, its sender's clock and the write key are read; `families.py` says what it means.
"""

from __future__ import annotations

import binascii
import re
import zlib
from base64 import b64decode
from typing import Any

import msgspec
from msgspec import Raw, Struct

from transforms.logic import broken, intake
from transforms.logic.intake import EVENT_BYTES, RECORDS, UNDECODED, Cut, Piece, clock, count, sized, string, unreadable

POSTHOG, SNOWPLOW = "posthog", "snowplow"
FAMILIES = frozenset((POSTHOG, SNOWPLOW))

_NOTHING = Raw()
_PERCENT = re.compile(rb"%([0-9a-fA-F]{2})")
_FORM = b"data="


class _Said(Struct, gc=False):
    """Where PostHog puts its write key when the envelope has none."""

    token: Raw = _NOTHING


class _Event(Struct, gc=False):
    """As much of a record as its piece tells."""

    event: Raw = _NOTHING
    sent_at: Raw = _NOTHING
    api_key: Raw = _NOTHING
    token: Raw = _NOTHING
    properties: _Said | list[Any] | str | int | float | bool | None = None
    aid: Raw = _NOTHING


class _Parcel(_Event):
    batch: list[Raw] | None = None
    data: list[Raw] | None = None


_event = msgspec.json.Decoder(_Event)
_parcel = msgspec.json.Decoder(_Parcel)
_list = msgspec.json.Decoder(list[Raw])


def cut(call: str, body: bytes) -> Cut:
    """The records in a request body. `call` comes from the path. Raises TooLarge."""
    if call not in FAMILIES:
        return intake.cut(call, body)
    if call == SNOWPLOW and body[:1] not in (b"{", b"\x1f"):
        return _cut_query(body)
    try:
        plain = intake.inflate(_unwrapped(body) if call == POSTHOG else body)
    except zlib.error:
        return Cut([unreadable(call, body)])
    try:
        return _cut(call, plain)
    except UNDECODED:
        return _cut_broken(call, plain) or Cut([unreadable(call, body, plain)], _key_in(plain))


def _cut(call: str, body: bytes) -> Cut:
    if body.lstrip()[:1] == b"[":
        return _cut_list(call, _list.decode(body), _Event())
    parcel = _parcel.decode(body)
    parts = parcel.batch if parcel.batch is not None else parcel.data
    return Cut([_piece(call, body, 0)], _key(parcel)) if parts is None else _cut_list(call, parts, parcel)


def _cut_list(call: str, parts: list[Raw], around: _Event) -> Cut:
    count(len(parts))
    sent_at, key = clock(around.sent_at), _key(around) or _first_key(parts)
    return Cut([_piece(call, bytes(part), sent_at) for part in parts], key)


def _cut_broken(call: str, body: bytes) -> Cut | None:
    """The records of a batch that no strict reader takes as a whole; None if they cannot be told apart."""
    for field in ("batch", "data"):
        found = broken.opened(body, field, RECORDS, "sent_at")
        if found is not None:
            count(len(found.records))
            sent_at = clock(Raw(found.sent_at))
            return Cut([_piece(call, part, sent_at) for part in found.records], _key_in(body))
    return None


def _cut_query(query: bytes) -> Cut:
    """One event of Snowplow that came as a query."""
    piece = Piece(SNOWPLOW, query) if 0 < len(query) <= EVENT_BYTES else unreadable(SNOWPLOW, query)
    found = re.search(rb"(?:^|&)aid=([^&]{1,200})", query)
    return Cut([piece], unquoted(found[1]).decode("latin-1") if found else "")


def _piece(call: str, body: bytes, sent_at: int) -> Piece:
    body = body.strip()
    if body[:1] != b"{":
        return unreadable(call, body)
    try:
        found = _event.decode(body)
    except UNDECODED:
        return unreadable(call, body)
    return sized(call, body, clock(found.sent_at) or sent_at, bytes(found.event))


def _key(found: _Event) -> str:
    said = found.properties.token if isinstance(found.properties, _Said) else _NOTHING
    return string(found.api_key) or string(found.token) or string(said) or string(found.aid)


def _first_key(parts: list[Raw]) -> str:
    """The write key in the first record: one body has one sender."""
    try:
        return _key(_event.decode(parts[0])) if parts else ""
    except UNDECODED:
        return ""


def _key_in(body: bytes) -> str:
    return broken.key_in(body, b"api_key|token|aid")


def _unwrapped(body: bytes) -> bytes:
    """What PostHog's SDKs put into a form where they may not post JSON; anything else as it is."""
    if body[:5] != _FORM:
        return body
    coded = unquoted(body[5:].partition(b"&")[0])
    try:
        return b64decode(coded + b"=" * (-len(coded) % 4))
    except binascii.Error:
        return body


def unquoted(text: bytes) -> bytes:
    """A value of a query or a form as bytes."""
    return _PERCENT.sub(lambda found: bytes((int(found[1], 16),)), text.replace(b"+", b" "))
