"""Which partition of the records topic a record belongs to: that of its strongest identifier. Pure.

One identifier's records keep their order in one partition. The key is the identifier's address, so no name, number or
mail address stands in a key, and what the job gives back for an address comes to where that one's records are.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from schemas.failures import Refused
from schemas.keys import STRENGTH, address_in, address_of
from schemas.records import Derived, Entry, Ids, Receipt
from transforms.logic.families import CALLS, as_segment
from transforms.logic.identifiers import email, handle, opaque, phone

NOWHERE = b""
"""The key of a record that nobody can be found in; any partition will do."""


class _Traits(Struct, gc=False):
    email: Any = None
    phone: Any = None


class _Around(Struct, gc=False):
    traits: _Traits | list[Any] | None = None


class _Call(Struct, gc=False, rename={"user": "userId", "anonymous": "anonymousId"}):
    """As much of a call as tells who it is about."""

    user: Any = None
    anonymous: Any = None
    traits: _Traits | list[Any] | None = None
    context: _Around | list[Any] | None = None


class _Author(Struct, gc=False):
    handle: Any = None
    network: Any = None


class _Said(Struct, gc=False):
    """As much of a post or a receipt as tells whose it is."""

    author: _Author | list[Any] | str | None = None
    network: Any = None
    key: Any = None


_calls = msgspec.json.Decoder(_Call)
_said = msgspec.json.Decoder(_Said)
_NONE = _Traits()


def key_of(entry: Entry, secret: bytes) -> bytes:
    """The key of an accepted record; NOWHERE if it names nobody or cannot be read."""
    try:
        if entry.kind in CALLS:
            return key_of_ids(entry.tenant, _ids(_calls.decode(as_segment(entry).body)), secret)
        return _key_of_said(entry, secret)
    except (Refused, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return NOWHERE


def key_of_derived(derived: Derived, secret: bytes) -> bytes:
    """The key of a record that the job or a sender gives back: its person's address."""
    if derived.address:
        return derived.address
    if isinstance(derived.fact, Receipt):
        return _address_in(derived.fact.key)
    return key_of_ids(derived.tenant, derived.ids, secret)


def key_of_ids(tenant: str, ids: Ids, secret: bytes) -> bytes:
    """The address of the strongest of some identifiers."""
    for kind in STRENGTH:
        if value := getattr(ids, kind):
            return address_of(secret, tenant, kind, value)
    return NOWHERE


def _ids(call: _Call) -> Ids:
    if customer := opaque(call.user):
        return Ids(customer)
    own = call.traits if isinstance(call.traits, _Traits) else _NONE
    context = call.context.traits if isinstance(call.context, _Around) else None
    around = context if isinstance(context, _Traits) else _NONE
    mail, number = email(own.email) or email(around.email), phone(own.phone) or phone(around.phone)
    return Ids("", mail, number, "", opaque(call.anonymous))


def _key_of_said(entry: Entry, secret: bytes) -> bytes:
    if entry.kind == "receipt":
        return _address_in(_said.decode(entry.body).key)
    if entry.kind != "mention":
        return NOWHERE
    said = _said.decode(entry.body)
    author = said.author if isinstance(said.author, _Author) else _Author(said.author)
    network = author.network or said.network
    name = handle(network if isinstance(network, str) and network else "web", author.handle)
    return key_of_ids(entry.tenant, Ids(handle=name), secret)


def _address_in(key: object) -> bytes:
    try:
        return address_in(key) if isinstance(key, str) else NOWHERE
    except ValueError:
        return NOWHERE
