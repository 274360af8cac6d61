"""One contract for rows of which only the newest counts: in memory, on disk, in Redis."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from redis_server import RedisServer

from schemas.codec import pack
from schemas.records import Traits
from transforms.stores.latest import HIGHEST, LARGEST, Latest, StoredRows, TooLarge
from transforms.stores.memory import MemoryRows
from transforms.stores.redis import Redis
from transforms.stores.redis_latest import RedisRows
from transforms.stores.rows import RowStore

_prefixes = count()


def named(name: str) -> Traits:
    return Traits(first_name=name)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as one:
        yield one


@pytest.fixture(params=["memory", "disk", "redis"])
def rows(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    closing: Any
    match request.param:
        case "memory":
            closing = MemoryRows()
            made: Any = StoredRows(closing)
        case "disk":
            closing = RowStore(tmp_path, graph="test", sync=False)
            made = StoredRows(closing)
        case _:
            closing = Redis(request.getfixturevalue("server").url, f"l{next(_prefixes)}", timeout=5.0)
            made = RedisRows(closing, "people")
    yield made
    closing.close()


@pytest.fixture
def latest(rows: Any) -> Latest[Traits]:
    return Latest(rows, Traits)


def test_many_are_read_at_once_in_the_order_asked_for(latest: Latest[Traits]) -> None:
    assert latest.write({b"a": (1, named("Ana")), b"b": (1, named("Ben"))}) == 2
    assert latest.read([b"b", b"never", b"a"]) == [named("Ben"), None, named("Ana")]
    assert latest.read([]) == []


def test_the_highest_sequence_stands_whatever_comes_later(latest: Latest[Traits]) -> None:
    latest.write({b"a": (5, named("new"))})
    assert latest.write({b"a": (4, named("old"))}) == 0
    assert latest.write({b"a": (5, named("again"))}) == 0
    assert latest.read([b"a"]) == [named("new")]
    assert latest.write({b"a": (HIGHEST - 1, named("newest"))}) == 1
    assert latest.read([b"a"]) == [named("newest")]


def test_random_writes_leave_the_newest(latest: Latest[Traits]) -> None:
    chance = random.Random(3)
    newest: dict[bytes, int] = {}
    for _ in range(40):
        batch = {b"%d" % chance.randrange(30): chance.randrange(1 << 52) for _ in range(10)}
        latest.write({key: (sequence, named(str(sequence))) for key, sequence in batch.items()})
        for key, sequence in batch.items():
            newest[key] = max(sequence, newest.get(key, -1))
    assert latest.read(list(newest)) == [named(str(sequence)) for sequence in newest.values()]


def test_more_than_a_script_takes_at_once(latest: Latest[Traits]) -> None:
    keys = [b"%d" % number for number in range(2500)]
    assert latest.write({key: (1, named(key.decode())) for key in keys}) == 2500
    assert latest.read(keys) == [named(key.decode()) for key in keys]


def test_f33_a_value_that_cannot_be_read_is_none_and_counted(rows: Any, latest: Latest[Traits]) -> None:
    rows.write({b"a": (1, b"\x63 of a later version"), b"b": (1, pack([7, 8])), b"c": (1, pack(named("Cem")))})
    assert latest.read([b"a", b"b", b"c"]) == [None, None, named("Cem")]
    assert latest.unreadable == 2
    assert latest.write({b"a": (2, named("Ana"))}) == 1
    assert latest.read([b"a"]) == [named("Ana")]


def test_f35_a_huge_row_is_refused_before_it_is_written(latest: Latest[Traits]) -> None:
    with pytest.raises(TooLarge, match="expected at most"):
        latest.write({b"a": (1, named("A")), b"b": (1, named("B" * LARGEST))})
    assert latest.read([b"a", b"b"]) == [None, None]
    with pytest.raises(ValueError, match="sequence"):
        latest.write({b"a": (HIGHEST, named("A"))})


def test_f35_a_huge_row_that_somebody_else_wrote_is_left_unread(server: RedisServer) -> None:
    here = Redis(server.url, "huge", timeout=5.0)
    latest = Latest(RedisRows(here, "people"), Traits)
    here.call("SET", here.key(b"people/a"), b"0" * 16 + bytes(10_000_000))
    assert latest.read([b"a"]) == [None]
    here.close()


def test_f33_a_row_without_a_sequence_is_replaced(server: RedisServer) -> None:
    here = Redis(server.url, "strange", timeout=5.0)
    latest = Latest(RedisRows(here, "people", life=60), Traits)
    here.call("SET", here.key(b"people/a"), b"?")
    assert latest.read([b"a"]) == [None]
    assert latest.write({b"a": (0, named("Ana"))}) == 1
    assert latest.read([b"a"]) == [named("Ana")]
    assert 0 < here.call("PTTL", here.key(b"people/a")) <= 60_000
    here.close()
