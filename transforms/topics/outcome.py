"""What becomes of records on their way to a broker: counted while they are under way, waited for, never forgotten."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from transforms.topics import BrokerError
from transforms.topics.client import reason

_TURN = 0.05
"""Seconds after which a producer is asked again."""

_TICK: list[tuple[str, str | bytes | None]] = [("tick", b"")]

Noted = Callable[[Message], None]


class Letter(NamedTuple):
    """One record for a topic; without a value it is a tick, without a partition the key decides which one."""

    topic: str
    value: bytes
    key: bytes = b""
    partition: int = -1


class Outcome:
    """Records produced together with one producer: how many are `open`, the first `error`, the newest `stamp` that a
    broker gave them, and in which `partitions` they are.

    For one thread; others may ask the same producer at the same time.
    """

    def __init__(self, producer: Producer) -> None:
        self.producer = producer
        self.open = 0
        self.error: KafkaError | None = None
        self.stamp = 0
        self.partitions: set[int] = set()
        self._lock = Lock()

    def produce(self, letter: Letter, giving_up: float, noted: Noted | None = None) -> None:
        """Hand one record over, as soon as there is room for it; `noted` is told once it is durable.

        BrokerError if there is no room by `giving_up`.
        """
        while True:
            try:
                self._hand_over(letter, noted)
            except BufferError:
                if time.monotonic() > giving_up:
                    raise BrokerError(f"{letter.topic}: expected room for what is written, got none in time") from None
                self.producer.poll(_TURN)
            except KafkaException as error:
                self.error = error.args[0]
                raise BrokerError(f"{letter.topic}: expected Kafka to take a record, got: {reason(error)}") from error
            else:
                self.began()
                return

    def _hand_over(self, letter: Letter, noted: Noted | None) -> None:
        self.producer.produce(
            letter.topic,
            letter.value,
            letter.key or None,
            letter.partition,
            on_delivery=self.ended if noted is None else partial(self.ended, noted=noted),
            headers=None if letter.value else _TICK,
        )

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

    def ended(self, error: KafkaError | None, message: Message, noted: Noted | None = None) -> None:
        """A record is durable, or is not. Called by whichever thread asks the producer."""
        with self._lock:
            self.open -= 1
            if error is not None:
                self.error = self.error or error
                return
            self.stamp = max(self.stamp, message.timestamp()[1] * 1000)
            self.partitions.add(message.partition() or 0)
        if noted is not None:
            noted(message)
