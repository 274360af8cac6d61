"""What a record says about not being written to any more, found before anybody is told that it was accepted. Pure.

Refusing is believed of everybody; only a confirmed opt-in from a server key takes a refusal back. Transactional
messages are not refused by any of this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache, partial
from typing import NamedTuple

import msgspec

from schemas.codec import UnknownVersion, unpack
from schemas.failures import Refused
from schemas.keys import address_in, address_of
from schemas.records import (
    TRUSTED,
    Block,
    Confirmed,
    Derived,
    Entry,
    Event,
    Receipt,
    Record,
    Silenced,
    Unsubscribed,
)
from transforms.logic import calls
from transforms.logic.broken import plain
from transforms.logic.events import event_of
from transforms.logic.families import CALLS, as_segment
from transforms.logic.identifiers import is_nobody
from transforms.logic.intake import UNREADABLE, Piece
from transforms.logic.posted import SNOWPLOW
from transforms.logic.properties import Properties
from transforms.logic.returns import receipt_of
from transforms.logic.salvage import salvaged
from transforms.logic.vocabulary import canonical

ANY = "*"
TRANSACTIONAL = "transactional"
KINDS = ("customer", "email", "phone", "handle")
"""The identifiers that a message can be refused by; a cookie may be shared and is none."""

_RECEIPT = "receipt"
_TELLING = frozenset(("unsubscribed", "consent", "confirmed", _RECEIPT))
_LONGEST_NAME = 100
_HANDED_BACK = Silenced.__name__.encode()

_REFUSALS = (Refused, msgspec.MsgspecError, RecursionError)

_text = msgspec.json.Decoder(str)
_naming = msgspec.json.Decoder(Properties)


class Change(Record, frozen=True):
    """One address of a person refuses `category` on `channel` (`*` for any), or `lift`s all its earlier refusals.

    `sequence` is the journal's number of the record that says so: the highest one wins. A record that only repeats what
    another one `said` counts as that one: its received_at and sequence.
    """

    address: bytes
    sequence: int
    category: str = ANY
    channel: str = ANY
    lift: bool = False
    said: tuple[int, int] | None = None


class Refusals(Record, frozen=True):
    """What stands against one address: (category, channel, sequence of the record that said so last)."""

    lifted: int = -1
    standing: tuple[tuple[str, str, int], ...] = ()


class Scope(NamedTuple):
    """Whose records are heard: the key of all hashes of identifiers, and the categories of the tenant's messages."""

    secret: bytes
    categories: frozenset[str]


class Heard(NamedTuple):
    """What a record changes. `unheard`: it may be an opt-out, and neither the door nor the job will apply it."""

    changes: tuple[Change, ...] = ()
    unheard: bool = False


_NOTHING = Heard()


def may_tell(piece: Piece) -> bool:
    """Whether a record has to be decoded to know if it changes who may be written to; cheap, and never wrongly no."""
    kind = piece.kind
    if kind == UNREADABLE:
        return piece.call != "mention"
    if kind == _RECEIPT:
        return b"complain" in piece.body.lower() or b"\\u" in piece.body
    if kind == SNOWPLOW:
        return True  # what it says is coded
    return _telling(piece.event) or b"consent" in piece.body.lower() or b"\\u" in piece.body


def _telling(event: bytes) -> bool:
    return bool(event) and (_known(event) if len(event) <= _LONGEST_NAME else _looked_up(event))


def _looked_up(event: bytes) -> bool:
    try:
        return canonical(_text.decode(event)) in _TELLING
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False  # no name of ours


_known = lru_cache(4096)(_looked_up)


def hear(piece: Piece, entry: Entry, block: Block, scope: Scope) -> Heard:
    """What a record (first in its block) says; also one that the job will refuse for its time, its id or its bytes."""
    try:
        if entry.kind == _RECEIPT:
            return _heard(receipt_of(entry, block, block.first)[0], scope)
        if entry.kind in CALLS:
            call = as_segment(entry)
            known = partial(_cookie_alone, call.body)
            return _heard(event_of(call, block, block.first)[0], scope, known)
    except _REFUSALS:
        pass
    try:
        sent_as = piece.call or (entry.kind if entry.kind != UNREADABLE else "")
        event = salvaged(plain(piece.whole) or entry.body, sent_as, entry, block)
    except _REFUSALS:
        return Heard(unheard=True)
    return _NOTHING if event is None else _heard(event, scope)


def _heard(event: Event, scope: Scope, known: Callable[[], bool] = lambda: False) -> Heard:
    """What an event says; `known` tells whether the job will know somebody by its cookie."""
    found = tuple(changes(event, scope))
    if found or not any(refused(event, scope.categories)):
        return Heard(found)
    return Heard(unheard=not (event.ids.cookie and known()))


def _cookie_alone(body: bytes) -> bool:
    """Whether a call gives no name beside its cookie: one that cannot be used may be anybody's."""
    call = calls.decoder.decode(body)
    said = _naming.decode(call.properties) if bytes(call.properties).startswith(b"{") else Properties()
    return all(is_nobody(name) for name in (call.user, said.email, *[each.email for each in call.words]))


def changes(event: Event, scope: Scope) -> Iterator[Change]:
    """What an event changes, for each of its identifiers."""
    sequence = event.sequence
    said = [*refused(event, scope.categories)]
    lift = isinstance(event.fact, Confirmed) and event.trust == TRUSTED
    if not said and not lift:
        return
    for address in _addresses(event, scope.secret):
        yield from (Change(address, sequence, category, channel) for category, channel in said)
        if lift:
            yield Change(address, sequence, lift=True)


def _addresses(event: Event, secret: bytes) -> Iterator[bytes]:
    """Those of its identifiers, and whose message it is about."""
    for kind in KINDS:
        if value := getattr(event.ids, kind):
            yield address_of(secret, event.tenant, kind, value)
    if isinstance(event.fact, Receipt):
        with suppress(ValueError):  # no key of ours
            yield address_in(event.fact.key)


def handed_back(body: bytes, index: int) -> list[Change]:
    """What a derived record, `index` among those with it, tells of who may be written to; most tell nothing."""
    if _HANDED_BACK not in body:
        return []
    try:
        fact = unpack(body, Derived).fact
    except (UnknownVersion, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []
    if not isinstance(fact, Silenced):
        return []
    said = fact.said_at, fact.number
    if not fact.refused:
        return [Change(address, index, lift=True, said=said) for address in fact.addresses]
    return [Change(address, index, *pair, said=said) for address in fact.addresses for pair in fact.refused]


def refused(event: Event, categories: frozenset[str]) -> Iterator[tuple[str, str]]:
    """The (category, channel) pairs that an event refuses, `*` for any."""
    fact = event.fact
    if isinstance(fact, Unsubscribed):
        yield left(fact, categories), ANY
    elif isinstance(fact, Receipt) and fact.state == "complained":
        yield ANY, ANY
    for consent in event.consents:
        if not consent.accept:
            yield consent.category or ANY, consent.channel or ANY


def left(fact: Unsubscribed, categories: frozenset[str]) -> str:
    """The category that somebody leaves; all of them if it is none of the tenant's, so that no word is without effect.

    The door and the job both ask here.
    """
    return fact.category if not fact.everything and fact.category in categories else ANY


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
