"""Deterministic names: addresses of people, keys of sends, ids of derived records. No clock, no attempt, no chance."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Any

SEPARATOR = b"\x1f"

STRENGTH = ("customer", "email", "phone", "handle", "cookie")
"""Kinds of identifiers, strongest first."""


def address_of(secret: bytes, tenant: str, kind: str, value: str) -> bytes:
    """The 16-byte address of an identifier: rank of its kind, then a keyed hash.

    Addresses sort by strength, so a link between two of them has one direction only and cannot form a cycle.
    """
    rank, begun = _begun(secret, tenant, kind)
    whole = begun.copy()
    whole.update(value.encode())
    found: bytes = rank + whole.digest()
    return found


@lru_cache(1024)
def _begun(secret: bytes, tenant: str, kind: str) -> tuple[bytes, Any]:
    """The rank, and the hash as it is before the value: the key's own block is hashed once a tenant and kind."""
    begun = blake2b(f"{tenant}\x1f{kind}\x1f".encode(), digest_size=15, key=secret)
    return bytes((STRENGTH.index(kind),)), begun


def derived_id(*parts: str | bytes | int) -> str:
    """The id of a record that follows from others: 32 hex digits, the same whenever the work is repeated."""
    joined = SEPARATOR.join(part if isinstance(part, bytes) else str(part).encode() for part in parts)
    return blake2b(joined, digest_size=16).hexdigest()


def send_key(tenant: str, campaign: str, step: int, person: str, trigger: str, channel: str) -> str:
    """The idempotency key of one send: without version, clock or attempt.

    It starts with the person's id (32 hex digits), so that a receipt that brings only the key finds its person.
    """
    return f"{person}-{derived_id('send', tenant, campaign, step, person, trigger, channel)}"


def address_in(key: str) -> bytes:
    """The address of the person that a send key belongs to. Raises ValueError for anything that is no send key."""
    person, dash, rest = key.partition("-")
    if len(person) != 32 or dash != "-" or len(rest) != 32:
        raise ValueError(f"expected a send key of 32 hex digits, a dash and 32 hex digits, got {key[:80]!r}")
    return bytes.fromhex(person)
