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
        if self.place == len(self.batches):
            return []
        self.place += 1
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
    """A job whose checkpoints are said to have come so far, in a journal with a record a microsecond."""

    def __init__(self) -> None:
        self.come = self.asked = 0

    def behind(self, moment: int) -> dict[int, int]:
        return {0: moment}

    def committed(self) -> dict[int, int]:
        self.asked += 1
        return {0: self.come}

    def close(self) -> None: ...


def test_what_is_read_together_waits_together_and_its_place_with_it() -> None:
    first, second = [intent("ana", decided_at=10), intent("bo", decided_at=20)], [intent("cy", decided_at=30)]
    source, job = Waiting([first, second]), Upto()
    held = HeldIntents(source, job, count(step=1).__next__)
    job.come = 20
    assert held.read() == []
    held.settled()
    assert (held.position(), source.heard) == (b"\x00", []), "expected a crash to bring back what is held"
    job.come = 21
    assert held.read() == first, "expected a later one not to hold back those before"
    assert held.position() == b"\x01"
    assert held.read() == []
    job.come = 31
    assert held.read() == second
    held.settled()
    assert (held.position(), source.heard) == (b"\x02", [2])
    held.close()
    assert source.closed


def test_the_job_is_not_asked_at_every_turn() -> None:
    source, job, time = Waiting([[intent("ana", decided_at=10)]]), Upto(), [0.0]
    held = HeldIntents(source, job, lambda: time[0])
    assert [held.read() for _ in range(5)] == [[]] * 5
    assert job.asked == 1
    time[0] += 1
    job.come = 11
    assert held.read() == [intent("ana", decided_at=10)]


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
