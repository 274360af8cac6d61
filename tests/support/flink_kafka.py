"""The real job on Flink between topics of a real Kafka broker: doors and a sender beside it, and what came of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import groupby
from math import ceil
from operator import attrgetter
from pathlib import Path

from confluent_kafka import Producer
from flink_lane import PATIENCE, Lane, World, replayed
from shop import SECRET
from sources import read_all
from told import Blocks, Told, receipt_of

from deploy.flink.cluster import Cluster
from deploy.flink.rest import wait
from pipelines.flink import Flink, submit
from schemas.codec import pack
from schemas.records import SECOND, Block, Derived, Entry, Message, Receipt
from schemas.single_object import decode, encode, is_single_object
from schemas.workspace import Tenant
from transforms.logic.routing import key_of, key_of_derived
from transforms.sources.kafka import KafkaSource
from transforms.topics.client import RECORDS, ensure, producer, topic_of
from transforms.topics.kafka import KafkaTopics
from transforms.topics.reader import Topic, TopicReader
from transforms.topics.scan import Extent, committed

PARTITIONS = 4
TICK = 0.1
"""Seconds between two ticks of a door."""
OUT = ("intents", "rows", "failures")


class KafkaLane(Lane):
    """The job on a cluster, reading and writing topics of its own on a broker."""

    def __init__(self, cluster: Cluster, servers: str, prefix: str, tenant: Tenant) -> None:
        super().__init__(cluster, Path(), tenant, topics=KafkaTopics(servers, prefix, SECRET))
        self.servers, self.prefix = servers, prefix
        ensure(servers, prefix)
        self.records = topic_of(prefix, RECORDS)

    def begin(self, parallelism: int = 1) -> None:
        """Submit the job; offsets are committed under the job's name."""
        source = KafkaSource(self.servers, self.records, group=f"{self.prefix}.job")
        submit(source, self._job, Flink(self.cluster.job_server, parallelism))

    def producer(self) -> Producer:
        return producer(self.servers, PATIENCE)

    def topic(self, name: str) -> Topic:
        return Topic(self.servers, self.prefix, name)

    def told(self) -> Told:
        """All that has left so far, repeats included; of what came back to the records, what the job gave."""
        left = {name: [decode(each.value() or b"") for each in Extent(self.topic(name)).read()] for name in OUT}
        values = [each.value() or b"" for each in Extent(self.topic(RECORDS)).read()]
        back = [decode(value) for value in values if is_single_object(value)]
        given = [each for each in back if isinstance(each, Derived) and not _of_a_sender(each)]
        rows = [*left["rows"], *left["failures"]]
        return Told({"intents": left["intents"], "rows": rows, "feedback": given})

    def written(self) -> int:
        """How many records have left so far."""
        return sum(sum(Extent(self.topic(name)).ends.values()) for name in OUT)

    def read_back(self) -> list[Block]:
        """All records, in the one order of all partitions."""
        reader = KafkaSource(self.servers, self.records, group="look", end=True).open(None)
        try:
            return sorted(read_all(reader), key=attrgetter("received_at", "partition", "first"))
        finally:
            reader.close()

    def settled(self) -> World:
        """What the embedded engine makes of all records, once nothing more comes and the job has committed it all."""
        seen: list[list[Block]] = [[]]

        def still() -> bool:
            threading.Event().wait(3)
            seen.append(self.read_back())
            return seen[-1] == seen[-2] and self._committed(seen[-1])

        wait("an end of what comes back", still, PATIENCE)
        blocks = seen[-1]
        together = [list(group) for _, group in groupby(blocks, key=attrgetter("received_at"))]
        over = Block(blocks[-1].received_at + SECOND, 0, 0, [])
        return World(self.tenant, blocks, replayed(self.tenant, Blocks([*together, [over]])))

    def _committed(self, blocks: Sequence[Block]) -> bool:
        found = committed(self.topic(RECORDS), f"{self.prefix}.job")
        return all(found.get(block.partition, 0) >= block.first + len(block.entries) for block in blocks)


def _of_a_sender(record: Derived) -> bool:
    """A receipt that the job did not send on to somebody's other address."""
    return isinstance(record.fact, Receipt) and record.original is None


class Doors(threading.Thread):
    """Append entries, each to the partition of whom it is about, and ticks to all. A context.

    `entries` take `seconds`; how far they go says `play`.
    """

    def __init__(self, lane: KafkaLane, entries: Sequence[Entry], seconds: float) -> None:
        super().__init__(daemon=True)
        self._lane, self._entries = lane, entries
        self._step = ceil(len(entries) * TICK / seconds)
        self._next = self._goal = 0
        self._over = threading.Event()

    def play(self, share: float) -> None:
        """Let them go on up to this share of all entries."""
        self._goal = int(share * len(self._entries))

    def all_played(self) -> bool:
        return self._next == len(self._entries)

    def run(self) -> None:
        out = self._lane.producer()
        while not self._over.wait(TICK):
            upto = min(self._goal, self._next + self._step)
            for entry in self._entries[self._next : upto]:
                out.produce(self._lane.records, pack(entry), key_of(entry, SECRET))
            for partition in range(PARTITIONS):
                out.produce(self._lane.records, b"", partition=partition)
            out.flush(PATIENCE)
            self._next = upto

    def __enter__(self) -> Doors:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


class Sender(threading.Thread):
    """Says of each message, once, that it was sent; `left` is each message as it came. A context."""

    def __init__(self, lane: KafkaLane) -> None:
        super().__init__(daemon=True)
        self.left: list[Message] = []
        self._lane, self._over = lane, threading.Event()

    def run(self) -> None:
        reader, out, known = TopicReader(self._lane.topic("intents")), self._lane.producer(), set[str]()
        while not self._over.wait(0.02):
            for message in reader.read():
                assert isinstance(message, Message)
                self.left.append(message)
                if message.key not in known:
                    known.add(message.key)
                    receipt = receipt_of(message)
                    out.produce(self._lane.records, encode(receipt), key_of_derived(receipt, SECRET))
            out.poll(0)
        out.flush(PATIENCE)
        reader.close()

    def __enter__(self) -> Sender:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()
