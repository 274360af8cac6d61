"""A door that keeps suppression in Redis: written before it answers, rebuilt from the journal when Redis lost it."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_server import RedisServer

from pipelines.accept import Desk, Feed
from pipelines.config import SAMPLE, Config, ConfigError
from pipelines.door import LIMITS, play
from pipelines.run import run
from pipelines.trouble import told
from pipelines.workspace import load
from schemas.keys import address_of
from transforms.stores.redis import Redis
from transforms.stores.redis_errors import RedisDown, RedisUnready
from transforms.stores.redis_suppression import RedisSuppressionView

(TENANT,) = load(SAMPLE).tenants.values()
ROOT = Path(__file__).parent.parent.parent
UNSUBSCRIBED = {"type": "track", "event": "Unsubscribed", "messageId": "m-1", "userId": "c-ana"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as one:
        yield one


@pytest.fixture
def config(server: RedisServer, tmp_path: Path) -> Config:
    server.ask("FLUSHALL")
    return Config(tmp_path / "data", redis=server.url, sync=False)


@pytest.fixture
def said(tmp_path: Path) -> Feed:
    file = tmp_path / "said.jsonl"
    file.write_text(json.dumps(UNSUBSCRIBED) + "\n", encoding="utf-8")
    return Feed(file)


def stopped(config: Config) -> bool:
    """What a sender reads; after a restart of Redis its first question finds the connection broken."""
    view = RedisSuppressionView(Redis(config.redis, timeout=5.0))
    try:
        key = address_of(config.secret(), TENANT.name, "customer", "c-ana")
        return view.blocks(TENANT.name, [key], "marketing", "marketing")
    finally:
        view.close()


def test_what_a_door_has_taken_stands_in_redis(config: Config, said: Feed) -> None:
    with pytest.raises(RedisUnready):
        stopped(config)
    assert play(config, []) == 0
    assert not stopped(config)
    assert play(config, [said]) == 1
    assert stopped(config)
    assert not (config.folder("door") / "store.json").exists()


def test_f29_a_door_that_starts_rebuilds_what_redis_lost(config: Config, said: Feed, server: RedisServer) -> None:
    play(config, [said])
    server.ask("FLUSHALL")
    with pytest.raises(RedisUnready):
        stopped(config)
    play(config, [])
    assert stopped(config)


@pytest.mark.parametrize("lost", ["restarted", "emptied"])
def test_f25_f29_a_door_at_work_rebuilds_what_redis_lost_within_seconds(
    config: Config, said: Feed, server: RedisServer, lost: str
) -> None:
    play(config, [said])
    asyncio.run(_at_work(config, server, lost))
    assert stopped(config)


async def _at_work(config: Config, server: RedisServer, lost: str) -> None:
    desk = Desk(config, LIMITS)
    try:
        async with desk.open() as check:
            server.restart(empty=lost == "emptied")
            while not _whole(config):
                check()
                await asyncio.sleep(0.05)
    finally:
        desk.close()


def test_f26_a_door_whose_redis_is_gone_takes_all_but_what_it_must_not_answer_for(
    config: Config, said: Feed, server: RedisServer, tmp_path: Path
) -> None:
    file = tmp_path / "viewed.jsonl"
    viewed = {"type": "page", "anonymousId": "a"}
    file.write_text("".join(json.dumps({**viewed, "messageId": f"v-{n}"}) + "\n" for n in range(9)), encoding="utf-8")
    asyncio.run(_without_redis(Desk(config, LIMITS, [Feed(file)]), server))
    with pytest.raises(TimeoutError):
        asyncio.run(_without_redis(Desk(config, LIMITS, [said]), server))
    play(config, [said])
    assert stopped(config)


async def _without_redis(desk: Desk, server: RedisServer) -> None:
    """Play the desk's files while Redis is gone; TimeoutError if they are not taken."""
    server.kill()
    try:
        async with desk.open(follow=False), asyncio.timeout(3):
            await desk.play()
    finally:
        server.start()
        desk.close()


def _whole(config: Config) -> bool:
    try:
        stopped(config)
    except RedisUnready:
        return False
    return True


def test_f28_a_door_refuses_a_redis_that_may_forget(config: Config, server: RedisServer) -> None:
    server.ask("CONFIG", "SET", "appendonly", "no")
    try:
        with pytest.raises(ConfigError, match="expected aof_enabled 1, got 0"):
            play(config, [])
    finally:
        server.ask("CONFIG", "SET", "appendonly", "yes")


def test_a_door_or_lane_with_another_key_is_refused(config: Config, tmp_path: Path) -> None:
    play(config, [])
    play(config, [])
    other = Config(tmp_path / "other", redis=config.redis, sync=False)
    for start in (lambda: play(other, []), lambda: run(other, "person", lambda: True)):
        with pytest.raises(ConfigError, match="copy secret"):
            start()
    alike = Config(tmp_path / "alike", redis=config.redis, sync=False)
    alike.data.mkdir()
    shutil.copy(config.secret_file, alike.data)
    assert play(alike, []) == 0


def test_a_redis_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RedisDown) as raised:
        play(Config(tmp_path / "data", redis="redis://127.0.0.1:1/0"), [])
    sentence = told(raised.value)
    assert sentence is not None
    assert "Redis" in sentence[0]


def test_a_sender_starts_without_beam_and_without_clients_that_it_does_not_use() -> None:
    unused = ("apache_beam", "redis", "confluent_kafka")
    code = f"import sys, pipelines.sender; print([name for name in {unused} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
