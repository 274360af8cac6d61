"""What the records topic holds, counted record by record: ticks are no records."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from confluent_kafka import Message

from pipelines.census import LANES, MENTION, position
from pipelines.config import Config
from pipelines.places import Places
from schemas.records import Derived
from schemas.single_object import NotReadable, decode, is_single_object
from transforms.sources.partition import unpack_places
from transforms.topics.client import JOB, RECORDS
from transforms.topics.reader import Topic
from transforms.topics.scan import Extent, Offsets, committed
from transforms.topics.values import entry_of


def journaled(config: Config, extent: Extent) -> Journaled:
    """All of the topic, as far as `extent`. Raises BrokerError."""
    found = Journaled(_read_up_to(config))
    for message in extent.read():
        found.take(message)
    return found


def _read_up_to(config: Config) -> dict[str, Offsets]:
    """How far each lane has come, by partition: from its own store, or from what the job on a cluster has committed."""
    own = {lane: position(config.folder(lane)) for lane in LANES}
    if not any(own.values()):
        return dict.fromkeys(LANES, committed(Topic(config.kafka, config.topics, RECORDS), f"{config.topics}.{JOB}"))
    return {
        lane: {place.partition: place.offset for place in unpack_places(found)} if found else {}
        for lane, found in own.items()
    }


@dataclass
class Gathering:
    """Places as they come."""

    partition: list[int] = field(default_factory=list)
    sequence: list[int] = field(default_factory=list)

    def add(self, partition: int, sequence: int) -> None:
        self.partition.append(partition)
        self.sequence.append(sequence)

    @property
    def count(self) -> int:
        return len(self.sequence)

    @property
    def places(self) -> Places:
        return Places(np.array(self.partition, np.int64), np.array(self.sequence, np.int64))


@dataclass
class Journaled:
    """What the records topic holds but ticks: places from outside and given back, the latter's records by id, and which
    of both lie behind the place of the lane that settles them (`read`, by lane).
    """

    read: dict[str, Offsets]
    facts: dict[str, Derived] = field(default_factory=dict)
    external: Gathering = field(default_factory=Gathering)
    derived: Gathering = field(default_factory=Gathering)
    unread: Gathering = field(default_factory=Gathering)
    unread_derived: Gathering = field(default_factory=Gathering)

    def take(self, message: Message) -> None:
        """Count one message of the topic."""
        value, partition, offset = message.value(), message.partition() or 0, int(message.offset() or 0)
        if not value:
            return
        derived = is_single_object(value) and self._is_derived(value)
        (self.derived if derived else self.external).add(partition, offset)
        if self._is_unread(partition, offset, b"" if derived else value):
            (self.unread_derived if derived else self.unread).add(partition, offset)

    def _is_derived(self, value: bytes) -> bool:
        """Whether the job takes it as a record of its own; that is kept by its id."""
        try:
            record = decode(value)
        except NotReadable:
            return True
        if isinstance(record, Derived):
            self.facts[record.id] = record
        return isinstance(record, Derived)

    def _is_unread(self, partition: int, offset: int, value: bytes) -> bool:
        places = {lane: offsets.get(partition, 0) for lane, offsets in self.read.items()}
        if offset < min(places.values()):
            return False
        mention = bool(value) and entry_of(value).kind == MENTION
        return offset >= places["listen" if mention else "person"]
