"""Intents that wait for the checkpoint which knows of them: nothing leaves that a job may still take back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from intents import SECRET, intent
from sources import eventually

from pipelines.brokers import intents_topic
from pipelines.config import Config, ConfigError
from schemas.records import Message
from transforms.surroundings import OpenIntents
from transforms.topics.client import ensure
from transforms.topics.hold import Checkpoints, HeldIntents
from transforms.topics.kafka import KafkaTopics

PARTITIONS = 4
_prefixes = count()


@dataclass
class Waiting:
    """Batches of intents that wait to be read; a broker took them when the last of each was decided."""

    batches: list[list[Message]]
    place: int = 0
    closed: bool = False
    heard: list[int] = field(default_factory=list)

    def read(self) -> list[Message]:
        self.place += self.place < len(self.batches)
        return self.batches[self.place - 1]

    @property
    def stamp(self) -> int:
        return max(message.decided_at for message in self.batches[self.place - 1])

    def position(self) -> bytes:
        return bytes((self.place,))

    def settled(self) -> None:
        self.heard.append(self.place)

    def close(self) -> None:
        self.closed = True


class Upto(Checkpoints):
    """A job whose checkpoints are said to have come so far."""

    def __init__(self) -> None:
        self.come = 0

    def passed(self, moment: int) -> bool:
        return moment < self.come

    def close(self) -> None: ...


def test_a_batch_waits_whole_and_its_place_with_it() -> None:
    first = [intent("ana", decided_at=10), intent("bo", decided_at=20)]
    source, job = Waiting([first, [intent("cy", decided_at=30)]]), Upto()
    held = HeldIntents(source, job)
    job.come = 20
    assert held.read() == []
    held.settled()
    assert (held.position(), source.heard) == (b"\x00", [])
    job.come = 21
    assert held.read() == first
    held.settled()
    assert (held.position(), source.heard) == (b"\x01", [1])
    assert held.read() == []
    assert held.position() == b"\x01", "expected a crash to bring back what is held"
    held.close()
    assert source.closed


def test_only_a_job_on_a_cluster_takes_anything_back(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="hold: expected --kafka"):
        Config(tmp_path, hold=True)


# --- on a real broker -------------------------------------------------------------------------------------------------


@pytest.fixture
def held(kafka_broker: str, tmp_path: Path) -> Iterator[tuple[Config, OpenIntents]]:
    prefix = f"hold{next(_prefixes)}"
    ensure(kafka_broker, prefix)
    config = Config(tmp_path, kafka=kafka_broker, topics=prefix, hold=True)
    found = intents_topic(config, b"")
    yield config, found
    found.close()


def tick(config: Config) -> None:
    """What a door says to each partition."""
    producer = Producer({"bootstrap.servers": config.kafka, "log_level": 0})
    for number in range(PARTITIONS):
        producer.produce(f"{config.topics}.records", b"", partition=number, headers=[("tick", b"")])
    assert producer.flush(10) == 0


def checkpoint(config: Config, *offsets: int) -> None:
    """What the job commits behind a checkpoint."""
    client = Consumer({"bootstrap.servers": config.kafka, "group.id": f"{config.topics}.job", "log_level": 0})
    places = [TopicPartition(f"{config.topics}.records", number, offset) for number, offset in enumerate(offsets)]
    client.commit(offsets=places, asynchronous=False)
    client.close()


def read_for(intents: OpenIntents, seconds: float) -> list[Message]:
    """What is let go within some time."""
    found, end = list[Message](), time.monotonic() + seconds
    eventually(lambda: found.extend(intents.read()) is not None or time.monotonic() > end)
    return found


@pytest.mark.slow
def test_an_intent_leaves_once_all_partitions_are_behind_its_decision(held: tuple[Config, OpenIntents]) -> None:
    config, intents = held
    tick(config)
    out = KafkaTopics(config.kafka, config.topics, SECRET).open()
    out.publish("intents", [intent("ana")])
    out.flush()
    checkpoint(config, 1, 1, 1, 1)
    assert read_for(intents, 1.0) == [], "expected it to wait: no checkpoint knows of it"
    tick(config)
    checkpoint(config, 2, 2, 2, 1)
    assert read_for(intents, 1.0) == [], "expected it to wait for the last partition"
    checkpoint(config, 2, 2, 2, 2)
    found: list[Message] = []
    eventually(lambda: found.extend(intents.read()) is not None or bool(found))
    assert found == [intent("ana")]
