"""Bytes between our own stages and in our logs: one version byte, then msgpack of typed records.

A reader refuses a version that it does not know; it never guesses.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar, cast

import msgspec

VERSION = b"\x01"

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()


class UnknownVersion(ValueError):
    """Bytes written by a version of Rapport that this one cannot read."""


@cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind)


def _payload(data: bytes) -> memoryview:
    if data[:1] != VERSION:
        raise UnknownVersion(
            f"expected record version {VERSION[0]}, got {data[0] if data else 'no bytes'}; migrate first"
        )
    return memoryview(data)[1:]


def pack(value: Any) -> bytes:
    """Encode one record or a list of them."""
    return VERSION + _encoder.encode(value)


def unpack(data: bytes, kind: type[T]) -> T:
    """Decode what `pack` made of one `kind`.

    Raises UnknownVersion or msgspec.DecodeError (also for records of another shape).
    """
    decoded: T = _decoder(cast(Any, kind)).decode(_payload(data))
    return decoded


def unpack_many(data: bytes, kind: Any) -> list[Any]:
    """Decode what `pack` made of a list of `kind` (a type or a union of types)."""
    decoded: list[Any] = _decoder(list[kind]).decode(_payload(data))
    return decoded


def pack_many(values: Sequence[Any]) -> bytes:
    """Encode a list of records."""
    return VERSION + _encoder.encode(values)
