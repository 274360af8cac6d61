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
from transforms.logic.posted import FAMILIES
from transforms.logic.properties import Leaving
from transforms.logic.vocabulary import Meaning, meaning

_UNREAD = "\ufffd"
_NAMING = frozenset(("signup", "consent", "confirmed", "unsubscribed", "checkout_started", "order_placed"))
"""Types whose properties may name the person."""

_NAMES = ("email", "phone", "handles", *NETWORKS)
_LEAVING = tuple(name for name in Leaving.__struct_fields__ if name != "consent")
_STATEMENT = Statement.__struct_fields__
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
    said = _permission(record, kind)
    if said is None:
        return None
    return event_of(replace(entry, kind="track", body=encoded(said)), block, block.first)[0]


def _permission(record: dict[str, Any], kind: str) -> dict[str, Any] | None:
    """A call that says only what the record says about permission; None if that is nothing."""
    own, around = _object(record.get("traits")), _object(_object(record.get("context")).get("traits"))
    said = _object(record.get("properties"))
    meant = meaning(record["event"]) if isinstance(record.get("event"), str) else Meaning("")
    name, fields = _statement(record, said, meant, (own or around).get("consent") if kind == "identify" else None)
    if not name:
        return None
    named = {each: said.get(each) for each in ("email", "phone") if meant.kind in _NAMING}
    return {
        "event": name,
        "userId": None if _spoilt(record.get("userId")) else record.get("userId"),
        "traits": _readable({each: own.get(each) for each in _NAMES}),
        "context": {"traits": _readable({each: around.get(each) for each in _NAMES})},
        "properties": {**fields, **_readable(named)},
    }


def _statement(
    record: dict[str, Any], said: dict[str, Any], meant: Meaning, consent: Any
) -> tuple[str, dict[str, Any]]:
    """The name of the event that says the same, and its properties without identifiers; no name if it says nothing."""
    consent = said.get("consent") or consent
    if meant.kind == "unsubscribed" or meant == _COMPLAINT:
        plain = isinstance(record.get("properties", {}), dict) and not consent and meant != _COMPLAINT
        return "Unsubscribed", {each: said.get(each) for each in _LEAVING} if plain else {"all": True}
    if meant.kind == "consent":
        return "Consent Updated", {**{each: said.get(each) for each in _STATEMENT}, **_listed(consent)}
    return ("Consent Updated", _listed(consent)) if consent else ("", {})


def _listed(consent: Any) -> dict[str, Any]:
    return {"consent": consent} if consent else {}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _readable(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and not _spoilt(value)}


def _spoilt(value: Any) -> bool:
    return _UNREAD in (value if isinstance(value, str) else msgspec.json.encode(value).decode() if value else "")
