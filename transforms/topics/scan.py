"""All that a topic holds at one moment, read once from wherever one likes to its end: for counting, not for working."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from transforms.topics import BrokerError
from transforms.topics.client import ANSWER, asked, consumer, ends_of, partitions_of, topic_of
from transforms.topics.reader import Topic

_MANY = 10_000
_WAIT = 0.1
_END = KafkaError._PARTITION_EOF

Offsets = Mapping[int, int]
NOWHERE: Offsets = {}


class Extent:
    """Where each partition of a topic begins and ends now. Raises TopicUnfit, BrokerError."""

    def __init__(self, topic: Topic, group: str = "count") -> None:
        self._group, self._topic = f"{topic.prefix}.{group}", topic
        self._name = topic_of(topic.prefix, topic.name)
        client = consumer(topic.servers, self._group)
        try:
            found = [ends_of(client, self._name, number) for number in range(partitions_of(client, self._name))]
        finally:
            client.close()
        self.starts = {number: low for number, (low, _) in enumerate(found)}
        self.ends = {number: high for number, (_, high) in enumerate(found)}

    def read(self, starts: Offsets = NOWHERE) -> Iterator[Message]:
        """What lies between `starts` (by default the oldest kept) and the ends, in order by partition."""
        places = {number: max(low, starts.get(number, 0)) for number, low in self.starts.items()}
        open_ = {number for number, place in places.items() if place < self.ends[number]}
        client = consumer(self._topic.servers, self._group)
        try:
            asked(lambda: client.assign([TopicPartition(self._name, n, places[n]) for n in open_]), self._name)
            yield from self._read(client, open_)
        finally:
            client.close()

    def _read(self, client: Consumer, open_: set[int]) -> Iterator[Message]:
        heard = time.monotonic()
        while open_:
            messages = client.consume(_MANY, _WAIT)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() > heard + ANSWER:
                raise BrokerError(f"{self._name}: expected to read to the end, Kafka brought nothing for {ANSWER} s")
            for message in messages:
                number, error = message.partition() or 0, message.error()
                reached = int(message.offset() or 0) + (error is None)
                if error is None and reached <= self.ends[number]:
                    yield message
                if (error is None or error.code() == _END) and reached >= self.ends[number]:
                    open_.discard(number)


def committed(topic: Topic, group: str) -> dict[int, int]:
    """The offsets that a group has committed, without the partitions of which it has none."""
    client, name = consumer(topic.servers, group), topic_of(topic.prefix, topic.name)
    try:
        wanted = [TopicPartition(name, number) for number in range(partitions_of(client, name))]
        found = asked(lambda: client.committed(wanted, timeout=ANSWER), name)
    finally:
        client.close()
    return {place.partition: place.offset for place in found if place.offset >= 0}
