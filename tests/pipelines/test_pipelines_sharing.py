"""Senders that share one Redis, as real processes that are killed in mid-work; a web server keeps the truth."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from intents import intent
from redis_server import RedisServer
from webhook_sink import Sink

from pipelines.books import SharedBooks
from pipelines.clock import open_clock, real_now
from pipelines.config import ConfigError
from pipelines.shared import open_redis
from schemas.codec import pack_many, unpack_many
from schemas.records import HOUR, Derived, Message
from transforms.logic.suppress import Change
from transforms.stores.log import LogReader, LogWriter
from transforms.stores.redis import Redis
from transforms.stores.redis_suppression import RedisSuppressions

ROOT = Path(__file__).parent.parent.parent
SECRET = "whsec_" + "a2" * 22
NAMES = ("one", "two")


class Street:
    """A data folder with intents, a Redis, a door's hand on suppression, and senders that come and go."""

    def __init__(self, data: Path, sink: Sink, server: RedisServer) -> None:
        self.data, self.sink, self.server = data, sink, server
        self.messages: list[Message] = []
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.door = RedisSuppressions(Redis(server.url, timeout=5.0))
        open_clock(data / "clock.json")
        self.rebuild()

    def rebuild(self, *changes: Change) -> None:
        """What the door does when Redis is new or was started again."""
        if not self.door.whole:
            self.door.apply(changes, 1, 1)
            self.door.complete()

    def door_answers(self) -> bool:
        """Whether Redis is back; the first call after its end finds the connection broken."""
        with suppress(OSError):
            return self.door.address >= 0
        return False

    def decide(self, count: int) -> None:
        log = LogWriter(self.data / "person", sync=False)
        for _ in range(count):
            now = real_now()
            message = intent(f"p{len(self.messages)}", decided_at=now, caused_at=now, expires_at=now + HOUR)
            self.messages.append(message)
            log.append(real_now(), {"intents": (pack_many([message]), 1)})
        log.commit()
        log.close()

    def start(self, name: str, fault: str = "") -> subprocess.Popen[bytes]:
        path = os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support")))
        environment = {**os.environ, "PYTHONPATH": path, "RAPPORT_SECRET_TEST": SECRET, "RAPPORT_FAULT": fault}
        script = ROOT / "tests" / "support" / "sharing_sender.py"
        command = [sys.executable, str(script), str(self.data), str(self.sink.port), self.server.url, name]
        self.processes[name] = subprocess.Popen(command, env=environment, cwd=ROOT)
        return self.processes[name]

    def receipts(self) -> list[Any]:
        found: dict[str, Any] = {}
        for name in NAMES:
            reader = LogReader(self.data / name, 0, {"receipts"})
            while frames := reader.read():
                for frame in frames:
                    found |= {each.id: each.fact for each in unpack_many(frame.parts["receipts"].payload, Derived)}
            reader.close()
        return list(found.values())

    def both(self) -> bool:
        """Whether two senders are at work."""
        return len(self.server.ask("KEYS", "rapport/lease/*")) == 2

    def done(self) -> bool:
        return len(self.receipts()) >= len(self.messages)

    def ended(self) -> bool:
        """Whether everything has been sent, as Redis knows it; receipts may still wait to be handed on."""
        return int(self.server.ask("HGET", "rapport/counts", "sent") or 0) == len(self.messages)

    def holds(self, *states: str) -> None:
        """Every key has one receipt; the sink took each that was sent, once and with one body."""
        receipts = self.receipts()
        assert Counter(fact.key for fact in receipts) == Counter(message.key for message in self.messages)
        assert {fact.state for fact in receipts} == set(states)
        assert {fact.key for fact in receipts if fact.state == "sent"} == set(self.sink.accepted)
        assert self.sink.contradicted == []

    def end(self) -> None:
        (self.data / "stop").touch()
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.door.close()


def until(done: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 60.0) -> None:
    """Wait for other processes, as long as this one lives."""
    end = time.monotonic() + seconds
    while not done():
        assert process.poll() is None, "the process ended"
        assert time.monotonic() < end, "nothing came of it in time"
        select.select([], [], [], 0.02)


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    with RedisServer(tmp_path / "redis") as server, Sink() as sink:
        one = Street(tmp_path, sink, server)
        yield one
        one.end()


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", ["sender.before_claim:1", "sender.after_claim:1", "sender.after_send:40", "sender.after_outcome:2"]
)
def test_f1_of_two_senders_one_is_killed_and_the_other_takes_over(street: Street, fault: str) -> None:
    killed, other = street.start("one", fault), street.start("two")
    until(street.both, other)
    while killed.poll() is None:
        street.decide(100)
        until(lambda: killed.poll() is not None or street.done(), other)
    assert killed.poll() == -signal.SIGKILL
    street.decide(100)
    until(street.done, other)
    street.holds("sent")


@pytest.mark.slow
def test_f5_a_sender_that_was_paused_for_longer_than_its_lease_begins_anew(street: Street) -> None:
    paused, other = street.start("one"), street.start("two")
    until(street.both, other)
    street.decide(200)
    until(lambda: bool(street.sink.accepted), other)
    paused.send_signal(signal.SIGSTOP)
    until(street.ended, other)
    street.decide(50)
    until(street.ended, other)
    paused.send_signal(signal.SIGCONT)
    until(street.both, paused)
    street.decide(50)
    until(street.done, paused)
    street.holds("sent")


@pytest.mark.slow
def test_two_senders_share_the_work(street: Street) -> None:
    first, _ = street.start("one"), street.start("two")
    until(street.both, first)
    for _ in range(20):
        street.decide(20)
        until(street.done, first)
    street.holds("sent")
    assert street.sink.repeated == 0


@pytest.mark.slow
def test_f25_redis_is_killed_under_two_senders(street: Street) -> None:
    first, _ = street.start("one"), street.start("two")
    for _ in range(3):
        street.decide(150)
        until(lambda: len(street.receipts()) >= len(street.messages) - 140, first)
        street.server.restart()
        before = len(street.sink.accepted)
        until(street.door_answers, first)
        street.rebuild()
        until(street.done, first)
        assert len(street.sink.accepted) >= before
    street.holds("sent")


@pytest.mark.slow
def test_f29_redis_is_emptied_under_a_sender_and_nothing_goes_again(street: Street) -> None:
    sender = street.start("one")
    street.decide(100)
    until(street.done, sender)
    street.server.restart(empty=True)
    until(street.door_answers, sender)
    street.decide(50)
    street.rebuild()
    until(street.done, sender)
    street.holds("sent")
    assert street.sink.repeated == 0
    assert int(street.server.ask("HGET", "rapport/counts", "sent")) == 150


def test_f28_senders_refuse_a_redis_that_may_forget(street: Street) -> None:
    street.server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(ConfigError, match="expected maxmemory_policy noeviction, got allkeys-lru; CONFIG SET"):
        open_redis(street.server.url)
    with pytest.raises(ConfigError, match="expected redis://host:port/0"):
        SharedBooks("nowhere", lambda receipts, now: None, list, 0)
