"""Reading a topic of ours from a place of one's own: records in the order of each partition, repeats included.

The reader keeps its place in its own store, together with what it made of the records, as with any log of ours.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from struct import Struct
from typing import NamedTuple

from confluent_kafka import KafkaError, Message, TopicPartition

from schemas.records import Record
from schemas.single_object import NotReadable, decode
from transforms.topics import BrokerError, TopicUnfit
from transforms.topics.client import asked, consumer, ends_of, partitions_of, topic_of

_FORM = b"\x02"
_PLACE = Struct(">IQ")
_PREFETCH = {"queued.min.messages": 20_000, "queued.max.messages.kbytes": 16 << 10, "fetch.queue.backoff.ms": 10}
_SAY_EVERY = 10.0

log = logging.getLogger("rapport.kafka")


class Topic(NamedTuple):
    """One of our topics on `servers`: `name` is intents, rows or failures."""

    servers: str
    prefix: str
    name: str


class TopicReader:
    """Records of a topic, or of one `partition` of it, from `position` on; an empty position is the oldest kept.

    `gap` is True if records were deleted before they were read; `unreadable` counts what is no record of ours.
    Raises TopicUnfit, BrokerError.
    """

    def __init__(self, topic: Topic, position: bytes = b"", partition: int | None = None) -> None:
        self._topic, self._partition = topic_of(topic.prefix, topic.name), partition
        self._client = consumer(topic.servers, f"{topic.prefix}.{topic.name}", **_PREFETCH)
        self.gap, self.unreadable = False, 0
        self._said = -_SAY_EVERY
        self.offsets = self._places(position)
        self._told = dict(self.offsets)
        self._assign()

    def read(self, limit: int = 1_000) -> list[Record]:
        """What has come since the last call, at most `limit` records; never waits."""
        return [record for _, record in self.read_placed(limit)]

    def read_placed(self, limit: int = 1_000) -> list[tuple[Message, Record]]:
        """The same, each with its message, which knows its place and time."""
        found: list[tuple[Message, Record]] = []
        for message in self._client.consume(limit, 0):
            error, partition, offset = message.error(), message.partition(), message.offset()
            if error is not None:
                self._heed(error)
            elif partition is not None and offset is not None and offset >= self.offsets[partition]:
                self.offsets[partition] = offset + 1
                if (record := self._record(message)) is not None:
                    found.append((message, record))
        return found

    def position(self) -> bytes:
        """The place after what has been read."""
        return position_of(self.offsets)

    def commit(self) -> None:
        """Let others see how far it has come; it does not start from there, so nobody waits and nothing can fail."""
        if self.offsets != self._told:
            places = [TopicPartition(self._topic, partition, offset) for partition, offset in self.offsets.items()]
            self._client.commit(offsets=places, asynchronous=True)
            self._told = dict(self.offsets)

    def close(self) -> None:
        self._client.close()

    def _record(self, message: Message) -> Record | None:
        try:
            return decode(message.value() or b"")
        except NotReadable as error:
            self.unreadable += 1
            log.error("%s: record %s of partition %s: %s", self._topic, message.offset(), message.partition(), error)
            return None

    def _heed(self, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            self.offsets = {partition: self._checked(partition, offset) for partition, offset in self.offsets.items()}
            self._assign()
        elif error.fatal():
            raise BrokerError(f"{self._topic}: expected to read on, got {error.str()}")
        elif error.code() != KafkaError._PARTITION_EOF and time.monotonic() - self._said >= _SAY_EVERY:
            self._said = time.monotonic()
            log.warning("%s: waiting for Kafka: %s", self._topic, error.str())

    def _places(self, position: bytes) -> dict[int, int]:
        count, only = partitions_of(self._client, self._topic), self._partition
        numbers = range(count) if only is None else (only,)
        if not position:
            return {number: ends_of(self._client, self._topic, number)[0] for number in numbers}
        known = offsets_of(position)
        return {number: self._checked(number, known.get(number, 0)) for number in numbers}

    def _checked(self, partition: int, offset: int) -> int:
        """The offset, or the first one that is kept. Raises TopicUnfit for one that never was."""
        low, high = ends_of(self._client, self._topic, partition)
        if offset > high:
            raise TopicUnfit(
                f"{self._topic}: expected records up to {offset} in partition {partition}, it ends at {high}; "
                "it was made anew or lost records"
            )
        if offset < low:
            self.gap = True
            log.error("%s: records %d to %d of partition %d are gone", self._topic, offset, low - 1, partition)
        return max(offset, low)

    def _assign(self) -> None:
        places = [TopicPartition(self._topic, partition, offset) for partition, offset in self.offsets.items()]
        asked(lambda: self._client.assign(places), self._topic)


def position_of(offsets: Mapping[int, int]) -> bytes:
    """The position of the next offset of each partition."""
    return _FORM + b"".join(_PLACE.pack(partition, offset) for partition, offset in offsets.items())


def offsets_of(position: bytes) -> dict[int, int]:
    """The next offset of each partition. Raises TopicUnfit for a position in something else."""
    if position[:1] != _FORM or (len(position) - 1) % _PLACE.size:
        raise TopicUnfit(f"expected a place in a topic, got {position.hex()}; that is one in a log")
    return dict(_PLACE.iter_unpack(position[1:]))
