"""A door that journals into Kafka: the same promises as with the embedded journal, kept by brokers."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from doorway import TENANT
from kafka_mock import KafkaMock
from kafka_server import KafkaServer, missing
from serving import serving
from sources import eventually, read_all

from pipelines.accept import Feed
from pipelines.config import Config, ConfigError
from pipelines.door import play
from schemas.keys import address_of
from schemas.records import Entry
from transforms.sources.kafka import KafkaSource, close_all
from transforms.stores.log import LogBusy
from transforms.stores.suppression import SuppressionView
from transforms.topics import BrokerError, journal
from transforms.topics.client import ensure
from transforms.topics.journal import KafkaJournal, number_of

_prefixes = count()


@pytest.fixture
def config(kafka_mock: str, tmp_path: Path) -> Config:
    return _config(kafka_mock, tmp_path)


def _config(servers: str, data: Path) -> Config:
    prefix = f"door{next(_prefixes)}"
    maker = Producer({"bootstrap.servers": servers, "log_level": 0})
    maker.produce(f"{prefix}.records", b"")  # the mock broker makes a topic when something is first written to it
    assert maker.flush(10) == 0
    return Config(data, port=0, sync=False, kafka=servers, topics=prefix)


def entries(config: Config) -> list[Entry]:
    """Everything in the topic but ticks."""
    blocks = read_all(KafkaSource(config.kafka, f"{config.topics}.records", end=True).open(None))
    return [entry for block in blocks for entry in block.entries]


def track(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Product Viewed", "messageId": name, "userId": f"user-{name}", **more}


def said(config: Config) -> list[str]:
    return sorted(json.loads(entry.body)["messageId"] for entry in entries(config))


def test_what_was_answered_with_200_is_in_the_topic(config: Config) -> None:
    with serving(config) as door:
        assert door.post("/v1/batch", {"batch": [track(f"m{number}") for number in range(50)]})[0] == 200
        assert said(config) == sorted(f"m{number}" for number in range(50))
        assert door.ask("GET", "/health")[0] == 200
    first = entries(config)[0]
    assert (first.kind, first.tenant, first.trust) == ("track", TENANT.name, "server")


def test_records_of_one_person_lie_in_one_partition_and_in_order(config: Config) -> None:
    with serving(config) as door:
        for number in range(20):
            door.post("/v1/track", track(f"{number:02}", userId="ana"))
    blocks = read_all(KafkaSource(config.kafka, f"{config.topics}.records", end=True).open(None))
    assert len({block.partition for block in blocks}) == 1
    assert [json.loads(entry.body)["messageId"] for block in blocks for entry in block.entries] == [
        f"{number:02}" for number in range(20)
    ]


def test_every_partition_hears_that_time_passes(config: Config) -> None:
    with serving(config):
        reader = KafkaSource(config.kafka, f"{config.topics}.records").open(None)
        eventually(lambda: reader.poll(100) is None and reader.watermark() > 0)
        before = reader.watermark()
        eventually(lambda: reader.poll(100) is None and reader.watermark() > before + 500_000)
    assert not entries(config)


def test_several_doors_write_one_journal(config: Config, tmp_path: Path) -> None:
    other = Config(tmp_path / "other", port=0, sync=False, kafka=config.kafka, topics=config.topics)
    with serving(config) as one, serving(other) as two:
        for number in range(10):
            assert (one if number % 2 else two).post("/v1/track", track(f"m{number}"))[0] == 200
    assert said(config) == [f"m{number}" for number in range(10)]
    with pytest.raises(LogBusy), serving(config):
        KafkaJournal(config.kafka, config.topics, config.folder("journal"), b"", lambda entry: ())


def unsubscribed(config: Config) -> bool:
    view = SuppressionView(config.folder("door"))
    key = address_of(config.secret(), TENANT.name, "email", "ana@people.example")
    try:
        return view.blocks(TENANT.name, [key], "marketing", "marketing")
    finally:
        view.close()


def test_an_opt_out_counts_before_its_answer_and_a_door_without_memory_learns_it_from_the_topic(
    config: Config,
) -> None:
    with serving(config) as door:
        assert not unsubscribed(config)
        body = {"type": "track", "event": "Unsubscribed", "userId": "7", "messageId": "u1"}
        assert door.post("/v1/track", {**body, "context": {"traits": {"email": "ana@people.example"}}})[0] == 200
        assert unsubscribed(config)
    shutil.rmtree(config.folder("door"))
    with serving(config):
        assert unsubscribed(config)


def test_a_file_is_played_once(config: Config, tmp_path: Path) -> None:
    file = tmp_path / "feed.jsonl"
    file.write_text("".join(json.dumps(track(f"m{number}")) + "\n" for number in range(30)))
    assert play(config, [Feed(file)]) == 30
    with file.open("a") as more:
        more.write(json.dumps(track("m30")) + "\n")
    assert play(config, [Feed(file)]) == 1
    assert len(said(config)) == 31


def test_without_brokers_callers_are_told_to_come_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PATIENCE", 0.5)
    mock = KafkaMock()
    with serving(_config(mock.address, tmp_path)) as door:
        assert door.post("/v1/track", track("m1"))[0] == 200
        mock.close()
        answers = [(200, {"retry-after": "0"})]
        eventually(lambda: answers.append(door.post("/v1/track", track("m2"))) or answers[-1][0] != 200)
        assert answers[-1][0] == 503
        assert int(answers[-1][1]["retry-after"]) > 0
        assert door.ask("GET", "/health")[0] == 503


def test_a_door_does_not_start_without_brokers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.topics.client.ANSWER", 0.3)
    with pytest.raises(BrokerError, match="expected an answer"):
        play(Config(tmp_path, kafka="127.0.0.1:1"), [])


def test_brokers_tell_the_time_so_none_but_real_time_is_offered(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="speed"):
        Config(tmp_path, kafka="127.0.0.1:1", speed=60.0)
    with pytest.raises(ConfigError, match="topics"):
        Config(tmp_path, kafka="127.0.0.1:1", topics="my shop")


def test_the_last_word_has_the_highest_number() -> None:
    assert number_of(2_000, 0) > number_of(1_000, (1 << 20) - 1)
    assert number_of(1_000, 8) > number_of(1_999, 7)
    assert number_of(7_258_118_400_000_000, 0) < 1 << 63


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_while_the_broker_is_killed_and_hangs(tmp_path: Path) -> None:
    if why := missing():
        pytest.skip(why)
    close_all()
    with KafkaServer(tmp_path / "kafka") as server:
        ensure(server.address, "killed")
        config = Config(tmp_path / "data", port=0, sync=False, kafka=server.address, topics="killed")
        with serving(config) as door:
            told = _posting(lambda name: door.post("/v1/track", track(name))[0] == 200, server)
        found = said(config)
        close_all()
    assert set(told) <= set(found)
    assert len(told) >= 100


def _posting(post: Callable[[str], bool], server: KafkaServer) -> list[str]:
    """Post until the broker was killed and started, and paused and resumed, with work in flight; what was taken."""
    over, told = threading.Event(), list[str]()

    def work(who: int) -> None:
        for number in count():
            if over.is_set():
                return
            if post(f"m{who}-{number}"):
                told.append(f"m{who}-{number}")

    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for down, up in ((server.kill, server.start), (server.pause, server.resume)):
        so_far = len(told)
        eventually(lambda so_far=so_far: len(told) >= so_far + 50)
        down()
        threading.Event().wait(1.0)
        up()
    so_far = len(told)
    eventually(lambda: len(told) >= so_far + 50)
    over.set()
    for thread in threads:
        thread.join()
    return told
