"""The id under which repeats of a record are found."""

from __future__ import annotations

from hashlib import blake2b

LONGEST = 100


def id_of(given: object, body: bytes) -> str:
    """The sender's own id, opaque, up to 100 characters; a longer one as its hash, and without one the body's hash."""
    if isinstance(given, str) and 0 < len(given) <= LONGEST:
        return given
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < 1 << 64:
        return str(given)
    named = given.encode() if isinstance(given, str) and given else body
    return blake2b(named, digest_size=16).hexdigest()
