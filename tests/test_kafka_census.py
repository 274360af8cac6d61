"""Counting what topics hold: records, repeats, ticks and what no lane has read, by partition, on a broker."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
from confluent_kafka import Producer
from intents import SECRET, intent
from logs import event

from pipelines.check import check_data, notes
from pipelines.config import Config
from schemas.codec import pack
from schemas.records import Derived, Entry, Ids, Said
from transforms.topics.client import ensure
from transforms.topics.kafka import KafkaTopics

_prefixes = count()
SAID = Derived("said-1", "shop", 1, Ids(handle="chirp:ana"), Said("m", ("Fernweh",), True, "negative", 0.9, "en", ""))
TRACK = Entry("track", "shop", "server", "backend", 0, b"{}")


@pytest.fixture
def config(kafka_broker: str, tmp_path: Path) -> Config:
    prefix = f"census{next(_prefixes)}"
    ensure(kafka_broker, prefix)
    return Config(tmp_path, kafka=kafka_broker, topics=prefix)


def journal(config: Config, partition: int, *values: bytes) -> None:
    """Values at the end of a partition; an empty one is a tick."""
    producer = Producer({"bootstrap.servers": config.kafka, "log_level": 0})
    for value in values:
        producer.produce(f"{config.topics}.records", value, partition=partition)
    assert producer.flush(10) == 0


def off(config: Config) -> dict[str, int]:
    return {line.name: line.off for line in check_data(config).lines if line.off}


@pytest.mark.slow
def test_each_record_is_counted_once_by_its_place_and_ticks_are_not(config: Config) -> None:
    journal(config, 0, b"", pack(TRACK), b"", pack(TRACK))
    journal(config, 3, pack(TRACK), b"")
    out = KafkaTopics(config.kafka, config.topics, SECRET).open()
    out.publish("feedback", [SAID, SAID])
    out.publish("intents", [intent(), intent()])
    out.flush()
    first = check_data(config)
    assert (first.census.external, first.census.unread_external) == (3, 3)
    assert (first.census.derived, first.census.arrived, first.census.unread_derived) == (2, 1, 2)
    assert first.census.again == {"records": 1, "intents": 1, "rows": 0}
    assert len(list(notes(first.census))) == 3
    assert off(config) == {"messages decided": -1}, "expected a message that no row tells of to be seen"
    rows = [event(1, partition=0, id="a"), event(3, partition=0, id="b"), event(0, partition=3, id="c")]
    out.publish("rows", [*rows, rows[0], intent()])
    out.flush()
    assert check_data(config).census.again["rows"] == 1
    undecided = {"decisions to send": -1, "keys only decided or only written": -1}
    assert off(config) == undecided
    out.publish("rows", [event(1, partition=0, id="other", disposition="failed")])
    out.flush()
    assert off(config) == {**undecided, "records with two ends": -1, "failed records with a reason": 1}
