"""One contract for who may not be written to, wherever it is kept: on disk by one door, in Redis by several."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import count, permutations
from pathlib import Path
from typing import Any

import pytest
from intents import intent
from redis_server import RedisServer

from transforms.logic.suppress import Change, Refusals, blocked, fold
from transforms.stores.redis import Redis
from transforms.stores.redis_suppression import RedisSuppressions, RedisSuppressionView
from transforms.stores.suppression import Suppressions, SuppressionView

ANA, BEN = bytes(16), bytes(range(16))
Opened = tuple[Any, Any]
_prefixes = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as one:
        yield one


@pytest.fixture(params=["disk", "redis"])
def opens(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Opened]]:
    """Opens the store, both sides, again and again over the same data."""
    made: list[Any] = []
    prefix = f"s{next(_prefixes)}"

    def on_disk() -> Opened:
        while made:
            made.pop().close()
        made.extend((Suppressions(tmp_path, sync=False), SuppressionView(tmp_path)))
        return made[0], made[1]

    def in_redis() -> Opened:
        url = request.getfixturevalue("server").url
        made.extend(
            (RedisSuppressions(Redis(url, prefix, timeout=5.0)), RedisSuppressionView(Redis(url, prefix, timeout=5.0)))
        )
        if not made[-2].whole:
            made[-2].complete()
        return made[-2], made[-1]

    yield on_disk if request.param == "disk" else in_redis
    for each in made:
        each.close()


def blocks(view: Any, key: bytes, category: str = "marketing") -> bool:
    found: bool = view.blocks("shop", [key], "marketing", category)
    return found


def test_what_was_applied_is_seen_at_once_and_by_its_address_only(opens: Callable[[], Opened]) -> None:
    door, view = opens()
    assert not blocks(view, ANA)
    door.apply([Change(ANA, 5)], 100, 1)
    assert blocks(view, ANA)
    assert not blocks(view, BEN)


def test_refusals_of_a_category_stop_that_category(opens: Callable[[], Opened]) -> None:
    door, view = opens()
    door.apply([Change(ANA, 5, "news")], 100, 1)
    assert blocks(view, ANA, "news")
    assert not blocks(view, ANA, "offers")


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_the_highest_sequence_wins_in_whatever_order_changes_come(
    opens: Callable[[], Opened], order: tuple[int, ...]
) -> None:
    said = [Change(ANA, 5), Change(ANA, 6, lift=True), Change(ANA, 7, "news")]
    door, view = opens()
    for number in (*order, *order):
        door.apply([said[number]], 100, 1)
    assert not blocks(view, ANA, "offers")
    assert blocks(view, ANA, "news")


def test_a_batch_is_asked_about_at_once(opens: Callable[[], Opened]) -> None:
    door, view = opens()
    messages = [intent(f"p{number}") for number in range(50)]
    door.apply([Change(messages[7].suppression[0], 5)], 100, 1)
    assert [number for number, refused in enumerate(view.refuse(messages)) if refused] == [7]
    assert view.refuse([]) == []
    assert view.refuse([intent("p7", klass="transactional")]) == [False]


def test_a_second_start_knows_all_and_how_far_it_got(opens: Callable[[], Opened]) -> None:
    door, _ = opens()
    assert door.address == 0
    door.apply([Change(ANA, 5)], 1234, 1)
    again, view = opens()
    assert again.address == 1234
    assert again.whole
    assert not again.owes
    assert blocks(view, ANA)


def test_random_changes_leave_what_the_fold_says(opens: Callable[[], Opened]) -> None:
    chance = random.Random(7)
    addresses = [bytes([number]) * 16 for number in range(20)]
    door, view = opens()
    expected = {address: Refusals() for address in addresses}
    for place in range(30):
        batch = [
            Change(chance.choice(addresses), chance.randrange(99), chance.choice("ab*"), lift=chance.random() < 0.3)
            for _ in range(chance.randrange(40))
        ]
        for change in batch:
            expected[change.address] = fold(expected[change.address], change)
        door.apply(batch, place, place)
    for address, refusals in expected.items():
        for category in "abc":
            assert blocks(view, address, category) is blocked([refusals], "marketing", category)
