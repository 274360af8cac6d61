"""What a record says about not being written to any more, found before anybody is told that it was accepted. Pure.

Refusing is believed of everybody; only a confirmed opt-in from a server key takes a refusal back. Transactional
messages are not refused by any of this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import replace

from schemas.failures import Refused
from schemas.keys import address_of
from schemas.records import TRUSTED, Block, Confirmed, Entry, Event, Receipt, Record, Unsubscribed
from transforms.logic.events import event_of
from transforms.logic.intake import SEGMENT, Piece
from transforms.logic.vocabulary import canonical

ANY = "*"
TRANSACTIONAL = "transactional"
KINDS = ("customer", "email", "phone", "handle")
"""The identifiers that a message can be refused by; a cookie may be shared and is none."""

_TELLING = frozenset(("unsubscribed", "consent", "confirmed", "receipt"))
_LONGEST_NAME = 100

_ESSENTIAL = ("type", "event", "userId", "traits", "context", "properties")

_text = msgspec.json.Decoder(str)
_object = msgspec.json.Decoder(dict[str, Any])


class Change(Record, frozen=True):
    """One address of a person refuses `category` on `channel` (`*` for any), or `lift`s all its earlier refusals.

    `sequence` is the journal's number of the record that says so: the highest one wins.
    """

    address: bytes
    sequence: int
    category: str = ANY
    channel: str = ANY
    lift: bool = False


class Refusals(Record, frozen=True):
    """What stands against one address: (category, channel, sequence of the record that said so last)."""

    lifted: int = -1
    standing: tuple[tuple[str, str, int], ...] = ()


def may_tell(piece: Piece) -> bool:
    """Whether a record has to be decoded to know if it changes who may be written to; cheap, and never wrongly no."""
    return _telling(piece.event) or b"consent" in piece.body.lower() or b"\\u" in piece.body


def _telling(event: bytes) -> bool:
    return bool(event) and (_known(event) if len(event) <= _LONGEST_NAME else _looked_up(event))


def _looked_up(event: bytes) -> bool:
    try:
        return canonical(_text.decode(event)) in _TELLING
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False  # no name of ours


_known = lru_cache(4096)(_looked_up)


def read_leniently(entry: Entry, block: Block, sequence: int) -> Event | None:
    """The event in an entry, None if it tells nothing.

    A record that will be refused for something else (its time, its id) still counts for what it says here.
    """
    if entry.kind not in SEGMENT:
        return None
    for body in (entry.body, _essence(entry.body)):
        try:
            return event_of(replace(entry, body=body), block, sequence)[0]
        except (Refused, msgspec.MsgspecError):
            continue
    return None


def _essence(body: bytes) -> bytes:
    """A record without what it does not need in order to be believed."""
    try:
        found = _object.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return b""
    return msgspec.json.encode({name: found[name] for name in _ESSENTIAL if name in found})


def changes(event: Event, secret: bytes) -> Iterator[Change]:
    """What an event changes, for each of its identifiers."""
    sequence = event.sequence
    said = [*_refused(event)]
    lift = isinstance(event.fact, Confirmed) and event.trust == TRUSTED
    if not said and not lift:
        return
    for kind in KINDS:
        if value := getattr(event.ids, kind):
            address = address_of(secret, event.tenant, kind, value)
            yield from (Change(address, sequence, category, channel) for category, channel in said)
            if lift:
                yield Change(address, sequence, lift=True)


def _refused(event: Event) -> Iterator[tuple[str, str]]:
    fact = event.fact
    if isinstance(fact, Unsubscribed):
        yield ANY if fact.everything else fact.category or ANY, ANY
    elif isinstance(fact, Receipt) and fact.state == "complained":
        yield ANY, ANY
    for consent in event.consents:
        if not consent.accept:
            yield consent.category or ANY, consent.channel or ANY


def fold(refusals: Refusals, change: Change) -> Refusals:
    """The refusals after a change. A change that comes again, or an older one that comes late, alters nothing."""
    if change.lift:
        lifted = max(refusals.lifted, change.sequence)
        return Refusals(lifted, tuple(each for each in refusals.standing if each[2] > lifted))
    if change.sequence <= refusals.lifted:
        return refusals
    standing = {(category, channel): since for category, channel, since in refusals.standing}
    what = change.category, change.channel
    standing[what] = max(change.sequence, standing.get(what, -1))
    return Refusals(refusals.lifted, tuple((*each, since) for each, since in sorted(standing.items())))


def blocked(refusals: Iterable[Refusals], klass: str, category: str, channel: str = ANY) -> bool:
    """Whether a message may not go to any of these addresses; without a channel, a refusal of any channel counts."""
    return klass != TRANSACTIONAL and any(
        refused in (category, ANY) and (channel == ANY or on in (channel, ANY))
        for each in refusals
        for refused, on, _ in each.standing
    )
