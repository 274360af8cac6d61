"""The way to Redis against a real server: what a call costs when the server is gone, frozen, full or set up wrongly."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from redis_server import RedisServer

from transforms.stores.redis import Redis, Script, check, declare, running
from transforms.stores.redis_errors import RedisDown, RedisFull, RedisUnfit, RedisUnready

ADD = Script("return redis.call('INCRBY', P .. 'count', take())")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as one:
        yield one


def test_f26_a_frozen_redis_fails_a_call_within_300_ms_and_then_at_once(server: RedisServer) -> None:
    here = Redis(server.url, "frozen")
    here.call("SET", here.key("a"), "1")
    server.freeze()
    try:
        spent = [seconds_until_down(here) for _ in range(6)]
    finally:
        server.thaw()
    assert min(spent[:3]) <= 0.3
    assert sum(spent) <= 2.0, "the circuit opens within two seconds"
    assert min(spent[3:]) < 0.01, "an open circuit costs nothing"
    assert answers_again(here) <= 10.0


def seconds_until_down(here: Redis) -> float:
    begin = time.monotonic()
    with pytest.raises(RedisDown):
        here.call("GET", here.key("a"))
    return time.monotonic() - begin


def answers_again(here: Redis) -> float:
    begin = time.monotonic()
    while time.monotonic() < begin + 15:
        try:
            assert here.call("GET", here.key("a")) == b"1"
            return time.monotonic() - begin
        except RedisDown:
            threading.Event().wait(0.02)
    raise AssertionError("the circuit never closed")


def test_f28_a_redis_that_may_forget_is_refused(server: RedisServer, tmp_path: Path) -> None:
    check(Redis(server.url))
    for name, wrong, right in (
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
        ("appendonly", "no", "yes"),
    ):
        server.ask("CONFIG", "SET", name, wrong)
        try:
            with pytest.raises(RedisUnfit, match=r"expected .*, got .*; CONFIG SET " + name):
                check(Redis(server.url))
        finally:
            server.ask("CONFIG", "SET", name, right)


def test_a_replica_is_refused_and_its_refusals_of_writes_pass(server: RedisServer) -> None:
    here = Redis(server.url, "replica")
    server.ask("REPLICAOF", "127.0.0.1", "1")
    try:
        with pytest.raises(RedisUnfit, match="name the primary"):
            check(Redis(server.url))
        with pytest.raises(RedisDown, match="read only"):
            here.call("SET", here.key("a"), "1")
    finally:
        server.ask("REPLICAOF", "NO", "ONE")
    here.call("SET", here.key("a"), "1")


@pytest.mark.parametrize("url", ["http://somewhere", "redis:/x", "redis://host:port/0"])
def test_a_url_that_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises(RedisUnfit, match="expected redis://host:port/0"):
        Redis(url)


def test_f27_a_full_redis_refuses_writes_whole_and_still_reads(server: RedisServer) -> None:
    here = Redis(server.url, "full")
    here.run(ADD, 1)
    server.ask("CONFIG", "SET", "maxmemory", "1")
    try:
        for _ in range(5):
            with pytest.raises(RedisFull, match="give it more memory"):
                here.run(ADD, 1)
        assert here.call("GET", here.key("count")) == b"1"
    finally:
        server.ask("CONFIG", "SET", "maxmemory", "0")
    assert here.run(ADD, 1) == 2


def test_f34_a_lost_script_is_loaded_again_and_runs_once(server: RedisServer) -> None:
    here = Redis(server.url, "scripts")
    assert here.run(ADD, 1) == 1
    server.ask("SCRIPT", "FLUSH")
    assert here.run(ADD, 1) == 2


def test_a_mistake_in_a_command_is_no_outage(server: RedisServer) -> None:
    here = Redis(server.url)
    for _ in range(5):
        with pytest.raises(Exception, match="unknown command"):
            here.call("NOSUCH")
    assert not here.breaker.open


def test_f25_a_restarted_redis_is_not_ready_until_somebody_says_so(server: RedisServer) -> None:
    here = Redis(server.url, "run")
    run, whole = running(here)
    assert not whole
    declare(here, run)
    assert running(here) == (run, True)
    server.restart()
    again, whole = told_again(here)
    assert again != run
    assert not whole
    with pytest.raises(RedisUnready, match="rebuild once more"):
        declare(here, run)
    declare(here, again)
    assert running(here) == (again, True)


def told_again(here: Redis) -> tuple[str, bool]:
    """What is running, past the first call, which finds its connection broken."""
    with suppress(RedisDown):
        return running(here)
    return running(here)


def test_f29_an_emptied_redis_is_not_ready(server: RedisServer) -> None:
    here = Redis(server.url, "empty")
    declare(here, running(here)[0])
    server.ask("FLUSHALL")
    assert not running(here)[1]


class Scripted(socketserver.StreamRequestHandler):
    """A server that gives one and the same answer."""

    answer = b""

    def handle(self) -> None:
        while line := self.rfile.readline():
            count = int(line[1:])
            for _ in range(count):
                self.rfile.read(int(self.rfile.readline()[1:]) + 2)
            self.wfile.write(b"-" + self.answer + b"\r\n")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"LOADING Redis is loading the dataset in memory", RedisDown),
        (b"READONLY You can't write against a read only replica.", RedisDown),
        (b"MASTERDOWN Link with MASTER is down", RedisDown),
        (b"CLUSTERDOWN Hash slot not served", RedisDown),
        (b"TRYAGAIN Multiple keys request during rehashing of slot", RedisDown),
        (b"BUSY Redis is busy running a script", RedisDown),
        (b"MISCONF Errors writing to the AOF file", RedisDown),
        (b"MOVED 3999 127.0.0.1:6381", RedisUnfit),
        (b"ASK 3999 127.0.0.1:6381", RedisUnfit),
        (b"CROSSSLOT Keys in request don't hash to the same slot", RedisUnfit),
        (b"NOAUTH Authentication required.", RedisUnfit),
        (b"NOPERM this user has no permissions", RedisUnfit),
        (b"OOM command not allowed when used memory > 'maxmemory'.", RedisFull),
    ],
)
def test_f32_answers_that_are_no_answer_have_a_type(answer: bytes, error: Any) -> None:
    handler = type("Handler", (Scripted,), {"answer": answer})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as stub:
        stub.daemon_threads = True
        thread = threading.Thread(target=stub.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        here = Redis(f"redis://127.0.0.1:{stub.server_address[1]}")
        with pytest.raises(error):
            here.call("SET", "a", "1")
        here.close()
        stub.shutdown()
        thread.join()
