"""Topics on Kafka: records leave in Avro under their stable ids, feedback goes straight to the job's input."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock, local

from confluent_kafka import Producer

from schemas.records import Derived, Record
from schemas.records import Message as Intent
from schemas.single_object import encode
from transforms.logic.routing import key_of_derived
from transforms.topics import BrokerError
from transforms.topics.client import producer, topic_of
from transforms.topics.outcome import Letter, Outcome

PATIENCE = 60.0
"""Seconds after which a record that no broker has acknowledged counts as failed."""
_MARGIN = 5.0
_LINGER = {"linger.ms": 5}


@dataclass(frozen=True, slots=True)
class KafkaTopics:
    """Topics whose names begin with `prefix`. `secret` is the key of identifier hashes: it finds the partition of
    feedback about somebody whose address is not known yet.
    """

    servers: str
    prefix: str = "rapport"
    secret: bytes = field(default=b"", repr=False)
    patience: float = PATIENCE

    def open(self) -> KafkaPublisher:
        """A publisher; no broker need be there yet."""
        return KafkaPublisher(self)


class KafkaPublisher:
    """One idempotent producer of this process. A thread's `flush` is about what that thread published.

    When too much waits, `publish` waits for room: a slow broker slows the job down, and nothing is dropped.
    """

    def __init__(self, topics: KafkaTopics) -> None:
        self._topics = topics
        self._mine = local()
        self._producer = self._connected()
        self._renewing = Lock()

    def publish(self, topic: str, records: Sequence[Record]) -> None:
        """Begin to write records. OSError if there is no room for them in time."""
        outcome, name = self._outcome(), topic_of(self._topics.prefix, topic)
        giving_up = time.monotonic() + self._topics.patience
        try:
            for record in records:
                outcome.produce(Letter(name, encode(record), self._key(record)), giving_up)
        except BrokerError:
            self._forget(outcome)
            raise
        outcome.producer.poll(0)

    def flush(self) -> None:
        outcome = self._outcome()
        try:
            outcome.wait(time.monotonic() + self._topics.patience + _MARGIN)
        except BrokerError:
            self._forget(outcome)
            raise

    def _forget(self, outcome: Outcome) -> None:
        """What was under way will be published again. A producer that is past help is replaced."""
        del self._mine.outcome
        with self._renewing:
            if outcome.fatal and outcome.producer is self._producer:
                self._producer = self._connected()

    def _connected(self) -> Producer:
        return producer(self._topics.servers, self._topics.patience, **_LINGER)

    def _key(self, record: Record) -> bytes:
        if isinstance(record, Derived):
            return key_of_derived(record, self._topics.secret)
        name: str = record.key if isinstance(record, Intent) else getattr(record, "id")  # noqa: B009 (any row)
        return name.encode()

    def _outcome(self) -> Outcome:
        if not hasattr(self._mine, "outcome"):
            self._mine.outcome = Outcome(self._producer)
        found: Outcome = self._mine.outcome
        return found
