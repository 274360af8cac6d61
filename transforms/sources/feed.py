"""A consumer of Kafka that reads ahead in the background, lent to one reader at a time.

Runners open and close readers far more often than connections should be made: a reader that opens where the last one
stood takes over what was fetched already.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, Message, TopicPartition

from schemas.records import SECOND, Block
from transforms.batches import Pull
from transforms.sources.partition import ENDLESS, Part, Place, pack_places, unpack_places
from transforms.topics import BrokerError, TopicUnfit
from transforms.topics.client import asked, consumer, ends_of, partitions_of

if TYPE_CHECKING:
    from transforms.sources.kafka import KafkaReader, KafkaSource

LEAD = SECOND
"""How far a partition may be ahead of the slowest that has something to read, for a reader of several."""
AHEAD = 50_000
"""Messages of one partition that may wait for the others before it is no longer fetched."""

_PREFETCH = {"queued.min.messages": 20_000, "queued.max.messages.kbytes": 16 << 10, "fetch.queue.backoff.ms": 10}
_PROMPT = {"fetch.wait.max.ms": 100}
_SAY_EVERY = 10.0

log = logging.getLogger("rapport.kafka")


class Feed:
    """A consumer of one source, lent to one reader at a time; `gap` is about that reader."""

    def __init__(self, source: KafkaSource) -> None:
        self.lock = Lock()
        self.gap = self.closed = False
        self.left_at: float | None = None
        self._source = source
        self._reader: KafkaReader | None = None
        self._client = consumer(source.servers, source.group, **_PREFETCH, **_PROMPT)
        self._parts: dict[int, Part] = {}
        self._held: set[int] = set()
        self._said: dict[int, float] = {}

    def lend(self, reader: KafkaReader, position: bytes | None) -> None:
        """Make `reader` the one that reads; the consumer only moves if it stands elsewhere."""
        if self._reader is reader:
            return
        if position is None or not self._parts or position != self.position():
            self._move(position)
        self._reader, self.left_at = reader, None

    def give_back(self, reader: KafkaReader) -> None:
        """`reader` is closed. What was fetched is kept for a while, in case somebody reads on."""
        if self._reader is reader:
            self._reader, self.left_at = None, time.monotonic()

    def poll(self, limit: int) -> Pull | None:
        """What is there of the partitions that may go on."""
        self._fetch(limit)
        if len(self._parts) == 1:
            blocks = next(iter(self._parts.values())).take(limit, ENDLESS)
        else:
            blocks = sorted(self._abreast(limit), key=lambda block: (block.received_at, block.partition, block.first))
            self._hold()
        return Pull(blocks) if blocks else None

    def _abreast(self, limit: int) -> list[Block]:
        """Blocks of all partitions, none of which gets far ahead of the slowest."""
        blocks: list[Block] = []
        while limit > 0:
            upto, found = min(part.reached for part in self._parts.values()) + LEAD, list[Block]()
            for part in self._parts.values():
                found += part.take(limit, upto)
            if not found:
                break
            blocks += found
            limit -= sum(len(block.entries) for block in found)
        return blocks

    def position(self) -> bytes:
        return pack_places(part.place for part in self._parts.values())

    def watermark(self) -> int:
        """The slowest partition's; none is ever left out as long as it may bring something."""
        running = [part.time.watermark for part in self._parts.values() if not part.done]
        return min(running) if running else max(part.time.newest for part in self._parts.values())

    def done(self) -> bool:
        return all(part.done for part in self._parts.values())

    def close(self) -> None:
        self.closed = True
        self._client.close()

    # --- moving -------------------------------------------------------------------------------------------------------

    def _move(self, position: bytes | None) -> None:
        self.gap = False
        places = unpack_places(position) if position is not None else self._beginning()
        self._expect(places)
        self._parts = {place.partition: Part(self._checked(place), self._source.patience) for place in places}
        self._assign()

    def _beginning(self) -> list[Place]:
        places = []
        for number in self._numbers():
            low, high = ends_of(self._client, self._source.topic, number)
            places.append(self._bounded(Place(number, low), high))
        return places

    def _numbers(self) -> Sequence[int]:
        """The partitions that are read. Raises TopicUnfit if they are not there."""
        count, chosen = partitions_of(self._client, self._source.topic), self._source.partition
        if chosen is not None and chosen >= count:
            raise TopicUnfit(f"{self._source.topic}: expected partition {chosen}, it has only {count}")
        return range(count) if chosen is None else (chosen,)

    def _expect(self, places: Sequence[Place]) -> None:
        """Raises TopicUnfit if a position is about other partitions than this source reads."""
        found, expected = [place.partition for place in places], list(self._numbers())
        if found != expected:
            raise TopicUnfit(
                f"{self._source.topic}: expected partitions {expected} as they are now, got a position of {found}; "
                "the number of partitions is fixed: journal into a topic of a new name"
            )

    def _checked(self, place: Place) -> Place:
        """The place, moved to the first record kept if that one is later. Raises TopicUnfit for one that never was."""
        low, high = ends_of(self._client, self._source.topic, place.partition)
        if place.offset > high:
            raise TopicUnfit(
                f"{self._source.topic}: expected records up to {place.offset} in partition {place.partition}, it ends "
                f"at {high}; it was made anew or lost records: restore it, or start without state"
            )
        place = self._bounded(place, high)
        return self._skipped(place, low) if place.offset < low else place

    def _bounded(self, place: Place, high: int) -> Place:
        """A source that ends does so where it did when it was first opened; one that does not has no end at all."""
        if not self._source.end:
            return place._replace(end=ENDLESS)
        return place._replace(end=high) if place.end == ENDLESS else place

    def _skipped(self, place: Place, low: int) -> Place:
        self.gap = True
        log.error(
            "%s: records %d to %d of partition %d were deleted before they were read; keep the topic longer",
            *(self._source.topic, place.offset, low - 1, place.partition),
        )
        return place._replace(offset=low)

    def _assign(self) -> None:
        topic, self._held = self._source.topic, set()
        places = [TopicPartition(topic, part.partition, part.offset) for part in self._parts.values()]
        asked(lambda: self._client.assign(places), topic)

    # --- fetching -----------------------------------------------------------------------------------------------------

    def _fetch(self, limit: int) -> None:
        """Take over what librdkafka has fetched."""
        for message in self._client.consume(min(max(limit, 1), AHEAD), 0):
            error, number = message.error(), message.partition()
            if error is not None:
                self._heed(message, error)
            elif number is not None:
                self._parts[number].fetched(message)

    def _heed(self, message: Message, error: KafkaError) -> None:
        code, part = error.code(), self._parts.get(message.partition() or 0)
        if code == KafkaError._PARTITION_EOF and part is not None:
            part.ended(int(message.offset() or 0))
        elif code == KafkaError._AUTO_OFFSET_RESET and part is not None:
            self._reset()
        elif error.fatal():
            raise BrokerError(f"{self._source.topic}: expected to read on, got {error.str()}")
        elif time.monotonic() - self._said.get(code, -_SAY_EVERY) >= _SAY_EVERY:
            self._said[code] = time.monotonic()
            log.warning("%s: waiting for Kafka: %s", self._source.topic, error.str())

    def _reset(self) -> None:
        """Records were deleted from under the reader: go on at the first that are kept, and say so."""
        for part in self._parts.values():
            part.forget()
            part.offset = self._checked(part.place).offset
        self._assign()

    def _hold(self) -> None:
        """Do not fetch more of a partition that is far ahead of the others."""
        full = {part.partition for part in self._parts.values() if part.waiting > AHEAD}
        some = {part.partition for part in self._parts.values() if part.waiting > AHEAD // 4}
        if free := self._held - some:
            self._client.resume([TopicPartition(self._source.topic, number) for number in free])
        if new := full - self._held:
            self._client.pause([TopicPartition(self._source.topic, number) for number in new])
        self._held = (self._held & some) | new
