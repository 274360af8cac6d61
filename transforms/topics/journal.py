"""The journal on Kafka as a door writes it: the brokers are its appender, and stamp and number what they take.

A door has said yes only to what all replicas have. Each partition hears from each door at least ten times a second:
where nothing else was written, a tick.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from confluent_kafka import Message, Producer, TopicPartition
from msgspec.structs import replace

from schemas.codec import pack, unpack
from schemas.records import SECOND, Block, Entry
from transforms.logic.routing import key_of
from transforms.logic.suppress import Change
from transforms.sources.kafka import KafkaSource
from transforms.sources.partition import Place, pack_places
from transforms.stores.journal import Counts, Draft
from transforms.stores.segments import Lock, make_folder
from transforms.topics import BrokerError
from transforms.topics.client import (
    ANSWER,
    RECORDS,
    asked,
    consumer,
    ends_of,
    partitions_of,
    producer,
    reason,
    topic_of,
)
from transforms.topics.outcome import Letter, Outcome

PATIENCE = 5.0
"""Seconds that a broker may take to acknowledge before callers are told to come again."""
TICK = 0.08
"""Seconds after which a partition to which nothing was written gets a tick."""
MARGIN = 60 * SECOND
"""How much is read again at a start: what other doors had under way when the place was noted."""
_FEW = 1_000
_OFFSET_BITS = 20
_LOOK = 0.005

Telling = Callable[[Entry], Iterable[Change]]
"""What an entry of the journal changes about who may be written to."""


class KafkaJournal:
    """The door's side of the records topic of `prefix`; `folder` keeps what this door counted. See `stores.journal`.

    `stamp` is the newest that a broker gave, and `end`, the address that suppression is noted with, is the same: time
    is what the partitions have in common. Raises LogBusy if another door uses this folder, TopicUnfit, BrokerError.
    """

    def __init__(self, servers: str, prefix: str, folder: Path, secret: bytes, telling: Telling) -> None:
        make_folder(folder, sync=True)
        self._lock = Lock(folder)
        self._servers, self._topic = servers, topic_of(prefix, RECORDS)
        self._secret, self._telling = secret, telling
        self._file = folder / "kafka.counts"
        self._producer = self._connected()
        self._ticks = Outcome(self._producer)
        self._written = [0.0] * partitions_of(self._producer, self._topic)
        self.counts = unpack(self._file.read_bytes(), Counts) if self._file.exists() else Counts()
        self.stamp = 0
        self._trouble = ""  # what was wrong last, until a broker acknowledges something

    @property
    def end(self) -> int:
        return self.stamp

    def write(self, draft: Draft, now: int) -> list[Change]:  # noqa: ARG002 (the broker stamps)
        """Append entries, and ticks where nobody wrote; gives the draft's changes, numbered in the order of stamps.

        OSError means that not all of it is surely in the journal; what is may be written again.
        """
        changes = self._append(draft) if draft.entries else []
        self._tick()
        if self._trouble and not draft.entries:
            raise BrokerError(self._trouble)
        if draft.cursors:
            self._save()
        return changes

    def suppressed_since(self, address: int) -> Iterator[tuple[int, list[Change]]]:
        """What all doors journaled about suppression since shortly before `address`: (address, changes), in order."""
        source = KafkaSource(self._servers, self._topic, group="door", end=True, patience=0)
        reader = source.open(self._since(address - MARGIN))
        try:
            while not reader.done():
                pull = reader.poll(_FEW)
                for block in pull.items if pull is not None else ():
                    if told := list(self._retold(block)):
                        yield block.received_at, told
                if pull is None:
                    time.sleep(_LOOK)
            self.stamp = max(self.stamp, reader.watermark())
        finally:
            reader.close()

    def drop(self, needed: Iterable[int]) -> None:  # noqa: ARG002 (the broker deletes by its own settings)
        """Note what was counted."""
        self._save()

    def close(self) -> None:
        self._save()
        self._producer.flush(PATIENCE)
        self._lock.close()

    def _append(self, draft: Draft) -> list[Change]:
        """Write entries and wait for the broker; gives the changes with their numbers."""
        outcome, giving_up = Outcome(self._producer), time.monotonic() + PATIENCE
        telling = {change.sequence for change in draft.changes}
        numbers: dict[int, int] = {}
        try:
            for index, entry in enumerate(draft.entries):
                letter = Letter(self._topic, pack(entry), key_of(entry, self._secret))
                outcome.produce(letter, giving_up, partial(_note, numbers, index) if index in telling else None)
            outcome.wait(giving_up + 1)
        finally:
            self._settle(self._ticks)  # first: what was acknowledged before says nothing about now
            self._settle(outcome)
        self.counts = self.counts.after(draft.entries, draft.cursors)
        return [replace(change, sequence=numbers[change.sequence]) for change in draft.changes]

    def _tick(self) -> None:
        """Tell time to partitions that were not written to.

        Nobody waits for a tick: if one does not come through, the next one does.
        """
        ticks, now = self._ticks, time.monotonic()
        self._producer.poll(0)
        self._settle(ticks)
        if ticks.error is not None or ticks.producer is not self._producer:
            self._ticks = ticks = Outcome(self._producer)
        try:
            for partition, written in enumerate(self._written):
                if now - written >= TICK:
                    self._written[partition] = now
                    ticks.produce(Letter(self._topic, b"", partition=partition), now)
        except BrokerError as error:
            self._trouble = str(error)

    def _settle(self, outcome: Outcome) -> None:
        """Take over what the broker said; a producer that is past help is replaced."""
        self.stamp = max(self.stamp, outcome.stamp)
        for partition in outcome.partitions:
            self._written[partition] = time.monotonic()
            self._trouble = ""
        outcome.partitions.clear()
        if outcome.error is not None:
            self._trouble = f"{self._topic}: expected Kafka to take records, got: {reason(outcome.error)}"
        if outcome.fatal and outcome.producer is self._producer:
            self._producer = self._connected()

    def _retold(self, block: Block) -> Iterator[Change]:
        for offset, entry in enumerate(block.entries, block.first):
            for change in self._telling(entry):
                yield replace(change, sequence=number_of(*(change.said or (block.received_at, offset))))

    def _since(self, stamp: int) -> bytes | None:
        """The position of what was appended from `stamp` to now; None, which means all of it, if there is no stamp."""
        if stamp <= 0:
            return None
        client = consumer(self._servers, "door")
        try:
            wanted = [TopicPartition(self._topic, number, stamp // 1000) for number in range(len(self._written))]
            found = asked(lambda: client.offsets_for_times(wanted, timeout=ANSWER), self._topic)
            ends = [ends_of(client, self._topic, place.partition)[1] for place in found]
        finally:
            client.close()
        starts = [place.offset if place.offset >= 0 else end for place, end in zip(found, ends, strict=True)]
        return pack_places(
            Place(number, start, end=end) for number, (start, end) in enumerate(zip(starts, ends, strict=True))
        )

    def _connected(self) -> Producer:
        return producer(self._servers, PATIENCE)

    def _save(self) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(pack(self.counts))
        fresh.replace(self._file)


def number_of(stamp: int, offset: int) -> int:
    """The number of a change: later stamps are higher, and in one partition later offsets. 63 bits until 2200.

    Offsets of several partitions cannot be compared, but whose word was last must be known.
    """
    return (stamp // 1000) << _OFFSET_BITS | (offset & ((1 << _OFFSET_BITS) - 1))


def _note(numbers: dict[int, int], index: int, message: Message) -> None:
    numbers[index] = number_of(message.timestamp()[1] * 1000, int(message.offset() or 0))
