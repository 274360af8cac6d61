"""Amounts as callers write them, in whole hundredths; NaN, infinity and negatives never pass."""

from __future__ import annotations

import re

from schemas.failures import BAD_VALUE, Refused, form_of

MOST = 10**12
"""The largest amount, in hundredths."""

MOST_PIECES = 10_000
_MOST_WHOLE = MOST // 100
_NUMBERS = (int, float)
_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_DECIMAL_COMMA = re.compile(r"[0-9]+,[0-9]{1,2}")
_PLAIN = re.compile(r"[0-9]{1,15}(?:\.[0-9]{0,15})?")


def hundredths(value: object) -> int | None:
    """89.9, "89.90", "89,90" or "1,089.90" as hundredths; None for what is no amount from 0 to `MOST`."""
    if isinstance(value, _NUMBERS) and value is not True and value is not False:
        return round(value * 100) if 0 <= value <= _MOST_WHOLE else None
    return _written(value) if isinstance(value, str) else None


def price(value: object) -> int:
    """The price of an item, 0 if unknown: it decorates a message and never decides anything."""
    return hundredths(value) or 0


def demand(value: object, field: str) -> int:
    """An amount that counts. Raises Refused (bad_value)."""
    amount = hundredths(value)
    if amount is None:
        raise Refused(BAD_VALUE, f"{field}: expected an amount from 0 to {MOST // 100}, got {form_of(value)}")
    return amount


def pieces(value: object) -> int:
    """A quantity: 1 if none or nonsense, at most `MOST_PIECES`; 0 stays 0."""
    if isinstance(value, str):
        value = int(value[:9]) if value.isdecimal() and value.isascii() else None
    if not isinstance(value, _NUMBERS) or isinstance(value, bool) or not value >= 0:
        return 1
    return int(value) if value < MOST_PIECES else MOST_PIECES


def currency(value: object) -> str:
    """Three capital letters, or nothing."""
    text = value.strip().upper() if isinstance(value, str) and len(value) < 10 else ""
    return text if len(text) == 3 and text.isascii() and text.isalpha() else ""


def _written(text: str) -> int | None:
    text = text.strip()
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    elif _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    if not _PLAIN.fullmatch(text):
        return None
    amount = round(float(text) * 100)
    return amount if amount <= MOST else None
