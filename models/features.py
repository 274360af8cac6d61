"""Text as numbers: hashed words, word pairs and character n-grams, the same in training and in serving.

    features("I love it")  ->  numpy array of rising 32-bit slot numbers, 1 to SLOTS - 1 (0 is the padding slot)

A text of any size or content costs a bounded time (`transforms/logic/wording.py`): only `LIMIT` characters are read.
Names of accounts and addresses of pages leave no features: a model must not learn who is disliked.
`VERSION` is stamped into every model; change it with any change of what this module computes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from transforms.logic.wording import plain

VERSION = "ngrams-1"
SLOT_BITS = 18
SLOTS = 1 << SLOT_BITS
LIMIT = 2_000
GRAMS = range(3, 6)

Slots = NDArray[np.int32]

_STEP = np.uint32(0x9E3779B1)
_MIX = np.uint32(0x2C1B3C6D)
_FOLD, _DROP, _ONE = np.uint32(15), np.uint32(32 - SLOT_BITS), np.uint32(1)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+|[^\w\s]+")
_STRETCH = re.compile(r"(.)\1{2,}")
_NAMELESS = ("http://", "https://", "www.", "@")


def features(text: str) -> Slots:
    """The distinct slots of one text, rising. An empty array for a text without words or signs."""
    found = words(text)
    if not found:
        return np.zeros(0, np.int32)
    hashes = np.array([crc32(word.encode()) for word in found], np.uint32)
    letters = np.frombuffer(f" {' '.join(found)} ".encode("utf-32-le"), np.uint32)
    slots = np.concatenate([hashes, hashes[:-1] * _STEP ^ hashes[1:], *_grams(letters)])
    slots = np.sort(np.maximum((slots ^ slots >> _FOLD) * _MIX >> _DROP, _ONE).view(np.int32))
    return slots[np.concatenate(([True], slots[1:] != slots[:-1]))]


def matrix(texts: Sequence[str]) -> Slots:
    """One row a text, padded with slot 0 to the longest; at least one column."""
    rows = [features(text) for text in texts]
    table = np.zeros((len(rows), max((len(row) for row in rows), default=0) or 1), np.int32)
    for place, row in zip(table, rows, strict=True):
        place[: len(row)] = row
    return table


def words(text: str) -> list[str]:
    """The words, numbers and runs of signs of a text, folded; account names and page addresses left out."""
    kept = [token for token in plain(text, LIMIT).lower().split() if not token.startswith(_NAMELESS)]
    return _WORD.findall(_STRETCH.sub(r"\1\1\1", " ".join(kept)))


def _grams(letters: NDArray[np.uint32]) -> Iterator[NDArray[np.uint32]]:
    """Hashes of all runs of 3, 4 and 5 characters, over the edges of words too."""
    hashes = letters
    for size in range(2, GRAMS.stop):
        hashes = hashes[:-1] * _STEP + letters[size - 1 :]
        if size in GRAMS:
            yield hashes * _STEP + np.uint32(size)
