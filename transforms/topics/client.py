"""Connections to Kafka: what every client of ours has in common, names of topics, and topics made and looked at."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from transforms.topics import BrokerError, TopicUnfit

RECORDS = "records"
TOPICS = (RECORDS, "intents", "rows", "failures")
"""What stands in the names of topics behind the prefix. Feedback is no topic: it goes to the records."""

JOB = "job"
"""Behind the prefix, the group under whose name a job on a cluster commits how far it has come."""

ANSWER = 10.0
"""Seconds that a broker may take to answer a question at the start."""
_STAMPED = "LogAppendTime"
_STAMPS = "message.timestamp.type"
_NOT_YET = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
)
_AGAIN = 0.05

T = TypeVar("T")

log = logging.getLogger("rapport.kafka")
_library = logging.getLogger("rapport.kafka.client")


def topic_of(prefix: str, name: str) -> str:
    """The name of one of our topics on the server: feedback goes where the job reads."""
    return f"{prefix}.{RECORDS if name == 'feedback' else name}"


def consumer(servers: str, group: str, **settings: Any) -> Consumer:
    """A consumer that commits only when told, and says so when an offset is not there instead of jumping."""
    chosen = {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "check.crcs": True,
    }
    return Consumer({**_common(servers), **chosen, **settings}, logger=_library)


def producer(servers: str, patience: float, **settings: Any) -> Producer:
    """A producer whose records stand in the log once and in order, or fail after `patience` seconds."""
    chosen = {
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "message.timeout.ms": int(patience * 1000),
        "queue.buffering.max.messages": 100_000,
        "queue.buffering.max.kbytes": 64 << 10,
    }
    return Producer({**_common(servers), **chosen, **settings}, logger=_library)


def _common(servers: str) -> dict[str, Any]:
    return {
        "bootstrap.servers": servers,
        "client.id": "rapport",
        "reconnect.backoff.max.ms": 1000,
        "error_cb": lambda error: log.warning("%s", error.str()),
    }


def asked(question: Callable[[], T], what: str) -> T:
    """The broker's answer, asked for again while a partition has no leader yet. Raises BrokerError."""
    giving_up = time.monotonic() + ANSWER
    while True:
        try:
            return question()
        except KafkaException as error:
            if not _passing(error) or time.monotonic() > giving_up:
                raise BrokerError(f"{what}: expected an answer of Kafka, got {reason(error)}") from error
            time.sleep(_AGAIN)


def _passing(error: KafkaException) -> bool:
    """Whether it will be well in a moment: a topic was made, or a leader was lost, just now."""
    inner = error.args[0]
    return isinstance(inner, KafkaError) and inner.code() in _NOT_YET


def reason(error: KafkaException | KafkaError) -> str:
    """What Kafka says is wrong."""
    inner = error.args[0] if isinstance(error, KafkaException) else error
    return str(inner.str() if isinstance(inner, KafkaError) else inner)


def partitions_of(client: Consumer | Producer, topic: str) -> int:
    """How many partitions a topic has. Raises TopicUnfit if there is none of that name."""
    found = asked(lambda: client.list_topics(topic, timeout=ANSWER), topic).topics.get(topic)
    if found is None or found.error is not None or not found.partitions:
        said = found.error.str() if found is not None and found.error is not None else "no such topic"
        raise TopicUnfit(f"{topic}: expected a topic, got: {said}; `rapport topics --kafka …` makes it")
    return len(found.partitions)


def ends_of(client: Consumer, topic: str, partition: int) -> tuple[int, int]:
    """The first offset that is kept, and the next one to be written."""
    place = TopicPartition(topic, partition)
    low, high = asked(lambda: client.get_watermark_offsets(place, timeout=ANSWER), topic)
    return low, high


class Making(NamedTuple):
    """How topics are made: in how many partitions, kept by how many brokers, for how long (milliseconds)."""

    partitions: int = 4
    copies: int = 1
    keep: int = 7 * 86_400_000


MAKING = Making()


def ensure(servers: str, prefix: str, making: Making = MAKING) -> list[str]:
    """Make the topics that are not there yet; gives their names. Raises TopicUnfit if the records are not stamped by
    the broker, BrokerError.

    The number of partitions of the records is fixed from then on. The broker stamps them: only one clock counts.
    """
    admin = AdminClient(_common(servers))
    there = asked(lambda: admin.list_topics(timeout=ANSWER), servers).topics
    missing = [name for name in TOPICS if topic_of(prefix, name) not in there]
    settings = {"retention.ms": str(making.keep), _STAMPS: _STAMPED}
    made = [NewTopic(topic_of(prefix, name), making.partitions, making.copies, config=settings) for name in missing]
    for name, future in (admin.create_topics(made) if made else {}).items():
        try:
            future.result(ANSWER)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise BrokerError(f"{name}: expected to make this topic, got {reason(error)}") from error
    stamped(admin, topic_of(prefix, RECORDS))
    return [topic.topic for topic in made]


def stamped(admin: AdminClient, topic: str) -> None:
    """Raises TopicUnfit unless the broker stamps what is appended to `topic`."""
    found = _setting(admin, topic, _STAMPS)
    if found != _STAMPED:
        raise TopicUnfit(f"{topic}: expected {_STAMPS}={_STAMPED}, got {found}; the journal's time is the broker's")


def _setting(admin: AdminClient, topic: str, name: str) -> str:
    """A setting of a topic. One that was made this moment is not known to all of the broker yet: ask again."""
    resource, giving_up = ConfigResource(ResourceType.TOPIC, topic), time.monotonic() + ANSWER
    while True:
        try:
            return str(admin.describe_configs([resource])[resource].result(ANSWER)[name].value)
        except KafkaException as error:
            if not _passing(error) or time.monotonic() > giving_up:
                raise BrokerError(f"{topic}: expected its settings, got {reason(error)}") from error
            time.sleep(_AGAIN)
