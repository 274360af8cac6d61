"""Kafka's protocol without Kafka: the broker inside librdkafka, in this process, up in milliseconds.

It makes topics of four partitions when they are first written to, stamps nothing (records keep their producer's time)
and keeps everything in memory.
"""

from __future__ import annotations

from confluent_kafka import Producer

PARTITIONS = 4


class KafkaMock:
    """A mock broker; ends when `close` is called."""

    def __init__(self) -> None:
        self._host: Producer | None = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        self.address = ",".join(
            f"{broker.host}:{broker.port}" for broker in self._host.list_topics(timeout=10).brokers.values()
        )

    def close(self) -> None:
        """Stop answering, for good."""
        self._host = None
