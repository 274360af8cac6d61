"""An event of Snowplow (tracker protocol 2) as the call of Segment that says the same. Pure.

    {"e":"pv","url":…,"page":…,"uid":"c-1","duid":"k"}            ->  page
    {"e":"ue","ue_px":"eyJ…","cx":"eyJ…"}  (base64, or ue_pr, co) ->  track, named after the event's schema
    {"e":"tr","tr_id":"o-1","tr_tt":"30"}                         ->  track Order Completed

Every value is text. What a self-describing event and its entities hold is JSON within that text; `read` opens each such
layer, strictly or with every leniency.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any

from schemas.failures import BAD_JSON, Refused
from transforms.logic.broken import may_refuse
from transforms.logic.posted import unquoted
from transforms.logic.snowplow_shop import Entities, action

Told = dict[str, Any]
Reading = Callable[[bytes], Any]

_CODED = re.compile(rb"[A-Za-z0-9_\-+/]{16,}")
_SHOP = "snowplow_ecommerce_action"
_ITEM = {"unitPrice": "price"}
_LEFT = frozenset(("withdrawn", "deny_all"))


def opened(body: bytes, read: Reading) -> Any:
    """What `read` makes of an event that came as JSON or as a query."""
    return read(body if body.lstrip()[:1] == b"{" else _object_of(body))


def revealed(body: bytes) -> bytes:
    """Everything in a body that is coded, as text; a query without its percent signs."""
    plain = unquoted(body)
    return b" ".join([plain, *(_decoded(found[0]) for found in _CODED.finditer(plain))])


def call_of(record: Told, read: Reading) -> Told:
    """The call in an event, whatever its fields hold. Raises Refused for a layer that `read` refuses."""
    entities = _entities(_layer(record, "cx", "co", read))
    find = _CALLS.get(str(record.get("e")), _other)
    said = find(record, entities, read)
    true_time = record.get("ttm")
    return {
        "messageId": record.get("eid"),
        "timestamp": true_time or record.get("dtm"),
        "sentAt": None if true_time else record.get("stm"),
        **_person(record, entities),
        **said,
        "context": _context(record, entities),
    }


def _page(record: Told, _entities: Entities, _read: Reading) -> Told:
    title = record.get("page")
    return {"type": "page", "name": title, "properties": {"url": record.get("url"), "title": title}}


def _structured(record: Told, _entities: Entities, _read: Reading) -> Told:
    fields = {"category": "se_ca", "label": "se_la", "property": "se_pr", "value": "se_va"}
    return _track(record.get("se_ac"), {name: record[field] for name, field in fields.items() if field in record})


def _described(record: Told, entities: Entities, read: Reading) -> Told:
    """A self-describing event: its name is that of its schema."""
    outer = _layer(record, "ue_px", "ue_pr", read)
    inner = _object(_object(outer).get("data"))
    name, data = _named(inner.get("schema")), inner.get("data")
    if name == _SHOP:
        return _track(*action(_object(data), entities))
    if name in _DESCRIBED:
        return _DESCRIBED[name](_object(data), entities)
    return _track(name, data)


def _order(record: Told, _entities: Entities, _read: Reading) -> Told:
    fields = {"order_id": "tr_id", "total": "tr_tt", "currency": "tr_cu"}
    return _track("Order Completed", {name: record.get(field) for name, field in fields.items()})


def _other(record: Told, _entities: Entities, _read: Reading) -> Told:
    return _track({"pp": "Page Ping", "ti": "Transaction Item"}.get(str(record.get("e")), record.get("e")), {})


_CALLS: dict[str, Callable[[Told, Entities, Reading], Told]] = {
    "pv": _page,
    "se": _structured,
    "ue": _described,
    "tr": _order,
}


def _screen(data: Told, _entities: Entities) -> Told:
    return {"type": "screen", "name": data.get("name"), "properties": {"title": data.get("name")}}


def _identify(data: Told, _entities: Entities) -> Told:
    return {"type": "identify", "traits": data}


def _withdrawn(data: Told, entities: Entities) -> Told:
    """Permission taken back: for the one document that it names, otherwise for all."""
    documents = [each.get("name") or each.get("id") for each in entities.get("consent_document", ())]
    one = len(documents) == 1 and not data.get("all")
    return _track("Unsubscribed", {"category": documents[0]} if one else {"all": True})


def _preferences(data: Told, _entities: Entities) -> Told:
    """A consent banner; whoever denies everything there gets no marketing."""
    no = [{"action": "reject", "category": "marketing"}] if data.get("eventType") in _LEFT else []
    return _track("Consent Preferences", {"consent": no} if no else {})


def _put(event: str) -> Callable[[Told, Entities], Told]:
    return lambda data, _: _track(event, {_ITEM.get(name, name): value for name, value in data.items()})


_DESCRIBED: dict[str, Callable[[Told, Entities], Told]] = {
    "screen_view": _screen,
    "identify": _identify,
    "consent_withdrawn": _withdrawn,
    "consent_preferences": _preferences,
    "add_to_cart": _put("Product Added"),
    "remove_from_cart": _put("Product Removed"),
}


def _track(event: Any, properties: Any) -> Told:
    return {"type": "track", "event": event, "properties": properties}


def _person(record: Told, entities: Entities) -> Told:
    user, session = _first(entities, "user"), _first(entities, "client_session")
    customer = record.get("uid") or (None if user.get("is_guest") else user.get("id"))
    cookie = record.get("duid") or record.get("nuid") or record.get("tnuid") or session.get("userId")
    return {"userId": customer, "anonymousId": cookie}


def _context(record: Told, entities: Entities) -> Told:
    mail = _first(entities, "user").get("email")
    around = {"locale": record.get("lang"), "timezone": record.get("tz")}
    return {**around, "traits": {"email": mail}} if mail else around


def _entities(outer: Any) -> Entities:
    """What surrounds an event, by the name of its schema."""
    found: Entities = {}
    listed = _object(outer).get("data")
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and isinstance(each.get("data"), dict):
            found.setdefault(_named(each.get("schema")), []).append(each["data"])
    return found


def _named(schema: Any) -> str:
    """`iglu:vendor/NAME/jsonschema/1-0-0`."""
    parts = schema.split("/") if isinstance(schema, str) else ()
    return parts[1] if len(parts) > 1 else ""


def _layer(record: Told, coded: str, plain: str, read: Reading) -> Any:
    """The JSON within a field; None without one. A layer that cannot be read is never passed over if it may refuse."""
    text = record.get(coded) or record.get(plain)
    if not isinstance(text, str):
        return text if isinstance(text, dict) else None
    raw = text.encode("utf-8", "replace")
    body = _decoded(raw) if record.get(coded) else raw
    found = read(body)
    if found is None and may_refuse(body + raw):
        raise Refused(BAD_JSON, "expected an event that can be read")
    return found


def _decoded(coded: bytes) -> bytes:
    """What base64 in either alphabet holds, as far as it goes."""
    coded = coded.rstrip(b"=").replace(b"+", b"-").replace(b"/", b"_")
    coded = coded[:-1] if len(coded) % 4 == 1 else coded
    try:
        return urlsafe_b64decode(coded + b"=" * (-len(coded) % 4))
    except binascii.Error:
        return b""


def _object_of(query: bytes) -> bytes:
    """A query as a JSON object, repeated names and broken text included."""
    pairs = [pair.partition(b"=")[::2] for pair in query.split(b"&") if pair]
    return b"{%s}" % b",".join([b"%s:%s" % (_quoted(name), _quoted(value)) for name, value in pairs])


_UNQUOTABLE = re.compile(rb'["\\\x00-\x1f]')


def _quoted(text: bytes) -> bytes:
    return b'"%s"' % _UNQUOTABLE.sub(lambda found: b"\\u%04x" % found[0][0], unquoted(text))


def _first(entities: Entities, name: str) -> Told:
    return next(iter(entities.get(name, ())), {})


def _object(value: Any) -> Told:
    return value if isinstance(value, dict) else {}
