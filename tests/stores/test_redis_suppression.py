"""Suppression in Redis when Redis, a door or an answer is lost: nobody is written to by mistake."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from redis_server import RedisServer

from transforms.logic.suppress import Change
from transforms.stores import redis_suppression
from transforms.stores.redis import Redis
from transforms.stores.redis_errors import RedisDown, RedisFull, RedisUnready
from transforms.stores.redis_suppression import RedisSuppressions, RedisSuppressionView

ANA = bytes(range(16))
_prefixes = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as one:
        yield one


class Place:
    """A door and a sender's view over one prefix, and the log that both could be rebuilt from."""

    def __init__(self, server: RedisServer) -> None:
        self.prefix = f"p{next(_prefixes)}"
        self.server = server
        self.log: list[Change] = []
        self.door = RedisSuppressions(Redis(server.url, self.prefix))
        self.view = RedisSuppressionView(Redis(server.url, self.prefix))
        self.rebuild()

    def say(self, *changes: Change) -> None:
        """Journal changes and make them visible, as a door does before its 200."""
        self.log += changes
        self.door.apply(changes, len(self.log), 1)

    def rebuild(self) -> int:
        """Apply the log's tail if Redis is not whole; how many changes that took."""
        if self.door.whole:
            return 0
        tail = self.log[self.door.address :]
        self.door.apply(tail, len(self.log), 1)
        self.door.complete()
        return len(tail)

    def blocks(self, key: bytes = ANA) -> bool:
        return self.view.blocks("shop", [key], "marketing", "marketing")

    def forget_connections(self) -> None:
        """The first call after a restart finds its connection broken; the second one makes a new one."""
        for ask in (lambda: self.door.whole, self.blocks):
            with suppress(OSError):
                ask()


@pytest.fixture
def place(server: RedisServer) -> Iterator[Place]:
    one = Place(server)
    yield one
    one.door.close()
    one.view.close()


def test_f29_in_an_emptied_redis_nothing_is_read_until_all_is_rebuilt(place: Place) -> None:
    place.say(Change(ANA, 1))
    place.server.ask("FLUSHALL")
    with pytest.raises(RedisUnready, match="nothing leaves until suppression is rebuilt"):
        place.blocks()
    assert place.rebuild() == 1
    assert place.blocks()


def test_f25_after_a_kill_nothing_is_lost_and_only_the_tail_is_read_again(place: Place) -> None:
    for number in range(50):
        place.say(Change(bytes([number]) * 16, number))
    place.server.restart()
    place.forget_connections()
    with pytest.raises(RedisUnready):
        place.blocks()
    assert place.rebuild() == 0, "the append-only file kept all that was answered"
    assert place.blocks(bytes([49]) * 16)


def test_f30_a_failover_that_lost_the_last_second_is_made_good_from_the_log(place: Place) -> None:
    place.say(Change(ANA, 1, "news"))
    prefix = place.prefix.encode()
    replica = {key: place.server.ask("GET", key) for key in (prefix + b"/s/" + ANA, prefix + b"/place/journal")}
    place.say(Change(ANA, 2))
    for key, row in replica.items():
        place.server.ask("SET", key, row)
    place.server.restart()
    place.forget_connections()
    with pytest.raises(RedisUnready):
        place.blocks()
    assert place.rebuild() == 1
    assert place.blocks()


def test_f26_a_frozen_redis_lets_nobody_be_written_to(place: Place) -> None:
    place.say(Change(ANA, 1))
    place.server.freeze()
    try:
        for _ in range(4):
            with pytest.raises(RedisDown):
                place.blocks()
        with pytest.raises(RedisDown):
            place.say(Change(ANA, 2, "later"))
        assert place.door.owes
    finally:
        place.server.thaw()


def test_f27_a_full_redis_makes_a_door_owe_and_is_still_read(place: Place) -> None:
    place.say(Change(ANA, 1, "news"))
    place.server.ask("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(RedisFull):
            place.say(Change(ANA, 2))
        assert place.door.owes
        assert not place.blocks()
    finally:
        place.server.ask("CONFIG", "SET", "maxmemory", "0")
    place.say()
    assert place.blocks()
    assert not place.door.owes


def test_f31_a_write_whose_answer_was_lost_is_repeated_without_harm(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_: str) -> None:
        raise RedisDown("the answer was lost")

    monkeypatch.setattr(redis_suppression.faults, "here", lost)
    with pytest.raises(RedisDown):
        place.say(Change(ANA, 1, "news"))
    monkeypatch.undo()
    place.say(Change(ANA, 2, lift=True))
    place.say(Change(ANA, 1, "news"))
    assert not place.view.blocks("shop", [ANA], "marketing", "news")


def test_a_row_that_cannot_be_read_lets_nobody_be_written_to(place: Place) -> None:
    place.server.ask("SET", place.prefix.encode() + b"/s/" + ANA, b"\x09 of a later version")
    assert place.blocks()


def test_doors_that_write_at_once_lose_nothing(place: Place) -> None:
    """Eight doors, one address: each refuses its own categories, in batches that cross."""

    def door(number: int) -> None:
        mine = RedisSuppressions(Redis(place.server.url, place.prefix, timeout=5.0))
        for turn in range(20):
            mine.write([Change(ANA, 100 + turn, f"{number}/{turn}"), Change(bytes([turn]) * 16, turn)])
        mine.close()

    threads = [threading.Thread(target=door, args=(number,), daemon=True) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    said = [f"{number}/{turn}" for number in range(8) for turn in range(20)]
    assert all(place.view.blocks("shop", [ANA], "marketing", category) for category in said)


def test_a_redis_that_starts_again_during_a_rebuild_is_rebuilt_once_more(place: Place, tmp_path: Path) -> None:
    place.server.ask("FLUSHALL")
    assert not place.door.whole
    place.server.restart()
    place.forget_connections()
    place.door._run = "another"
    with pytest.raises(RedisUnready, match="once more"):
        place.door.complete()
