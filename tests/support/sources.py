"""Sources under one contract: each rig appends records as its transport does, lets time pass, and opens the source."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from threading import Event
from typing import Protocol

from confluent_kafka import Producer
from pubsub_emulator import PROJECT, Channel, Emulator

from schemas.codec import pack, pack_many
from schemas.records import SECOND, Block, Entry
from transforms.sources.journal import JournalSource
from transforms.sources.kafka import KafkaSource
from transforms.sources.pubsub import PubSubSource
from transforms.sources.source import Reader, Source
from transforms.stores.journal import Draft, Journal

PATIENCE = 20.0
_names = count()


def entry(name: str) -> Entry:
    return Entry("track", "shop", "server", "test", 0, name.encode())


class Rig(Protocol):
    """One transport. `parts` is in how many parts its records lie."""

    parts: int

    def append(self, names: Sequence[str], part: int = 0) -> None:
        """Records, durable when this returns."""

    def tick(self) -> None:
        """Time passes everywhere, and nobody says anything."""

    def source(self, *, end: bool = False) -> Source:
        """All of it."""

    def close(self) -> None: ...


class JournalRig:
    """The embedded journal; its clock goes on by a second a frame."""

    parts = 1

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._journal = Journal(folder, sync=False)
        self._now = SECOND

    def append(self, names: Sequence[str], part: int = 0) -> None:
        self._now += SECOND
        self._journal.write(Draft([entry(name) for name in names]), self._now)

    def tick(self) -> None:
        self.append(())

    def source(self, *, end: bool = False) -> Source:
        return JournalSource(self._folder, end=end)

    def close(self) -> None:
        self._journal.close()


class KafkaRig:
    """A topic of its own on a broker that is there already; on a mock broker with the producer's stamps."""

    parts = 4

    def __init__(self, servers: str, make: Callable[[str], object] = str) -> None:
        self._servers, self.topic = servers, f"contract{next(_names)}.records"
        make(self.topic)
        self._producer = Producer({"bootstrap.servers": servers, "linger.ms": 0, "acks": "all", "log_level": 0})
        self.tick()

    def append(self, names: Sequence[str], part: int = 0) -> None:
        for name in names:
            self._producer.produce(self.topic, pack(entry(name)), partition=part)
        assert self._producer.flush(PATIENCE) == 0

    def tick(self) -> None:
        for part in range(self.parts):
            self._producer.produce(self.topic, b"", partition=part)
        assert self._producer.flush(PATIENCE) == 0

    def put(self, value: bytes, part: int = 0) -> None:
        """Any bytes at all."""
        self._producer.produce(self.topic, value, partition=part)
        assert self._producer.flush(PATIENCE) == 0

    def source(self, *, end: bool = False, partition: int | None = None, group: str = "rapport") -> KafkaSource:
        return KafkaSource(self._servers, self.topic, partition, group, end)

    def close(self) -> None:
        del self._producer


class PubSubRig:
    """A topic and a subscription of its own on an emulator; whoever reads follows its clock closely."""

    parts = 1

    def __init__(self, emulator: Emulator) -> None:
        self._channel = Channel(emulator)

    def append(self, names: Sequence[str], part: int = 0) -> None:
        self._channel.publish(pack_many([entry(name) for name in names]))

    def tick(self) -> None:
        """The server's own clock goes on."""

    def source(self, *, end: bool = False) -> PubSubSource:
        return PubSubSource(PROJECT, self._channel.name, lateness=0.1, lease=1)

    def close(self) -> None:
        self._channel.close()


def read(reader: Reader, enough: int, limit: int = 1000) -> list[Block]:
    """Blocks with at least `enough` records, waited for."""
    blocks: list[Block] = []
    eventually(lambda: _more(reader, blocks, limit) >= enough)
    return blocks


def read_all(reader: Reader, limit: int = 1000) -> list[Block]:
    """Everything, of a source that ends."""
    blocks: list[Block] = []
    eventually(lambda: _more(reader, blocks, limit) >= 0 and reader.done())
    return blocks


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds; a test fails that waits in vain."""
    pause, giving_up = Event(), time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < giving_up, "waited in vain"
        pause.wait(0.002)


def names(blocks: Sequence[Block]) -> list[str]:
    return [each.body.decode() for block in blocks for each in block.entries]


def places(blocks: Sequence[Block]) -> dict[tuple[int, int], tuple[int, str]]:
    """What stands at each (partition, sequence): (received_at, name)."""
    return {
        (block.partition, sequence): (block.received_at, each.body.decode())
        for block in blocks
        for sequence, each in enumerate(block.entries, block.first)
    }


def _more(reader: Reader, blocks: list[Block], limit: int) -> int:
    pull = reader.poll(limit)
    if pull is not None:
        blocks += pull.items
    return sum(len(block.entries) for block in blocks)
