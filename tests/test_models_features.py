"""The features are the contract between training and serving: golden numbers, bounded time, nothing personal."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from posts import HOSTILE, cost

from models.features import LIMIT, SLOTS, features, matrix, words

GOLDEN = {
    "I love it": 1471303244,
    "Uwielbiam te buty, są świetne! 😀": 3086465759,
    "@fernweh sooooo late, see https://shop.example/a?b=c #never": 77574234,
    "राम राम जी": 501203869,
}


@pytest.mark.parametrize("text", GOLDEN)
def test_golden_slots(text: str) -> None:
    """A change here needs a new `features.VERSION` and new models."""
    assert zlib.crc32(features(text).tobytes()) == GOLDEN[text]


def test_slots_rise_are_distinct_and_never_the_padding() -> None:
    slots = features("the same words, the same words, and again the same words")
    assert slots.dtype == np.int32
    assert (np.diff(slots) > 0).all()
    assert slots.min() >= 1
    assert slots.max() < SLOTS


def test_a_text_without_words_has_no_slots() -> None:
    assert len(features("")) == 0
    assert len(features("@somebody https://shop.example \u200b\u202e\x00")) == 0


def test_rows_are_padded_to_the_longest() -> None:
    table = matrix(["a longer text than the other", "short", ""])
    assert table.shape == (3, len(features("a longer text than the other")))
    assert not table[2].any()
    assert matrix([""]).shape == (1, 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GREAT shoes", "great shoes"),
        ("sooooooo good", "sooo good"),
        ("𝓰𝓻𝓮𝓪𝓽", "great"),
        ("gre\u200bat", "great"),
        ("great\nshoes", "great shoes"),
        ("cafe\u0301", "café"),
        ("@anna great", "@ben great"),
        ("great https://a.example/1", "great www.b.example"),
    ],
)
def test_what_makes_no_difference(one: str, other: str) -> None:
    assert words(one) == words(other)


def test_only_the_beginning_of_a_text_is_read() -> None:
    assert np.array_equal(features("a " * LIMIT), features("a " * (LIMIT // 2)))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_cheap(name: str) -> None:
    assert cost(lambda: features(HOSTILE[name])) < 0.010
    assert len(features(HOSTILE[name])) < 5 * LIMIT


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=300))
def test_any_text_has_features(text: str) -> None:
    slots = features(text)
    assert (slots >= 1).all()
    assert (slots < SLOTS).all()
