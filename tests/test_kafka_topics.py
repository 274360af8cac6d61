"""Topics on Kafka: what leaves stands there under its id, and nobody is told so before it does."""

from __future__ import annotations

import pickle
import threading
from itertools import count

import pytest
from confluent_kafka import KafkaError, KafkaException
from intents import SECRET, intent
from logs import event, one_of_each
from sources import eventually, read, read_all

from schemas.codec import unpack
from schemas.keys import address_of
from schemas.records import Derived, Entry, Ids, Receipt, Record, Viewed
from schemas.single_object import decode
from transforms.hand_over import publisher
from transforms.logic.routing import NOWHERE, key_of, key_of_derived
from transforms.sources.kafka import KafkaSource
from transforms.topics import BrokerError
from transforms.topics.client import asked, consumer
from transforms.topics.kafka import KafkaTopics

_prefixes = count()


@pytest.fixture
def topics(kafka_mock: str) -> KafkaTopics:
    return KafkaTopics(kafka_mock, f"out{next(_prefixes)}", SECRET)


def messages(topics: KafkaTopics, topic: str, enough: int) -> list[tuple[bytes, bytes]]:
    """Key and value of what stands in a topic."""
    from confluent_kafka import TopicPartition

    client = consumer(topics.servers, "look")
    client.assign([TopicPartition(f"{topics.prefix}.{topic}", number, 0) for number in range(4)])
    found: list[tuple[bytes, bytes]] = []

    def all_there() -> bool:
        came = [message for message in client.consume(100, 0.05) if message.error() is None]
        found.extend((message.key() or b"", message.value() or b"") for message in came)
        return len(found) >= enough

    eventually(all_there)
    client.close()
    return found


def test_rows_leave_in_avro_under_their_ids(topics: KafkaTopics) -> None:
    rows = one_of_each()
    out = topics.open()
    out.publish("rows", rows)
    out.publish("intents", [intent()])
    out.flush()
    found = {key: decode(value) for key, value in messages(topics, "rows", len(rows))}
    assert found == {_name(row): row for row in rows}
    assert [(key, decode(value)) for key, value in messages(topics, "intents", 1)] == [
        (intent().key.encode(), intent())
    ]


def _name(row: Record) -> bytes:
    return (row.key if row == intent() else row.id).encode()  # type: ignore[attr-defined]


def test_feedback_goes_to_where_the_job_reads(topics: KafkaTopics) -> None:
    given = [Derived(f"d{number}", "shop", 1, Ids(cookie=f"c{number}"), Viewed("page")) for number in range(50)]
    out = topics.open()
    out.publish("feedback", given)
    out.flush()
    blocks = read_all(KafkaSource(topics.servers, f"{topics.prefix}.records", end=True).open(None))
    entries = [entry for block in blocks for entry in block.entries]
    assert sorted(unpack(entry.body, Derived).id for entry in entries) == sorted(each.id for each in given)
    assert len({block.partition for block in blocks}) == 4


def test_what_no_broker_took_is_an_error_of_the_flush_and_not_of_the_next_one() -> None:
    out = KafkaTopics("127.0.0.1:1", patience=0.2).open()
    for _ in range(2):
        out.publish("rows", [event(1)])
        with pytest.raises(OSError, match="expected Kafka to keep"):
            out.flush()
    out.flush()


def test_threads_answer_for_their_own_records(topics: KafkaTopics) -> None:
    out, failed = topics.open(), []

    def work(first: int) -> None:
        try:
            for number in range(first, first + 200, 20):
                out.publish("rows", [event(each) for each in range(number, number + 20)])
                out.flush()
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number * 1000,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len({key for key, _ in messages(topics, "rows", 800)}) == 800


def test_one_process_shares_one_publisher(topics: KafkaTopics) -> None:
    assert publisher(topics) is publisher(pickle.loads(pickle.dumps(topics)))
    assert SECRET.hex() not in repr(topics)
    assert repr(SECRET) not in repr(topics)


@pytest.mark.parametrize(
    ("body", "kind", "value"),
    [
        (b'{"userId":" 7 ","anonymousId":"c"}', "customer", "7"),
        (b'{"anonymousId":"c","traits":{"email":"Ana@People.example"}}', "email", "ana@people.example"),
        (b'{"anonymousId":"c","context":{"traits":{"phone":"+48 601 234 567"}}}', "phone", "+48601234567"),
        (b'{"anonymousId":"c","userId":"null","traits":[]}', "cookie", "c"),
    ],
)
def test_a_record_lies_where_its_strongest_identifier_does(body: bytes, kind: str, value: str) -> None:
    entry = Entry("identify", "shop", "server", "backend", 0, body)
    assert key_of(entry, SECRET) == address_of(SECRET, "shop", kind, value)


def test_what_comes_back_lies_where_its_person_does() -> None:
    address = address_of(SECRET, "shop", "email", "ana@people.example")
    receipt = Derived("r", "shop", 1, Ids(), Receipt(intent().key, "sent", 1))
    forward = Derived("f", "shop", 1, Ids(customer="7"), Viewed("page"), address=address)
    said = Entry("mention", "shop", "server", "social", 0, b'{"author":{"handle":"@Ana"},"network":"x"}')
    told = Entry("receipt", "shop", "server", "esp", 0, b'{"key":"%s"}' % intent().key.encode())
    assert key_of_derived(receipt, SECRET) == key_of_derived(forward, SECRET) == key_of(told, SECRET) == address
    assert key_of(said, SECRET) == address_of(SECRET, "shop", "handle", "twitter:ana")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"userId":null}', b"\xff", b'{"traits":{"email":7}}'])
@pytest.mark.parametrize("kind", ["track", "mention", "receipt", "unreadable"])
def test_a_record_that_names_nobody_may_lie_anywhere(kind: str, body: bytes) -> None:
    assert key_of(Entry(kind, "shop", "server", "backend", 0, body), SECRET) == NOWHERE


def test_reading_goes_on_while_more_is_published(topics: KafkaTopics) -> None:
    out = topics.open()
    out.publish("feedback", [Derived("d0", "shop", 1, Ids(), Viewed("page"))])
    out.flush()
    reader = KafkaSource(topics.servers, f"{topics.prefix}.records").open(None)
    read(reader, 1)
    out.publish("feedback", [Derived("d1", "shop", 1, Ids(), Viewed("page"))])
    out.flush()
    assert unpack(read(reader, 1)[0].entries[0].body, Derived).id == "d1"


@pytest.mark.parametrize("code", [KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE])
def test_a_partition_that_looks_for_its_leader_is_asked_again(code: int) -> None:
    answers = iter((KafkaException(KafkaError(code)), KafkaException(KafkaError(code)), 7))

    def question() -> int:
        found = next(answers)
        if isinstance(found, KafkaException):
            raise found
        return found

    assert asked(question, "shop.records") == 7


def test_a_question_that_no_waiting_answers_is_told() -> None:
    def question() -> None:
        raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))

    with pytest.raises(BrokerError, match="expected an answer of Kafka"):
        asked(question, "shop.records")
