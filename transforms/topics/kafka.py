"""Topics on Kafka: records leave in Avro under their stable ids, feedback goes straight to the job's input."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock, local

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.records import Derived, Record
from schemas.records import Message as Intent
from schemas.single_object import encode
from transforms.logic.routing import key_of_derived
from transforms.topics.client import BrokerError, producer, reason, topic_of

PATIENCE = 60.0
"""Seconds after which a record that no broker has acknowledged counts as failed."""
_TURN = 0.05
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


class Outcome:
    """What becomes of the records that one thread publishes with one producer: how many are under way, and what went
    wrong first.
    """

    def __init__(self, producer: Producer) -> None:
        self.producer = producer
        self.open = 0
        self.error: KafkaError | None = None
        self._lock = Lock()

    def began(self) -> None:
        with self._lock:
            self.open += 1

    def ended(self, error: KafkaError | None, message: Message | None) -> None:  # noqa: ARG002 (a delivery report)
        """A record is durable, or is not. Called by whichever thread asks the producer."""
        with self._lock:
            self.open -= 1
            self.error = self.error or error

    @property
    def settled(self) -> bool:
        """Whether nothing is under way."""
        return self.open == 0


class KafkaPublisher:
    """One idempotent producer of this process. A thread's `flush` is about what that thread published.

    When too much waits, `publish` waits for room: a slow broker slows the job down, and nothing is dropped.
    """

    def __init__(self, topics: KafkaTopics) -> None:
        self._topics = topics
        self._mine = local()
        self._producer = producer(topics.servers, topics.patience, **_LINGER)
        self._renewing = Lock()

    def publish(self, topic: str, records: Sequence[Record]) -> None:
        """Begin to write records. OSError if there is no room for them in time."""
        outcome, name = self._outcome(), topic_of(self._topics.prefix, topic)
        for record in records:
            self._produce(outcome, name, self._key(record), encode(record))
        outcome.producer.poll(0)

    def flush(self) -> None:
        outcome, giving_up = self._outcome(), time.monotonic() + self._topics.patience + _MARGIN
        while not outcome.settled and time.monotonic() < giving_up:
            outcome.producer.poll(_TURN)
        if outcome.error is not None or not outcome.settled:
            raise self._failed(outcome, reason(outcome.error) if outcome.error is not None else "no answer")

    def _produce(self, outcome: Outcome, topic: str, key: bytes, value: bytes) -> None:
        """Hand one record to the producer, as soon as there is room for it."""
        giving_up = time.monotonic() + self._topics.patience
        while True:
            try:
                outcome.producer.produce(topic, value, key or None, on_delivery=outcome.ended)
            except BufferError:
                if time.monotonic() > giving_up:
                    raise self._failed(outcome, "no room for more") from None
                outcome.producer.poll(_TURN)
            except KafkaException as error:
                raise self._failed(outcome, reason(error)) from error
            else:
                outcome.began()
                return

    def _failed(self, outcome: Outcome, said: str) -> BrokerError:
        """Forget what was under way, because it will be published again; a producer that is past help is replaced."""
        del self._mine.outcome
        with self._renewing:
            if outcome.producer is self._producer and outcome.error is not None and outcome.error.fatal():
                self._producer = producer(self._topics.servers, self._topics.patience, **_LINGER)
        return BrokerError(f"expected Kafka to keep what was published, got: {said}")

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
