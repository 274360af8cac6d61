"""Records that make a whole bundle fail, beyond what a stage refuses by itself: found one by one, kept as failures.

The shortest failing beginning of a pull ends in such a record. It is taken out, and the rest is tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import NamedTuple

from schemas.keys import derived_id
from schemas.records import Block, Entry, Failure, Row
from transforms.batches import Pull


class Placed(NamedTuple):
    """One entry with its place in the journal."""

    received_at: int
    partition: int
    sequence: int
    entry: Entry


Refuse = Callable[[Placed, Exception], list[Row]]
"""What to record for a record that nothing can take."""

Attempt = Callable[[Pull | None], Exception | None]
"""Tries a pull without keeping anything; gives the error if it cannot be taken."""


def refuse(placed: Placed, error: Exception) -> list[Row]:
    """One failure with the record's bytes."""
    name = derived_id("engine", placed.partition, placed.sequence)
    entry, place = placed.entry, placed[:3]
    return [Failure(name, entry.tenant, "engine", "poison", type(error).__name__, entry.body, *place)]


def separate(pull: Pull, attempt: Attempt) -> tuple[Pull | None, list[tuple[Placed, Exception]]]:
    """What of a pull can be taken, and what cannot with the error of each."""
    records, poison = _placed(pull), list[tuple[Placed, Exception]]()
    good = 0  # so many records at the beginning can be taken
    while (error := attempt(_pull(records))) is not None:
        good, error = _shortest(records, good, error, attempt)
        poison.append((records.pop(good), error))
    return _pull(records), poison


def _shortest(records: list[Placed], good: int, error: Exception, attempt: Attempt) -> tuple[int, Exception]:
    """The index of the record that ends the shortest beginning that cannot be taken, and its error."""
    bad = len(records)
    while bad - good > 1:
        middle = (good + bad) // 2
        found = attempt(_pull(records[:middle]))
        if found is None:
            good = middle
        else:
            bad, error = middle, found
    return good, error


def _placed(pull: Pull) -> list[Placed]:
    return [
        Placed(block.received_at, block.partition, block.first + index, entry)
        for block in pull.items
        for index, entry in enumerate(block.entries)
    ]


def _pull(records: list[Placed]) -> Pull | None:
    """Records as blocks again: those that follow each other with one stamp share one."""
    blocks = []
    numbered = enumerate(records)
    for _, run in groupby(numbered, lambda pair: (*pair[1][:2], pair[1].sequence - pair[0])):
        block = [placed for _, placed in run]
        first = block[0]
        blocks.append(Block(first.received_at, first.partition, first.sequence, [placed.entry for placed in block]))
    return Pull(blocks) if blocks else None
