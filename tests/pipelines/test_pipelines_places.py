"""Places in the journal side by side: as exact where numbers are as long as those of Pub/Sub."""

from __future__ import annotations

import random

import numpy as np

from pipelines.places import Places, distinct, joined, missing, repeated, since

PARTITIONS = (0, 1, (1 << 31) - 1)
SEQUENCES = (0, 1, 1 << 44, (1 << 44) + 1, (1 << 63) - 1)

Pairs = list[tuple[int, int]]


def places(pairs: Pairs) -> Places:
    return Places(*(np.array([pair[part] for pair in pairs], np.int64) for part in (0, 1)))


def drawn(seed: int) -> Pairs:
    chance = random.Random(seed)
    return [(chance.choice(PARTITIONS), chance.choice(SEQUENCES)) for _ in range(seed)]


def test_counts_are_those_of_sets_of_pairs() -> None:
    for seed in range(25):
        some, others = drawn(seed), drawn(seed + 7)
        assert distinct(places(some)) == len(set(some))
        assert repeated(places(some)) == sum(some.count(pair) > 1 for pair in set(some))
        assert missing(places(some), places(others)) == len(set(some) - set(others))
        assert distinct(joined(places(some), places(others))) == len(set(some) | set(others))


def test_what_lies_before_a_start_is_left_out() -> None:
    pairs = [(0, 1), (0, 2), (1, 1), (2, 0)]
    assert list(zip(*since(places(pairs), {0: 2, 1: 2}), strict=True)) == [(0, 2), (2, 0)]
