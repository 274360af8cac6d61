"""Journal entries as an SDK would leave them, and what discover makes of them."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.codec import pack
from schemas.records import OWN, Block, Derived, Entry, Event, Failure
from transforms.logic.discover import PERSON, discover
from transforms.logic.shard import Outputs

NOON = 1_800_000_000_000_000
SERVER, BROWSER = "server", "browser"


def entry(body: bytes | dict[str, Any], kind: str = "track", trust: str = SERVER, sent_at: int = 0) -> Entry:
    """One record of the shop's."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Entry(kind, "shop", trust, "web", sent_at, raw)


def give_back(derived: Derived) -> Entry:
    """A derived record on its way back."""
    return Entry("derived", "shop", OWN, "engage", 0, pack(derived))


def block(*entries: Entry, at: int = NOON, first: int = 0) -> Block:
    """One group commit."""
    return Block(at, 0, first, list(entries))


def read(*entries: Entry, at: int = NOON, lane: str = PERSON) -> Outputs:
    """What discover makes of entries that came together."""
    return discover([block(*entries, at=at)], lane)


def event(body: bytes | dict[str, Any], kind: str = "track", trust: str = SERVER, at: int = NOON) -> Event:
    """The event in a record that must be taken."""
    out = read(entry(body, kind, trust), at=at)
    assert not out.failures, out.failures
    (found,) = out.events
    return found


def refused(body: bytes | dict[str, Any], kind: str = "track", trust: str = SERVER) -> Failure:
    """The failure of a record that must be refused, with its line."""
    out = read(entry(body, kind, trust))
    assert not out.events
    (failure,) = out.failures
    (line,) = out.rows
    assert line.reason == failure.reason and line.disposition == "failed"
    return failure


def track(name: str, /, **properties: Any) -> dict[str, Any]:
    """A track call of one customer."""
    return {"type": "track", "event": name, "messageId": "m-1", "userId": "c1", "properties": properties}
