"""The way to Redis: one client with short time limits, no hidden repeats, a breaker, and a check of the server.

The client's own defaults wait 45 seconds and more for a frozen server and apply a write ten times over when answers
are lost; here a call fails within 300 ms, once, and it is the caller who knows whether it may be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from hashlib import sha1
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    ClusterCrossSlotError,
    ClusterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from transforms.logic.breaker import Breaker
from transforms.stores.redis_errors import RedisDown, RedisFull, RedisUnfit, RedisUnready

TIMEOUT = 0.25
_LATER = (ReadOnlyError, ClusterDownError, TryAgainError)
_LATER_TEXTS = ("BUSY", "MISCONF", "NOREPLICAS", "UNKILLABLE")
"""Answers that pass: a replica since a failover, an election, a long script, a disk that cannot be written."""

_STRANGER = (AuthenticationError, AuthorizationError, NoPermissionError)
_CLUSTER = (AskError, ClusterCrossSlotError)

HEAD = """
local P = KEYS[1]
local at = 0
local function take() at = at + 1; return ARGV[at] end
local function number() return tonumber(take()) end
local function run_id() return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') end
local function ready() return redis.call('GET', P .. 'ready') == run_id() end
"""
"""What every script begins with. `ready` holds the run of the server for which the stores were last rebuilt: it is
missing in an emptied Redis, and another one after a restart or a failover."""


class Script:
    """A Lua script, known to the server by its digest."""

    def __init__(self, text: str) -> None:
        self.text = HEAD + text
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class Redis:
    """A connection to one server. All keys begin with `prefix`; `now` is seconds of a clock that never goes back.

    Raises RedisUnfit for a URL that cannot be used. Nothing is connected before the first call.
    """

    def __init__(
        self, url: str, prefix: str = "rapport", *, timeout: float = TIMEOUT, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.prefix = f"{prefix}/".encode()
        self.breaker = Breaker()
        self._now = now
        try:
            self._client = redis.Redis.from_url(
                url,
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
                maint_notifications_config=MaintNotificationsConfig(
                    enabled=False
                ),  # it may stretch time limits to 10 s
            )
            self._client.response_callbacks.clear()  # answers as they come; the client would guess at shapes
        except ValueError as error:
            raise RedisUnfit(f"redis: expected redis://host:port/0, got something else ({error})") from None

    def key(self, name: str | bytes) -> bytes:
        """The key of ours that is called `name`."""
        return self.prefix + (name.encode() if isinstance(name, str) else name)

    def call(self, *command: Any) -> Any:
        """One command. Raises RedisDown, RedisFull, RedisUnfit; never repeats anything."""
        return self._guarded(lambda: self._client.execute_command(*command))

    def run(self, script: Script, *args: bytes | str | int | float) -> Any:
        """One script, all or nothing; loaded first if the server does not know it (then it has surely not run)."""
        command = (script.sha, 1, self.prefix, *args)
        try:
            return self._guarded(lambda: self._client.execute_command("EVALSHA", *command))
        except NoScriptError:
            self.call("SCRIPT LOAD", script.text)
            return self.call("EVALSHA", *command)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _guarded(self, ask: Callable[[], Any]) -> Any:
        if not self.breaker.may(self._now()):
            raise RedisDown("Redis did not answer several times in a row and is left alone for a moment")
        try:
            answer = ask()
        except NoScriptError:
            self.breaker.worked()
            raise
        except RedisError as error:
            raise self._judged(error) from None
        self.breaker.worked()
        return answer

    def _judged(self, error: RedisError) -> Exception:
        """What an error means for the caller and, beside it, for the breaker and the connections."""
        meaning = judge(error)
        if isinstance(meaning, RedisDown):
            self.breaker.failed(self._now())
            self._client.connection_pool.disconnect()  # after a failover the name may lead elsewhere
        else:
            self.breaker.worked()
        return meaning


def judge(error: RedisError) -> Exception:
    """The error of ours that one of the client's stands for; itself if it is a mistake in a command."""
    text = str(error)
    if isinstance(error, _STRANGER):
        return RedisUnfit(f"redis: expected a user who may run our commands, got {text!r}; check the URL's user")
    if isinstance(error, OutOfMemoryError):
        return RedisFull("Redis is full and takes no more writes; give it more memory (maxmemory)")
    if isinstance(error, _CLUSTER):
        return RedisUnfit("redis: expected a single server (with replicas), got a Redis Cluster; name another URL")
    if isinstance(error, ResponseError) and not isinstance(error, _LATER) and not text.startswith(_LATER_TEXTS):
        return error
    return RedisDown(f"Redis did not do it: {text}")


def check(server: Redis) -> None:
    """Refuse a server that may forget. Raises RedisUnfit (what was expected, what came, what to do), RedisDown."""
    found = facts(server)
    expected = {
        "maxmemory_policy": ("noeviction", "CONFIG SET maxmemory-policy noeviction"),
        "aof_enabled": ("1", "CONFIG SET appendonly yes, appendfsync everysec"),
        "cluster_enabled": ("0", "name a single server"),
        "role": ("master", "name the primary, not a replica"),
    }
    for name, (right, remedy) in expected.items():
        if found.get(name, right) != right:
            raise RedisUnfit(f"redis: expected {name} {right}, got {found[name]}; {remedy}, and keep it in its file")


def facts(server: Redis) -> dict[str, str]:
    """What the server says about itself (INFO, which hosted servers allow where they forbid CONFIG)."""
    lines = server.call("INFO").decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


_RUN = Script("return {run_id(), ready() and 1 or 0}")
_DECLARE = Script("if run_id() ~= take() then return 0 end redis.call('SET', P .. 'ready', ARGV[1]) return 1")


def running(server: Redis) -> tuple[str, bool]:
    """Which run of the server this is, and whether everything in it was rebuilt since it began."""
    run, whole = server.run(_RUN)
    return run.decode(), bool(whole)


def declare(server: Redis, run: str) -> None:
    """Say that all is rebuilt to the log's end; `run` is what `running` said before. RedisUnready if it is another."""
    if not server.run(_DECLARE, run):
        raise RedisUnready("Redis was started again while it was being rebuilt; rebuild once more")


def opened(answer: Sequence[Any]) -> Sequence[Any]:
    """The rest of a script's answer that begins with `ok`. Raises RedisUnready if it begins with `unready`."""
    if answer[0] == b"unready":
        raise RedisUnready("Redis has lost data or was started again; nothing leaves until suppression is rebuilt")
    return answer[1:]
