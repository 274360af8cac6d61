"""An event of PostHog as the call of Segment that says the same. Pure.

    {"event":"$identify","distinct_id":"c-1","properties":{"$anon_distinct_id":"k","$set":{"email":…}}}
 -> {"type":"identify","userId":"c-1","anonymousId":"k","traits":{"email":…}}

PostHog has one id for known and unknown people. It is a customer's unless the SDK says that nobody is known by it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Told = dict[str, Any]

_OWN = frozenset(("token", "distinct_id", "distinctId"))
_PAGES = {"$pageview": "page", "$screen": "screen"}


def call_of(record: Told) -> Told:
    """The call in an event, whatever its fields hold."""
    said = _object(record.get("properties"))
    event = record.get("event")
    find = _CALLS.get(event, _track) if isinstance(event, str) else _track
    given = record.get("uuid") or said.get("$insert_id")
    return {
        "messageId": given,
        "timestamp": record.get("timestamp"),
        "sentAt": record.get("sent_at"),
        "context": _context(record, said),
        **find(record, said),
    }


def _track(record: Told, said: Told) -> Told:
    properties = {name: value for name, value in said.items() if name[:1] != "$" and name not in _OWN}
    return {"type": "track", "event": record.get("event"), "properties": properties, **_person(record, said)}


def _page(record: Told, said: Told) -> Told:
    found = _track(record, said)
    name = said.get("title") or said.get("$title") or said.get("$screen_name")
    properties = {"url": said.get("$current_url"), "title": name, **found["properties"]}
    return {**found, "type": _PAGES[record["event"]], "event": None, "name": name, "properties": properties}


def _identify(record: Told, said: Told) -> Told:
    known = {"userId": _distinct(record, said), "anonymousId": said.get("$anon_distinct_id") or said.get("$device_id")}
    return {"type": "identify", "traits": _traits(record, said), **known}


def _set(record: Told, said: Told) -> Told:
    return {"type": "identify", "traits": _traits(record, said), **_person(record, said)}


def _alias(record: Told, said: Told) -> Told:
    """The new id is in `alias`, the old one is the distinct id: the reverse of what the names suggest."""
    return {"type": "alias", "userId": said.get("alias"), "previousId": _distinct(record, said)}


def _group(record: Told, said: Told) -> Told:
    """A group. Servers send it with a distinct id made up for it, which is no person's."""
    known = _person(record, said) if "$device_id" in said else {}
    return {"type": "group", "groupId": said.get("$group_key"), **known}


_CALLS: dict[str, Callable[[Told, Told], Told]] = {
    "$identify": _identify,
    "$set": _set,
    "$create_alias": _alias,
    "$groupidentify": _group,
    "$pageview": _page,
    "$screen": _page,
}


def _person(record: Told, said: Told) -> Told:
    """Who did it: a customer, or a visitor whom nobody knows yet."""
    distinct, device = _distinct(record, said), said.get("$device_id")
    unknown = said.get("$process_person_profile") is False or said.get("$is_identified") is False or distinct == device
    return {"anonymousId": distinct} if unknown else {"userId": distinct, "anonymousId": device}


def _distinct(record: Told, said: Told) -> Any:
    return record.get("distinct_id") or said.get("distinct_id") or record.get("distinctId") or said.get("distinctId")


def _traits(record: Told, said: Told) -> Told:
    """What is said of the person; what is only to be set once yields to what is set."""
    found: Told = {}
    for holder in (said, record):
        found = {**_object(holder.get("$set_once")), **_object(holder.get("$set")), **found}
    return found


def _context(record: Told, said: Told) -> Told:
    traits = _traits(record, said) if record.get("event") not in ("$identify", "$set") else {}
    around = {"locale": said.get("$browser_language"), "timezone": said.get("$timezone")}
    return {**around, "traits": traits} if traits else around


def _object(value: Any) -> Told:
    return value if isinstance(value, dict) else {}
