"""One contract for the table of sends and the lease over it: in memory, on disk, and in Redis for several senders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import pytest
from intents import NOON, intent
from msgspec.structs import replace
from redis_server import RedisServer

from schemas.codec import unpack_many
from schemas.records import DAY, Derived, Message
from transforms.logic.delivery import ATTEMPTING, Answer, Send, Sink, begin, settle, stop
from transforms.stores.lease import Lease, LeaseLost
from transforms.stores.memory import MemoryRows
from transforms.stores.redis import Redis, declare, running
from transforms.stores.redis_lease import RedisLease
from transforms.stores.redis_sends import RedisSends
from transforms.stores.rows import RowStore
from transforms.stores.sends import Sends

SINK = Sink("A", 4 * DAY, 20_000)
_prefixes = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as one:
        yield one


class Desk(Protocol):
    """A place where senders come and go; `start` begins the next one after the last one has died."""

    sends: Any
    lease: Any

    def start(self) -> None: ...

    def receipts(self) -> list[Any]: ...

    def close(self) -> None: ...


class Embedded:
    """The table of one sender over rows that outlive it."""

    def __init__(self, folder: Path, rows: Callable[[], Any]) -> None:
        self._folder, self._make, self.rows = folder, rows, rows()
        self.start()

    def start(self) -> None:
        self.sends = Sends(self.rows)
        self.lease = Lease(self._folder, self.sends.counts.epoch)
        self.sends.take_epoch(self.lease.epoch)

    def receipts(self) -> list[Any]:
        packed = self.rows.parts.get("receipts", [])
        return [derived.fact for payload, _ in packed for derived in unpack_many(payload, Derived)]

    def close(self) -> None:
        self.lease.close()


class OnDisk(Embedded):
    """The same, read from disk again at each start."""

    def start(self) -> None:
        if hasattr(self, "sends"):
            self.rows.close(save=False)
            self.rows = self._make()
        super().start()

    def receipts(self) -> list[Any]:
        from transforms.stores.log import LogReader

        reader = LogReader(self._folder / "rows", 0, {"receipts"})
        frames = reader.read(1000)
        reader.close()
        return [each.fact for frame in frames for each in unpack_many(frame.parts["receipts"].payload, Derived)]

    def close(self) -> None:
        super().close()
        self.rows.close(save=False)


class Shared:
    """The table in Redis; a sender that dies loses its lease at once, so that nobody has to wait."""

    def __init__(self, url: str) -> None:
        self.server = Redis(url, f"t{next(_prefixes)}", timeout=5.0)
        declare(self.server, running(self.server)[0])
        self.start()

    def start(self) -> None:
        if hasattr(self, "lease"):
            self.server.call("DEL", self.server.key(f"lease/{self.lease.name}"))
        self.lease = RedisLease(self.server)
        self.sends = RedisSends(self.server, self.lease)
        self.sends.take_epoch(self.lease.epoch)

    def receipts(self) -> list[Any]:
        names = self.server.call("KEYS", self.server.key("receipts/*"))
        packed = [row for name in names for row in self.server.call("HVALS", name)]
        return [each.fact for row in packed for each in unpack_many(b"\x01\x91" + row[1:], Derived)]

    def close(self) -> None:
        self.lease.close()
        self.server.close()


@pytest.fixture(params=["memory", "disk", "redis"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    made: Any
    match request.param:
        case "memory":
            made = Embedded(tmp_path, MemoryRows)
        case "disk":
            made = OnDisk(tmp_path, lambda: RowStore(tmp_path / "rows", graph="test", sync=False))
        case _:
            made = Shared(request.getfixturevalue("server").url)
    assert made.sends.orphans() == []
    yield made
    made.close()


def admitted(desk: Desk, *messages: Message, now: int = NOON) -> list[str]:
    return [key for key, _ in desk.sends.admit(messages, now)]


def ends(desk: Desk, message: Message, send: Send) -> None:
    desk.sends.end(message.key, message, send)
    desk.sends.commit(send.at, b"1")


def sent(send: Send) -> Send:
    return settle(begin(send, NOON), Answer("accepted", "200"), SINK, NOON)


def test_a_new_key_is_claimed_once(desk: Desk) -> None:
    assert admitted(desk, intent(), intent("ben"), intent()) == [intent().key, intent("ben").key]
    assert admitted(desk, intent()) == []
    desk.sends.commit(NOON, b"1")
    counts = desk.sends.counts
    assert (counts.taken, counts.repeated, counts.open) == (2, 2, 2)
    assert desk.sends.get(intent().key).state == "claimed"
    assert desk.sends.get("never") is None


def test_an_end_makes_one_receipt_and_adds_up(desk: Desk) -> None:
    ((_, send),) = desk.sends.admit([intent()], NOON)
    ends(desk, intent(), sent(send))
    counts = desk.sends.counts
    assert (counts.taken, counts.sent, counts.open) == (1, 1, 0)
    assert [(fact.key, fact.state) for fact in desk.receipts()] == [(intent().key, "sent")]
    assert admitted(desk, intent(), intent(revision=2)) == []


def test_a_key_that_was_never_tried_is_free_for_a_higher_revision(desk: Desk) -> None:
    ((_, send),) = desk.sends.admit([intent()], NOON)
    ends(desk, intent(), stop(send, "EXPIRED", NOON))
    assert admitted(desk, intent()) == []
    assert admitted(desk, intent(revision=1)) == [intent().key]


def test_a_life_is_claimed_by_one_key_and_the_other_told_at_once(desk: Desk) -> None:
    ana, anna = intent("ana", life="welcome/1/x"), intent("anna", life="welcome/1/x")
    assert admitted(desk, ana, anna) == [ana.key]
    desk.sends.commit(NOON, b"1")
    assert admitted(desk, intent("anne", life="welcome/1/x"), intent("zoe", tenant="other", life="welcome/1/x")) == [
        intent("zoe").key
    ]
    desk.sends.commit(NOON, b"2")
    assert sorted(fact.code for fact in desk.receipts()) == ["DUPLICATE", "DUPLICATE"]
    counts = desk.sends.counts
    assert (counts.taken, counts.refused, counts.open) == (4, 2, 2)


def test_a_life_comes_free_only_if_its_message_surely_never_left(desk: Desk) -> None:
    for who, other, ended, free in (
        ("ana", "anna", lambda send: stop(send, "EXPIRED", NOON), True),
        ("ben", "benn", lambda send: stop(begin(send, NOON), "EXPIRED", NOON), False),
    ):
        first, second = intent(who, life=f"welcome/{who}"), intent(other, life=f"welcome/{who}")
        ((_, send),) = desk.sends.admit([first], NOON)
        ends(desk, first, ended(send))
        assert bool(admitted(desk, second)) is free


def test_what_is_staged_is_seen_and_only_committed_work_survives(desk: Desk) -> None:
    ((key, send),) = desk.sends.admit([intent()], NOON)
    desk.sends.commit(NOON, b"1")
    desk.sends.put(key, begin(send, NOON))
    assert desk.sends.get(key).state == ATTEMPTING
    desk.start()
    assert [(name, each.state) for name, each in desk.sends.orphans()] == [(key, "claimed")]
    assert desk.sends.orphans() == []


def test_a_start_takes_up_all_that_is_open_and_nothing_else(desk: Desk) -> None:
    messages = [intent(f"p{number}") for number in range(30)]
    for message, (key, send) in zip(messages, desk.sends.admit(messages, NOON), strict=True):
        if message in messages[:10]:
            desk.sends.put(key, replace(begin(send, NOON), epoch=desk.lease.epoch))
        elif message in messages[10:20]:
            desk.sends.end(key, message, sent(send))
    desk.sends.commit(NOON, b"1")
    before = desk.lease.epoch
    desk.start()
    assert desk.lease.epoch > before
    states = {key: send.state for key, send in desk.sends.orphans()}
    open_ = [*messages[:10], *messages[20:]]
    assert states == {m.key: "attempting" if m in messages[:10] else "claimed" for m in open_}
    assert all(desk.sends.get(message.key).message == message for message in open_)
    assert admitted(desk, *messages) == []


def test_the_place_in_the_intents_and_marks_survive(desk: Desk) -> None:
    assert desk.sends.position == b""
    assert desk.sends.marked(b"off/shop/email") is None
    desk.sends.mark(b"off/shop/email", b"there")
    assert desk.sends.dirty
    desk.sends.commit(NOON, b"\x00\x01")
    assert not desk.sends.dirty
    desk.start()
    assert desk.sends.position == b"\x00\x01"
    assert desk.sends.marked(b"off/shop/email") == b"there"


def test_a_lease_that_was_followed_is_lost(desk: Desk) -> None:
    desk.lease.keep()
    desk.lease.check()
    lost = desk.lease
    desk.start()
    if isinstance(lost, RedisLease):
        lost._renewed_at -= 9.1  # nobody renewed it
    with pytest.raises(LeaseLost):
        lost.check()
    desk.lease.check()
