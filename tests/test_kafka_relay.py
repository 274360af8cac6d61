"""Between logs and topics: what a process keeps in a log of its own reaches Kafka, and is read from there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest
from intents import NOON, SECRET, intent
from logs import append, event
from sources import eventually

from pipelines.brokers import IntentsTopic, ReceiptsTopic, handed_on, source_of
from pipelines.config import Config
from pipelines.tables import TableWriter
from schemas.codec import pack_many, unpack
from schemas.records import Derived, Ids, Receipt, Record
from transforms.stores.log import LogWriter
from transforms.topics import TopicUnfit
from transforms.topics.kafka import KafkaTopics
from transforms.topics.reader import Topic, TopicReader
from transforms.topics.relay import Relay, relay_while, relayed

_prefixes = count()
RECEIPT = Derived("r1", "shop", NOON, Ids(), Receipt(intent().key, "sent", NOON))


@pytest.fixture
def topics(kafka_mock: str) -> KafkaTopics:
    return KafkaTopics(kafka_mock, f"relay{next(_prefixes)}", SECRET)


class Published:
    """A publisher into a list that fails as often as told."""

    def __init__(self, failures: int = 0) -> None:
        self.records: list[tuple[str, Record]] = []
        self._begun: list[tuple[str, Record]] = []
        self._failures = failures

    def publish(self, topic: str, records: Sequence[Record]) -> None:
        self._begun += [(topic, record) for record in records]

    def flush(self) -> None:
        begun, self._begun = self._begun, []
        if self._failures:
            self._failures -= 1
            raise OSError("no broker")
        self.records += begun


def read(reader: TopicReader, enough: int) -> list[Record]:
    found: list[Record] = []
    eventually(lambda: (found.extend(reader.read()), len(found) >= enough)[1])
    return found


def test_a_reader_goes_on_from_its_place(topics: KafkaTopics) -> None:
    out = topics.open()
    out.publish("rows", [event(number) for number in range(40)])
    out.flush()
    first = TopicReader(Topic(topics.servers, topics.prefix, "rows"))
    found = read(first, 40)
    place = first.position()
    out.publish("rows", [event(40)])
    out.flush()
    assert sorted(row.id for row in found) == sorted(event(number).id for number in range(40))  # type: ignore[attr-defined]
    assert read(TopicReader(Topic(topics.servers, topics.prefix, "rows"), place), 1) == [event(40)]
    assert not first.gap


def test_a_place_in_a_log_is_none_in_a_topic(topics: KafkaTopics) -> None:
    out = topics.open()
    out.publish("rows", [event(1)])
    out.flush()
    with pytest.raises(TopicUnfit, match="that is one in a log"):
        TopicReader(Topic(topics.servers, topics.prefix, "rows"), bytes(8))


def test_what_is_no_record_is_counted_and_stepped_over(topics: KafkaTopics) -> None:
    out = topics.open()
    out.publish("rows", [event(1)])
    out.flush()
    from confluent_kafka import Producer

    stranger = Producer({"bootstrap.servers": topics.servers})
    stranger.produce(f"{topics.prefix}.rows", b"hello")
    assert stranger.flush(10) == 0
    reader = TopicReader(Topic(topics.servers, topics.prefix, "rows"))
    assert read(reader, 1) == [event(1)]
    eventually(lambda: reader.read() == [] and reader.unreadable == 1)


def test_a_log_is_relayed_once_and_goes_on_where_it_stood(tmp_path: Path) -> None:
    append(tmp_path, (NOON, [event(1), event(2)]), (NOON + 1, [event(3)]))
    out = Published()
    with relay_while(Relay(tmp_path, out)):
        pass
    assert out.records == [("rows", event(number)) for number in (1, 2, 3)]
    append(tmp_path, (NOON + 2, [event(4)]))
    with relay_while(Relay(tmp_path, out)):
        eventually(lambda: len(out.records) == 4)
    assert relayed(tmp_path) > 0


def test_receipts_become_feedback(tmp_path: Path) -> None:
    log = LogWriter(tmp_path, sync=False)
    log.append(NOON, {"receipts": (pack_many([RECEIPT]), 1)})
    log.commit()
    log.close()
    out = Published()
    assert Relay(tmp_path, out).turn()
    assert out.records == [("feedback", RECEIPT)]


def test_what_no_broker_took_is_relayed_again(tmp_path: Path) -> None:
    append(tmp_path, (NOON, [event(1)]))
    out = Published(failures=1)
    relay = Relay(tmp_path, out)
    with pytest.raises(OSError, match="no broker"):
        relay.turn()
    assert relayed(tmp_path) == 0
    assert relay.turn()
    assert out.records == [("rows", event(1))]


def test_a_sender_finds_intents_and_tells_receipts_where_the_job_reads(topics: KafkaTopics, tmp_path: Path) -> None:
    config = Config(tmp_path, kafka=topics.servers, topics=topics.prefix)
    out = topics.open()
    out.publish("intents", [intent("ana"), intent("ben")])
    out.flush()
    found = []
    intents = IntentsTopic(config, b"")
    eventually(lambda: (found.extend(intents.read()), len(found) == 2)[1])
    assert {message.to for message in found} == {"ana@people.example", "ben@people.example"}
    intents.settled()
    again = IntentsTopic(config, intents.position())
    assert again.read() == []
    ReceiptsTopic(config).write([RECEIPT], NOON)
    reader = source_of(config, "person").open(None)
    pulls = []
    eventually(lambda: (pulls.append(reader.poll(10)), pulls[-1] is not None)[1])
    assert unpack(pulls[-1].items[0].entries[0].body, Derived) == RECEIPT
    assert handed_on(config, "sender") == 0


def test_rows_of_a_topic_become_tables_once(topics: KafkaTopics, tmp_path: Path) -> None:
    config = Config(tmp_path, kafka=topics.servers, topics=topics.prefix)
    out = topics.open()
    for first in (0, 30):
        out.publish("rows", [event(number) for number in range(first, first + 30)])
        out.flush()
        writer = TableWriter(config)
        eventually(lambda writer=writer: (writer.turn(), writer.figures()["waiting"] == 30)[1])
        writer.finish()
    figures = TableWriter(config).figures()
    assert figures["rows"]["events"] == 60
    assert not figures["lost"]
