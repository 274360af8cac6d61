"""The packed map: batches against a plain dictionary, growth without stops, slices while it changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.stores.packed import ABSENT, PackedMap

NUMBER = st.integers(0, 2**64 - 1) | st.integers(0, 40)
VALUE = st.integers(0, 2**64 - 4)
MISSING = int(ABSENT)


def u64(values: object) -> np.ndarray:
    return np.array(list(values), np.uint64)  # type: ignore[call-overload]


def filled(count: int) -> PackedMap:
    packed = PackedMap()
    keys = np.arange(count, dtype=np.uint64)
    for part in np.array_split(keys, max(1, count // 500)):
        packed.put_many(part, part + np.uint64(7))
    return packed


@given(st.lists(st.tuples(st.booleans(), st.dictionaries(NUMBER, VALUE, max_size=60)), max_size=25))
@settings(max_examples=150, deadline=None)
def test_any_history_equals_a_dictionary(history: list[tuple[bool, dict[int, int]]]) -> None:
    packed, plain = PackedMap(), dict[int, int]()
    for put, batch in history:
        before = [plain.get(key, MISSING) for key in batch]
        if put:
            assert packed.put_many(u64(batch), u64(batch.values())).tolist() == before
            plain.update(batch)
        else:
            assert packed.remove_many(u64(batch)).tolist() == before
            for key in batch:
                plain.pop(key, None)
        assert len(packed) == len(plain)
        assert packed.get_many(u64(batch)).tolist() == [plain.get(key, MISSING) for key in batch]
    assert dict(packed.pairs().tolist()) == plain
    assert dict(PackedMap.load(packed.dump()).pairs().tolist()) == plain


def test_an_empty_map_answers() -> None:
    assert PackedMap().get_many(u64([0, 1])).tolist() == [MISSING, MISSING]
    assert PackedMap().pairs().shape == (0, 2)
    assert len(PackedMap.load(b"")) == 0


def test_a_hundred_thousand_keys_take_little_memory() -> None:
    packed = filled(100_000)
    assert len(packed) == 100_000
    assert packed.nbytes / len(packed) < 54
    assert packed.get_many(u64([0, 99_999, 100_000])).tolist() == [7, 100_006, MISSING]


def test_keys_that_come_and_go_do_not_fill_the_map() -> None:
    packed = filled(100)
    for start in range(1_000, 40_000, 100):
        keys = np.arange(start, start + 100, dtype=np.uint64)
        packed.put_many(keys, keys)
        packed.remove_many(keys)
    assert len(packed) == 100
    assert packed.nbytes <= 2 * 16 * 512, "at most two small tables"
    assert packed.get_many(u64(range(100))).tolist() == list(range(7, 107))


def test_growth_is_spread_over_many_puts() -> None:
    packed = filled(39_000)
    sizes = set()
    for start in range(39_000, 80_000, 100):
        keys = np.arange(start, start + 100, dtype=np.uint64)
        packed.put_many(keys, keys + np.uint64(7))
        sizes.add(packed.nbytes)
    assert len(sizes) > 2, "old and new table live side by side while slots move"
    assert packed.get_many(u64([0, 38_999, 79_999])).tolist() == [7, 39_006, 80_006]


def test_a_removal_during_growth_is_not_undone_by_the_old_table() -> None:
    packed = filled(157_000)
    packed.put_many(u64([200_000]), u64([1]))
    packed.remove_many(u64(range(1_000)))
    keys = np.arange(300_000, 340_000, dtype=np.uint64)
    packed.put_many(keys, keys)
    assert set(packed.get_many(u64(range(1_000))).tolist()) == {MISSING}
    assert len(packed) == 157_001 - 1_000 + 40_000


@pytest.mark.parametrize("changes", [0, 50, 50_000])
def test_slices_and_a_replay_give_the_exact_map(changes: int) -> None:
    packed = filled(5_000)
    slices = packed.slices(512)
    got = [next(slices)]
    fresh = np.arange(4_990, 4_990 + changes, dtype=np.uint64)
    packed.put_many(fresh, fresh)
    packed.remove_many(u64(range(100)))
    got += slices
    copy = PackedMap()
    for pairs in got:
        copy.put_many(pairs[:, 0], pairs[:, 1])
    copy.put_many(fresh, fresh)
    copy.remove_many(u64(range(100)))
    assert dict(copy.pairs().tolist()) == dict(packed.pairs().tolist())
