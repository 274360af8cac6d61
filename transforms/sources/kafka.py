"""A Kafka topic as a firehose: the broker is the journal's appender, its stamps are the time, offsets the numbers.

A pull is what librdkafka has fetched in the background; asking never waits. One consumer a source lives in a process,
however often a runner opens and closes readers: a reader that opens where the last one stood takes over what was
fetched already.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock

from schemas.records import SECOND
from transforms.batches import Pull
from transforms.sources.feed import Feed
from transforms.sources.offsets import commit
from transforms.sources.partition import unpack_places
from transforms.topics.client import consumer, partitions_of

PATIENCE = 60 * SECOND
_IDLE = 10.0
"""Seconds that a consumer is kept which nobody reads from."""


@dataclass(frozen=True, slots=True)
class KafkaSource:
    """The records topic on `servers` (host:port, several with commas), or one `partition` of it.

    `group` is under whose name offsets are committed: what is durably done with, for people and other programs to see;
    reading never starts from there. With `end` it is done at the ends that the partitions have when it is first opened.
    After a silence of all doors time waits for `patience` microseconds of the broker's clock.
    """

    servers: str
    topic: str
    partition: int | None = None
    group: str = "rapport"
    end: bool = False
    patience: int = PATIENCE

    def open(self, position: bytes | None) -> KafkaReader:
        """A reader at `position`, or at the oldest records kept.

        Raises TopicUnfit for a topic that is not there or not the one that was read before, BrokerError.
        """
        return KafkaReader(self, position)

    def parts(self) -> Sequence[KafkaSource]:
        """A source for each partition; their number is fixed for the life of the topic. Raises TopicUnfit."""
        if self.partition is not None:
            return (self,)
        client = consumer(self.servers, self.group)
        try:
            return [replace(self, partition=number) for number in range(partitions_of(client, self.topic))]
        finally:
            client.close()

    def acknowledge(self, position: bytes) -> None:
        """Commit the offsets in a position, never lower ones than before. A broker that does not answer is no harm."""
        places = {place.partition: place.offset for place in unpack_places(position)}
        commit(self.servers, self.group, self.topic, places)


class KafkaReader:
    """Reads partitions as pulls of blocks; see `source.Reader`. `gap` is True if records were deleted unread."""

    def __init__(self, source: KafkaSource, position: bytes | None) -> None:
        self._source = source
        self._feed = feed_of(source)
        with self._feed.lock:
            self._feed.lend(self, position)
            self._note()

    def poll(self, limit: int) -> Pull | None:
        """Whole blocks of about `limit` records, or None if nothing but ticks has arrived. Raises BrokerError."""
        if self._feed.closed:
            self._feed = feed_of(self._source)
        with self._feed.lock:
            self._feed.lend(self, self._position)
            pull = self._feed.poll(limit)
            self._note()
        return pull

    def _note(self) -> None:
        """Keep how the feed stands, before somebody else reads on."""
        feed = self._feed
        self._position, self._watermark = feed.position(), feed.watermark()
        self._done, self.gap = feed.done(), feed.gap

    def position(self) -> bytes:
        return self._position

    def watermark(self) -> int:
        return self._watermark

    def done(self) -> bool:
        return self._done

    def close(self) -> None:
        with self._feed.lock:
            self._feed.give_back(self)


_feeds: dict[KafkaSource, Feed] = {}
_opening = Lock()


def feed_of(source: KafkaSource) -> Feed:
    """This process's consumer of a source; those that nobody has read for a while are closed."""
    with _opening:
        now = time.monotonic()
        left = [each for each, feed in _feeds.items() if feed.left_at is not None and now - feed.left_at > _IDLE]
        for each in left:
            if each != source:
                _feeds.pop(each).close()
        if source not in _feeds:
            _feeds[source] = Feed(source)
        return _feeds[source]


@atexit.register
def close_all() -> None:
    """Close the consumers of this process; their readers are of no more use."""
    with _opening:
        while _feeds:
            _feeds.popitem()[1].close()
