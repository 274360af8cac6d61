"""Rows of which only the newest counts: profiles for people to look at, facts from a CRM; the highest sequence wins.

One consumer of a topic writes them, many read them: the agent's view, a site, a batch of events that is hydrated.
A row that is older than what stands there, or comes again, changes nothing, so a consumer may repeat at will.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from msgspec import MsgspecError

from schemas.codec import UnknownVersion, pack, unpack
from transforms.stores.transaction import Change, Store

LARGEST = 256 << 10
"""Bytes of one packed row: larger ones are refused at the write, so that no read can hang on one."""

HIGHEST = 1 << 53
"""Sequences are below this (microseconds since 1970 fit until 2255)."""

T = TypeVar("T")


class TooLarge(ValueError):
    """A row that would hold up everybody who reads it."""


class Rows(Protocol):
    """Where packed rows are kept. OSError: not now, try again."""

    def write(self, rows: Mapping[bytes, tuple[int, bytes]]) -> int:
        """Keep each row with its sequence unless a newer one stands there; how many were new."""

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The packed rows of many keys in one question."""


class Latest(Generic[T]):
    """Typed rows of one `kind`, by key (give the tenant a place in it). One call a batch, never one a record."""

    def __init__(self, rows: Rows, kind: type[T]) -> None:
        self._rows, self._kind = rows, kind
        self.unreadable = 0

    def write(self, rows: Mapping[bytes, tuple[int, T]]) -> int:
        """Keep `key: (sequence, value)`; how many were newer than what stood there. Raises TooLarge, OSError."""
        packed = {key: (sequence, pack(value)) for key, (sequence, value) in rows.items()}
        for key, (sequence, row) in packed.items():
            if len(row) > LARGEST:
                raise TooLarge(f"expected at most {LARGEST} bytes a row, got {len(row)} for {key[:40]!r}")
            if not 0 <= sequence < HIGHEST:
                raise ValueError(f"sequence: expected 0 to {HIGHEST - 1}, got {sequence}")
        return self._rows.write(packed) if packed else 0

    def read(self, keys: Sequence[bytes]) -> list[T | None]:
        """The newest values, None where there is none; one that cannot be read is none, too, and `unreadable`."""
        return [None if row is None else self._value(row) for row in self._rows.read(keys)] if keys else []

    def _value(self, row: bytes) -> T | None:
        try:
            return unpack(row, self._kind)
        except (UnknownVersion, MsgspecError):
            self.unreadable += 1
            return None


class StoredRows:
    """Rows in a store on this machine (or in memory), of which this is the only writer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, rows: Mapping[bytes, tuple[int, bytes]]) -> int:
        """Keep the newer ones in one commit."""
        old = dict(zip(rows, self._found(list(rows)), strict=True))
        newer = {key: pack(row) for key, row in rows.items() if row[0] > old[key][0]}
        if newer:
            self._store.commit(Change(self._store.stamp, self._store.position or b"", dict[bytes, Any](newer)))
        return len(newer)

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """What stands there."""
        return [row for _, row in self._found(keys)]

    def _found(self, keys: Sequence[bytes]) -> list[tuple[int, bytes | None]]:
        found = self._store.get_many(keys)
        return [(-1, None) if row is None else unpack(row, tuple[int, bytes]) for row in found]
