"""What the processes read from and write to when the configuration names Kafka: the same roles, played by topics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from pipelines.config import Config
from schemas.records import Derived, Message
from transforms.stores.journal import last_counts
from transforms.surroundings import OpenIntents
from transforms.topics import Topics
from transforms.topics.relay import Relay, relay_while, relayed

if TYPE_CHECKING:
    from transforms.sources.source import Source
    from transforms.topics.frames import TopicFrames

ANSWER = 2.0
"""Seconds that a sender waits for the brokers to take receipts before it does something else."""


def source_of(config: Config, lane: str, *, end: bool = False) -> Source:
    """The journal, as a lane of the job reads it."""
    if not config.kafka:
        from transforms.sources.journal import JournalSource  # brings Beam, which a sender does without

        return JournalSource(config.folder("journal"), end=end)
    from transforms.sources.kafka import KafkaSource
    from transforms.topics.client import RECORDS, topic_of

    return KafkaSource(config.kafka, topic_of(config.topics, RECORDS), group=f"{config.topics}.{lane}", end=end)


def topics_of(config: Config, patience: float = 60.0) -> Topics:
    """Where records leave to; `config.kafka` is set."""
    from transforms.topics.kafka import KafkaTopics

    return KafkaTopics(config.kafka, config.topics, config.secret(), patience)


@contextmanager
def relaying(config: Config, name: str) -> Iterator[None]:
    """While the context lasts, what a lane or the sender hands over in its own log goes to Kafka, too."""
    if not config.kafka:
        yield
        return
    with relay_while(Relay(config.folder(name), topics_of(config).open())):
        yield


def handed_on(config: Config, name: str) -> int:
    """The address in the log of a lane or sender up to which what it gives back is in the journal."""
    if config.kafka:
        return relayed(config.folder(name))
    return last_counts(config.folder("journal")).cursors.get(name, (0, 0))[0]


def rows_of(config: Config) -> dict[str, Callable[[int], TopicFrames]]:
    """How to read each partition of the rows from an offset on, by the name that the tables know it by."""
    from transforms.topics.client import consumer, partitions_of, topic_of
    from transforms.topics.frames import TopicFrames
    from transforms.topics.reader import Topic

    client = consumer(config.kafka, f"{config.topics}.rows")
    try:
        count = partitions_of(client, topic_of(config.topics, "rows"))
    finally:
        client.close()
    topic = Topic(config.kafka, config.topics, "rows")
    return {f"rows-{number}": partial(TopicFrames, topic, number) for number in range(count)}


def intents_topic(config: Config, position: bytes) -> OpenIntents:
    """The intents behind a place; with `config.hold` each once a checkpoint of the job on a cluster knows of it."""
    found = IntentsTopic(config, position)
    if not config.hold:
        return found
    from transforms.topics.client import JOB
    from transforms.topics.hold import Checkpoints, HeldIntents

    return HeldIntents(found, Checkpoints(config.kafka, config.topics, (JOB, "person")))


class IntentsTopic:
    """Intents from the topic to which a job on a cluster hands them over."""

    def __init__(self, config: Config, position: bytes) -> None:
        from transforms.topics.reader import Topic, TopicReader

        self._reader = TopicReader(Topic(config.kafka, config.topics, "intents"), position)
        self.stamp = 0

    def read(self) -> list[Message]:
        """What has been handed over since the last call; `stamp` is when the broker took the newest (microseconds)."""
        placed = self._reader.read_placed()
        self.stamp = max([self.stamp, *(letter.timestamp()[1] * 1000 for letter, _ in placed)])
        return [record for _, record in placed if isinstance(record, Message)]

    def position(self) -> bytes:
        return self._reader.position()

    def settled(self) -> None:
        """Let others see how far it has come."""
        self._reader.commit()

    def close(self) -> None:
        self._reader.close()


class ReceiptsTopic:
    """Receipts on their way to the job's input."""

    def __init__(self, config: Config) -> None:
        self._publisher = topics_of(config, ANSWER).open()

    def write(self, receipts: Sequence[Derived], now: int) -> None:  # noqa: ARG002 (the broker stamps)
        """Return once they are durable. OSError: they are not."""
        self._publisher.publish("feedback", receipts)
        self._publisher.flush()

    def close(self) -> None: ...
