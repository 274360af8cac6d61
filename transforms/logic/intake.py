"""Cutting a request body into records without decoding them: gzip, JSON, limits. Pure.

The caller's bytes are kept as they came. What a record says is looked at later, by discover; here only its kind, its
size and the sender's clock are read. Whatever cannot be cut becomes one `unreadable` record, never an error: a client
that gets a 4xx sends the same bytes again.
"""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Raw, Struct

from transforms.logic import broken

EVENT_BYTES = 32 * 1024
REQUEST_BYTES = 4_000 * 1024
RECORDS = 20_000
DEPTH = 64
RATIO = 200
SMALL = 64 * 1024
"""Up to this size a gzip body may unpack at any ratio."""

SEGMENT = frozenset(("track", "identify", "page", "screen", "alias", "group"))
LINES = SEGMENT | {"mention", "receipt"}
UNREADABLE = "unreadable"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_NOTHING = Raw()


class TooLarge(ValueError):
    """A body beyond what one request may carry; says which limit."""


class Piece(Struct, frozen=True, gc=False):
    """One record of a body: its `kind` (as `Entry.kind`), its bytes, when it left the sender (microseconds, 0 unknown).

    `event` is the name of a track call as it stands in the bytes, in quotes. `whole` is an unreadable record before it
    was cut to its limit, and `call` what it was sent as ("" if only itself says so).
    """

    kind: str
    body: bytes
    sent_at: int = 0
    event: bytes = b""
    whole: bytes = b""
    call: str = ""


class Cut(Struct, frozen=True):
    """The records of one body, and the write key that stands in it ("" if none)."""

    pieces: list[Piece]
    write_key: str = ""


class _Call(Struct, gc=False):
    type: Raw = _NOTHING
    event: Raw = _NOTHING
    sentAt: Raw = _NOTHING  # noqa: N815 (the SDKs' spelling)
    writeKey: Raw = _NOTHING  # noqa: N815


class _Letter(_Call):
    batch: list[Raw] | None = None
    mentions: list[Raw] | None = None
    receipts: list[Raw] | None = None


_call = msgspec.json.Decoder(_Call)
_letter = msgspec.json.Decoder(_Letter)
_text = msgspec.json.Decoder(str)
_time = msgspec.json.Decoder(datetime)
UNDECODED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def cut(call: str, body: bytes) -> Cut:
    """The records in a request body.

    `call` comes from the path: a Segment call, `batch`, `mention` or `receipt`. Raises TooLarge.
    """
    try:
        plain = inflate(body)
    except zlib.error:
        return Cut([unreadable(call, body)])
    try:
        return _cut_batch(call, plain) if call not in SEGMENT else _cut_one(call, plain)
    except UNDECODED:
        return _cut_broken(call, plain) or Cut([unreadable(call, body, plain)], broken.key_in(plain))


def cut_line(line: bytes) -> Piece:
    """One record that stands alone, as a line of a file; its `type` is a Segment call, `mention` or `receipt`."""
    return _piece(LINES, line, 0)


def inflate(body: bytes) -> bytes:
    """The body itself, or what it unpacks to if it is gzip by its first two bytes. Raises TooLarge, zlib.error."""
    if body[:2] != b"\x1f\x8b":
        return body
    allowed = min(REQUEST_BYTES, max(SMALL, len(body) * RATIO))
    engine = zlib.decompressobj(zlib.MAX_WBITS | 16)
    plain = engine.decompress(body, allowed + 1)
    if len(plain) > allowed:
        raise TooLarge(f"expected a body that unpacks to at most {allowed} bytes; send smaller batches")
    if not engine.eof or engine.unused_data:
        raise zlib.error("expected one whole gzip member")
    return plain


def _cut_one(call: str, body: bytes) -> Cut:
    found = _call.decode(body)
    return Cut([sized(call, body, clock(found.sentAt), bytes(found.event))], string(found.writeKey))


def _cut_batch(call: str, body: bytes) -> Cut:
    letter = _letter.decode(body)
    key = string(letter.writeKey)
    parts = {"mention": letter.mentions, "receipt": letter.receipts}.get(call, letter.batch)
    if parts is None:
        return Cut([_piece(_kinds(call), body, 0)], key)
    count(len(parts))
    sent_at, kinds = clock(letter.sentAt), _kinds(call)
    return Cut([_piece(kinds, bytes(part), sent_at) for part in parts], key)


def _cut_broken(call: str, body: bytes) -> Cut | None:
    """The records of a batch that no strict reader takes as a whole; None if they cannot be told apart."""
    found = None if call in SEGMENT else broken.opened(body, "batch" if call == "batch" else f"{call}s", RECORDS)
    if found is None:
        return None
    count(len(found.records))
    sent_at, kinds = clock(Raw(found.sent_at)), _kinds(call)
    return Cut([_piece(kinds, part, sent_at) for part in found.records], broken.key_in(body))


def _kinds(call: str) -> frozenset[str]:
    return SEGMENT if call == "batch" else frozenset((call,))


def count(records: int) -> None:
    """Raises TooLarge for more records than a request may carry."""
    if records > RECORDS:
        raise TooLarge(f"expected at most {RECORDS} records in a request, got more; send smaller batches")


def _piece(kinds: frozenset[str], body: bytes, sent_at: int) -> Piece:
    """One record; its `type` must be one of several `kinds`, and says nothing where there is only one."""
    body = body.strip() if body[:1].isspace() else body
    only = next(iter(kinds)) if len(kinds) == 1 else ""
    if body[:1] != b"{":
        return unreadable(only, body)
    try:
        found = _call.decode(body)
    except UNDECODED:
        return unreadable(only, body)
    kind = only or string(found.type).lower()
    if kind not in kinds:
        return unreadable("", body)
    return sized(kind, body, clock(found.sentAt) or sent_at, bytes(found.event))


def sized(kind: str, body: bytes, sent_at: int, event: bytes) -> Piece:
    """A record of valid JSON, unreadable if it is beyond a limit."""
    if len(body) > EVENT_BYTES or too_deep(body):
        return unreadable(kind, body)
    return Piece(kind, body, sent_at, event)


def unreadable(call: str, body: bytes, whole: bytes = b"") -> Piece:
    """A record that stays in quarantine, cut to its limit; `whole` is what it unpacked to."""
    return Piece(UNREADABLE, body[:EVENT_BYTES], whole=whole or body, call=call)


def too_deep(body: bytes) -> bool:
    """Whether valid JSON nests deeper than the limit; the count of openers settles it for nearly every record."""
    if body.count(b"{") + body.count(b"[") <= DEPTH:
        return False
    depth = 0
    for bracket in _STRING.sub(b"", body).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEPTH:
            return True
    return False


def string(raw: Raw) -> str:
    """A text; "" for anything else."""
    try:
        return _text.decode(raw)
    except UNDECODED:
        return ""


def clock(raw: Raw) -> int:
    """Microseconds of an ISO time (UTC unless it says otherwise), 0 for anything else."""
    try:
        moment = _time.decode(raw)
    except UNDECODED:
        return 0
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND
