"""Ids that were seen: what a dictionary for each day would say, in a fraction of its memory."""

from __future__ import annotations

import random

from transforms.remembered import ID_COST, Remembered


def test_it_says_what_dictionaries_by_day_say() -> None:
    chance = random.Random(5)
    remembered, days = Remembered(), dict[int, dict[int, int]]()
    for step in range(300):
        day = 20_000 + step // 10
        asked = chance.sample(range(400), 20)
        known = {number: mark for marks in days.values() for number, mark in marks.items()}
        assert remembered.find(asked) == [known.get(number, -1) for number in asked]
        fresh = [(number, chance.randrange(1 << 16)) for number in asked if number not in known]
        remembered.add(day, fresh)
        days.setdefault(day, {}).update(fresh)
        remembered.forget_before(day - 7)
        days = {each: marks for each, marks in days.items() if each >= day - 7}
    assert {day: dict(marks) for day, marks in remembered.days()} == days
    assert len(remembered) == sum(map(len, days.values()))


def test_ids_are_whole_64_bit_numbers_and_marks_begin_at_nought() -> None:
    remembered = Remembered()
    assert remembered.find([1]) == [-1]
    remembered.add(20_000, [(2**64 - 1, 0), (0, 65_535)])
    assert remembered.find([2**64 - 1, 0, 1]) == [0, 65_535, -1]


def test_an_id_costs_what_is_said() -> None:
    remembered = Remembered()
    chance = random.Random(1)
    for _ in range(100):
        remembered.add(20_000, [(chance.getrandbits(64), 7) for _ in range(1_000)])
    assert ID_COST / 2 < (remembered._marks.nbytes + 8 * len(remembered)) / len(remembered) < 2 * ID_COST
