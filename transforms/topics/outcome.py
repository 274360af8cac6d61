"""What becomes of records on their way to a broker: counted while they are under way, waited for, never forgotten."""

from __future__ import annotations

import time
from threading import Lock

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from transforms.topics import BrokerError
from transforms.topics.client import reason

_TURN = 0.05
"""Seconds after which a producer is asked again."""

Headers = list[tuple[str, bytes]]


class Outcome:
    """Records produced together with one producer: how many are `open`, the first `error`, the newest stamp.

    For one thread; others may ask the same producer at the same time.
    """

    def __init__(self, producer: Producer) -> None:
        self.producer = producer
        self.open = 0
        self.error: KafkaError | None = None
        self.stamp = 0
        self._lock = Lock()

    def produce(self, topic: str, value: bytes, key: bytes, giving_up: float) -> None:
        """Hand one record over, as soon as there is room for it. BrokerError if there is none by `giving_up`."""
        while True:
            try:
                self.producer.produce(topic, value, key or None, on_delivery=self.ended)
            except BufferError:
                if time.monotonic() > giving_up:
                    raise BrokerError(f"{topic}: expected room for what is written, got none in time") from None
                self.producer.poll(_TURN)
            except KafkaException as error:
                self.error = error.args[0]
                raise BrokerError(f"{topic}: expected Kafka to take a record, got: {reason(error)}") from error
            else:
                self.began()
                return

    def wait(self, giving_up: float) -> None:
        """Return once everything is durable. BrokerError if something is not."""
        while self.open > 0 and time.monotonic() < giving_up:
            self.producer.poll(_TURN)
        if self.error is not None:
            raise BrokerError(f"expected Kafka to keep what was written, got: {reason(self.error)}")
        if self.open > 0:
            raise BrokerError(f"expected Kafka to keep what was written, {self.open} records got no answer")

    @property
    def fatal(self) -> bool:
        """Whether the producer is past help."""
        return self.error is not None and self.error.fatal()

    def began(self) -> None:
        with self._lock:
            self.open += 1

    def ended(self, error: KafkaError | None, message: Message) -> None:
        """A record is durable, or is not. Called by whichever thread asks the producer."""
        stamp = 0 if error else message.timestamp()[1] * 1000
        with self._lock:
            self.open -= 1
            self.error = self.error or error
            self.stamp = max(self.stamp, stamp)
