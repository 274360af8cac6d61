"""Whether the bytes of a record can be trusted to mean one thing, before anything in them is believed.

JSON readers differ on repeated keys, lone surrogates and NULs, so a record with one is refused. Finding every repeated
key means reading a body twice; that is done for records that name people, give permission or spend money. For mere
views, where the last value wins as in every reader, only a repeated `userId` is looked for.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

import msgspec

from schemas.failures import (
    BAD_JSON,
    BAD_TEXT,
    BAD_VALUE,
    DUPLICATE_KEY,
    LONG_NUMBER,
    TOO_DEEP,
    WRONG_TYPE,
    Refused,
)

T = TypeVar("T")

_LONG = 1000
"""Digits that no number needs."""

_BACKSLASH = ord("\\")
"""Asked for as a number: looking for one byte is then a single call of memchr."""

_LONG_NUMBER = re.compile(rb"[0-9]{%d}" % _LONG)
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_HARMLESS = frozenset(map(ord, "<>&'\"/="))


def decode(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw) -> T:
    """What the decoder reads. Raises Refused (bad_json, bad_text, too_deep, wrong_type, bad_value)."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Refused(BAD_VALUE if "out of range" in str(error) else WRONG_TYPE, str(error)) from error
    except msgspec.DecodeError as error:
        raise Refused(BAD_JSON, str(error)) from error
    except UnicodeDecodeError as error:
        raise Refused(BAD_TEXT, str(error)) from error
    except RecursionError as error:
        raise Refused(TOO_DEEP, str(error)) from error


def check(body: bytes) -> None:
    """Raises Refused (bad_text, long_number, duplicate_key) for bytes that readers would understand differently."""
    if not body.isascii():
        _check_text(body)
    if _BACKSLASH in body:
        _check_escapes(body)
    if len(body) > _LONG and _LONG_NUMBER.search(body):
        raise Refused(LONG_NUMBER, f"expected numbers of less than {_LONG} digits")


def check_person(body: bytes) -> None:
    """The cheap half of `check_keys`."""
    if body.count(b'"userId"') > 1:
        check_keys(body)


def check_keys(body: bytes) -> None:
    """Raises Refused (duplicate_key) if an object anywhere in the body has a key twice."""
    try:
        _strict.raw_decode(body.decode().lstrip())  # what may follow the object is for its decoder to refuse
    except RecursionError as error:
        raise Refused(TOO_DEEP, str(error)) from error
    except ValueError as error:
        if isinstance(error, Refused):
            raise
        raise Refused(BAD_JSON, str(error)) from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise Refused(DUPLICATE_KEY, f"expected each key once, got one of {len(twice)} characters again")
    return found


_strict = json.JSONDecoder(object_pairs_hook=_once)


def _check_text(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise Refused(BAD_TEXT, str(error)) from error


def _check_escapes(body: bytes) -> None:
    """No NUL, no half of a pair; letters that are escaped without need may hide a key."""
    codes = [int(code, 16) if code else 0x20 for code in _ESCAPE.findall(body)]
    expected = False
    hidden = False
    places = (
        [found.start() for found in _ESCAPE.finditer(body)] if any(0xD800 <= code < 0xE000 for code in codes) else ()
    )
    for index, code in enumerate(codes):
        low = 0xDC00 <= code < 0xE000
        adjacent = not expected or places[index] - places[index - 1] == 6
        if low != expected or not adjacent or code == 0:
            raise Refused(BAD_TEXT, "expected text without NUL and without halves of surrogate pairs")
        expected = 0xD800 <= code < 0xDC00
        hidden = hidden or (0x20 < code < 0x7F and code not in _HARMLESS)
    if expected:
        raise Refused(BAD_TEXT, "expected text without halves of surrogate pairs")
    if hidden:
        check_keys(body)
