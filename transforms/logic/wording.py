"""Text as a person would see it, at a bounded price whatever the text holds.

    visible("a\\u202eb\\n c", 280)  ->  "ab c"

Posts are written by strangers: thousands of stacked marks, invisible letters, text that runs backwards. Only the first
`limit` characters are ever read, and only tokens of at most `TOKEN` characters are normalised, because normalising is
quadratic in stacked marks.
"""

from __future__ import annotations

from collections.abc import Iterator
from unicodedata import combining, normalize

TOKEN = 48
STACKED = 3
"""Marks that one letter may carry; Hebrew, Arabic and Vietnamese need up to three."""

_BREAKS = dict.fromkeys([0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029], " ")
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0xAD, 0x61C)
_FORMATS = (*range(0x200B, 0x2010), *range(0x202A, 0x2030), *range(0x2060, 0x2070), 0xFEFF)
_SELECTORS = (*range(0xFE00, 0xFE10), *range(0xE0000, 0xE0080), *range(0xE0100, 0xE01F0))
_UNSEEN = {**dict.fromkeys(_CONTROLS + _FORMATS + _SELECTORS), **_BREAKS, **dict.fromkeys(range(0xD800, 0xE000), "?")}


def visible(text: str, limit: int) -> str:
    """What can be seen of the first `limit` characters: one line, reading forwards, at most three marks a letter."""
    text = text[:limit]
    if text.isascii() and text.isprintable():
        return text
    text = text.translate(_UNSEEN)
    return text if text.isascii() else "".join(_unstacked(text))


def plain(text: str, limit: int) -> str:
    """`visible`, with one form for each letter (compatibility composition); cut to `limit` again: forms can grow."""
    seen = visible(text, limit)
    return seen if seen.isascii() else " ".join(_composed(seen, limit))[:limit]


def _unstacked(text: str) -> Iterator[str]:
    marks = 0
    for letter in text:
        marks = marks + 1 if letter > "\u02ff" and combining(letter) else 0
        if marks <= STACKED:
            yield letter


def _composed(text: str, limit: int) -> Iterator[str]:
    size = 0
    for token in text.split():
        for start in range(0, len(token), TOKEN):
            composed = normalize("NFKC", token[start : start + TOKEN])
            yield composed
            size += len(composed)
            if size > limit:
                return
