"""Places in the journal, many at once: partition and sequence side by side, because together they need 94 bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

Ints = np.ndarray[Any, np.dtype[np.int64]]


class Places(NamedTuple):
    """The places of some records, in any order; the same place may come several times."""

    partition: Ints
    sequence: Ints

    @property
    def size(self) -> int:
        return len(self.sequence)


def places_of(rows: pa.Table) -> Places:
    """The place of each row."""
    partition, sequence = (rows[name].to_numpy().astype(np.int64) for name in ("partition", "sequence"))
    return Places(partition, sequence)


def joined(*some: Places) -> Places:
    """All of them."""
    return Places(*(np.concatenate(parts) for parts in zip(*some, strict=True)))


def distinct(places: Places) -> int:
    """How many different ones there are."""
    return int(_numbered(places).max(initial=-1)) + 1


def repeated(places: Places) -> int:
    """How many different ones come more than once."""
    return int((np.bincount(_numbered(places)) > 1).sum())


def missing(places: Places, others: Places) -> int:
    """How many different ones are not among the others."""
    numbers = _numbered(joined(places, others))
    mine, theirs = numbers[: places.size], numbers[places.size :]
    found = np.zeros(int(numbers.max(initial=-1)) + 1, bool)
    found[mine] = True
    found[theirs] = False
    return int(found.sum())


def since(places: Places, starts: Mapping[int, int]) -> Places:
    """Those that are not before the start of their partition; a partition without one has them all."""
    kept = np.ones(places.size, bool)
    for partition, start in starts.items():
        kept &= (places.partition != partition) | (places.sequence >= start)
    return Places(places.partition[kept], places.sequence[kept])


def _numbered(places: Places) -> Ints:
    """A number for each place, from 0 on without a gap, the same for the same place."""
    order = np.lexsort((places.sequence, places.partition))
    partition, sequence = places.partition[order], places.sequence[order]
    changes = (np.diff(partition) != 0) | (np.diff(sequence) != 0)
    numbers = np.zeros(places.size, np.int64)
    numbers[order[1:]] = np.cumsum(changes)
    return numbers
