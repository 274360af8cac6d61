"""What a record that the job refuses still says about permission, read with every leniency and fail closed.

    {"event":"Unsubscribed","timestamp":"\\ud800","userId":"c-1"}  ->  Event(Unsubscribed(…), ids=Ids("c-1"))
    {"event":"Unsubscribed","properties":"weekly","userId":"c-1"}  ->  the same, from everything

An identifier with a character that could not be read is left out: it would be somebody else's.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from schemas.failures import BAD_JSON, Refused
from schemas.records import Block, Entry, Event
from transforms.logic.broken import encoded
from transforms.logic.consents import Statement
from transforms.logic.events import event_of
from transforms.logic.families import leniently, may_refuse_in
from transforms.logic.identifiers import NETWORKS
from transforms.logic.intake import SEGMENT
from transforms.logic.posted import FAMILIES
from transforms.logic.properties import Leaving
from transforms.logic.vocabulary import Meaning, meaning

_UNREAD = "\ufffd"
_NAMING = frozenset(("signup", "consent", "confirmed", "unsubscribed", "checkout_started", "order_placed"))
"""Types whose properties may name the person."""

_NAMES = ("email", "phone", "handles", *NETWORKS)
_LEAVING = tuple(name for name in Leaving.__struct_fields__ if name != "consent")
_STATEMENT = Statement.__struct_fields__
_TELLING = "Permissions Told"
"""No name of ours: only what it lists counts."""

_COMPLAINT = Meaning("receipt", "complained")


def salvaged(body: bytes, call: str, entry: Entry, block: Block) -> Event | None:
    """What the whole body of a record says about permission; None if that is nothing.

    `call` is what it was sent as ("" if only itself says so). Raises Refused if it may take permission back and cannot
    be understood.
    """
    record = leniently(call, body)
    kind = call if call not in FAMILIES and call else str((record or {}).get("type")).lower()
    if record is None or "batch" in record or kind == "receipt":
        if kind != "mention" and may_refuse_in(call, body):
            raise Refused(BAD_JSON, "expected a record that can be read")
        return None
    said = _permission(record)
    if said is None:
        if kind not in SEGMENT and may_refuse_in(call, body):
            raise Refused(BAD_JSON, f"expected a call, got one of type {kind[:20]}")
        return None
    sent_as = "identify" if kind == "identify" and said["event"] == _TELLING else "track"
    return event_of(replace(entry, kind=sent_as, body=encoded(said)), block, block.first)[0]


def _permission(record: dict[str, Any]) -> dict[str, Any] | None:
    """A call that says only what the record says about permission, in the same places; None if that is nothing."""
    own, around = _object(record.get("traits")), _object(_object(record.get("context")).get("traits"))
    said = _object(record.get("properties"))
    meant = meaning(record["event"]) if isinstance(record.get("event"), str) else Meaning("")
    listed = any(_listed(each) for each in (said, own, around))
    name, fields = _statement(record, said, meant, listed)
    if not name:
        return None
    leaves = name == "Unsubscribed"
    named = {each: said.get(each) for each in ("email", "phone") if meant.kind in _NAMING}
    words = ({**_readable({each: told.get(each) for each in _NAMES}), **_kept(told, leaves)} for told in (own, around))
    return {
        "event": name,
        "userId": None if _spoilt(record.get("userId")) else record.get("userId"),
        "traits": next(words),
        "context": {"traits": next(words)},
        "properties": {**fields, **_readable(named), **_kept(said, leaves)},
    }


def _statement(
    record: dict[str, Any], said: dict[str, Any], meant: Meaning, listed: bool
) -> tuple[str, dict[str, Any]]:
    """The name of the event that says the same, and its properties without identifiers; no name if it says nothing."""
    if meant.kind == "unsubscribed" or meant == _COMPLAINT:
        plain = isinstance(record.get("properties", {}), dict) and not listed and meant != _COMPLAINT
        return "Unsubscribed", {each: said.get(each) for each in _LEAVING} if plain else {"all": True}
    if meant.kind == "consent":
        return "Consent Updated", {each: said.get(each) for each in _STATEMENT}
    return (_TELLING, {}) if listed else ("", {})


def _listed(told: dict[str, Any]) -> bool:
    """Whether permissions stand there; `false` is one that nobody can read, an empty list is none."""
    return told.get("consent") is not None and told["consent"] not in ([], {}, "")


def _kept(told: dict[str, Any], leaves: bool) -> dict[str, Any]:
    return {"consent": told["consent"]} if _listed(told) and not leaves else {}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _readable(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and not _spoilt(value)}


def _spoilt(value: Any) -> bool:
    return _UNREAD in (value if isinstance(value, str) else msgspec.json.encode(value).decode() if value else "")
