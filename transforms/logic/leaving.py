"""Links by which somebody leaves a list: sealed, so that nobody can guess one, read an address in it or turn it to
another person or list.

A token is the same each time for the same message, so that a message decided again has the same bytes. Pure.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from schemas.records import DAY

PATH = "/unsubscribe/"
VALID = 400
"""Days from the decision; the law asks for 30 and people clear old mail."""

_FORM = [b"unsubscribe/1"]
_LONGEST = 2048


class Leaving(NamedTuple):
    """Who leaves which category of a tenant: an identifier of a kind; `until` is the last day since 1970."""

    tenant: str
    kind: str
    value: str
    category: str
    until: int


class NoToken(ValueError):
    """A token that this installation has not made."""


_payload = msgspec.msgpack.Decoder(tuple[str, str, str, str, int])


@lru_cache(16)
def _seal(secret: bytes) -> AESSIV:
    return AESSIV(blake2b(b"unsubscribe", key=secret, digest_size=64).digest())


def last_day(decided_at: int) -> int:
    """The last day of a link in a message that was decided then."""
    return decided_at // DAY + VALID


def is_over(leaving: Leaving, now: int) -> bool:
    """Whether the link's last day has passed."""
    return now // DAY > leaving.until


def token(secret: bytes, leaving: Leaving) -> str:
    """The token, of letters, digits, - and _."""
    return _spelt(_seal(secret).encrypt(msgspec.msgpack.encode(leaving), _FORM))


def opened(secret: bytes, text: str) -> Leaving:
    """What a token stands for. Raises NoToken for anything that was not made with this secret."""
    if len(text) > _LONGEST:
        raise NoToken("expected a token, got something longer")
    try:
        sealed = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        if _spelt(sealed) != text:
            raise NoToken("expected a token in its only spelling")
        return Leaving(*_payload.decode(_seal(secret).decrypt(sealed, _FORM)))
    except (ValueError, InvalidTag, msgspec.MsgspecError):
        raise NoToken("expected a token of this installation") from None


def _spelt(sealed: bytes) -> str:
    return urlsafe_b64encode(sealed).rstrip(b"=").decode()
