"""Run the whole person lane over blocks of a journal, on any engine, and hold what it told.

`live` plays door and sender: what the job gives back, and a receipt for each message, is journaled right after the
record that caused it, so it returns the complete journal, which the other engines then read as it is.
"""

from __future__ import annotations

from bisect import insort_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apache_beam import DoFn, ParDo, Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.testing.test_stream import TestStream
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp
from shop import SECRET

from models.registry import Models
from pipelines.local.runner import EmbeddedRunner, Hooks, Limits
from pipelines.stream import Job, build, engage
from schemas.codec import pack
from schemas.keys import address_in, derived_id
from schemas.records import (
    Block,
    Decision,
    Derived,
    Entry,
    EventRow,
    Failure,
    Ids,
    Message,
    Receipt,
    SegmentChange,
)
from schemas.workspace import Tenant
from transforms.batches import Pull
from transforms.hand_over import HandOver
from transforms.sources.firehose import Firehose
from transforms.sources.source import Source
from transforms.stores.memory import MemoryRows

STEP = 1000
"""Microseconds between what happens and what comes back of it: TestStream knows whole milliseconds only."""


@dataclass
class Told:
    """Everything that one run handed over."""

    topics: dict[str, list[Any]] = field(default_factory=dict)

    def rows(self, kind: type[Any]) -> list[Any]:
        return [row for row in self.topics.get("rows", []) if type(row) is kind]

    @property
    def decisions(self) -> list[Decision]:
        return sorted(self.rows(Decision), key=lambda row: (row.decided_at, row.id))

    @property
    def reasons(self) -> Counter[tuple[str, str]]:
        """How often each (campaign, final reason) was decided."""
        return Counter((row.campaign, row.reason) for row in self.decisions if row.final)

    @property
    def messages(self) -> list[Message]:
        return sorted(self.topics.get("intents", []), key=lambda message: (message.decided_at, message.key))

    @property
    def segments(self) -> list[SegmentChange]:
        return self.rows(SegmentChange)

    @property
    def events(self) -> list[EventRow]:
        return sorted(self.rows(EventRow), key=lambda row: (row.sequence, row.disposition))

    @property
    def failures(self) -> list[Failure]:
        return self.rows(Failure)

    @property
    def feedback(self) -> list[Derived]:
        return self.topics.get("feedback", [])

    def bytes(self, until: int = 1 << 62) -> Counter[tuple[str, bytes]]:
        """What was handed over by a time (wakes ring on after a story's end where a runner ends at infinity)."""
        return Counter(
            (topic, pack(record))
            for topic, records in self.topics.items()
            for record in records
            if when(record) <= until
        )


def when(record: Any) -> int:
    """The moment that a record belongs to."""
    names = ("decided_at", "as_of", "received_at", "event_time")
    return next(getattr(record, name) for name in names if hasattr(record, name))


def job(tenant: Tenant, shards: int = 4, state: str = "rows") -> Job:
    return Job({tenant.name: tenant}, SECRET, Models(), shards, state)


@dataclass
class Blocks:
    """A firehose over pulls that are there from the beginning; with `loop`, given-back records join in."""

    pulls: Sequence[Sequence[Block]]

    def open(self, position: bytes | None) -> BlockReader:
        return BlockReader(self, int.from_bytes(position or b""))


@dataclass
class BlockReader:
    source: Blocks
    at: int
    stamp: int = 0

    def poll(self, limit: int) -> Pull | None:
        if self.at >= len(self.source.pulls):
            return None
        blocks = self.source.pulls[self.at]
        self.at += 1
        self.stamp = blocks[-1].received_at
        return Pull(blocks)

    def position(self) -> bytes:
        return self.at.to_bytes(8)

    def watermark(self) -> int:
        return self.stamp

    def done(self) -> bool:
        return self.at >= len(self.source.pulls)

    def close(self) -> None:
        """Nothing to free."""


def embedded(tenant: Tenant, pulls: Iterable[Sequence[Block]], *, shards: int = 4, hooks: Hooks | None = None) -> Told:
    """The person lane on the embedded engine; each pull is one bundle."""
    return from_source(tenant, Blocks(list(pulls)), shards=shards, hooks=hooks)


def from_source(tenant: Tenant, source: Source, *, shards: int = 4, hooks: Hooks | None = None) -> Told:
    """The person lane on the embedded engine, reading from anywhere."""
    store = MemoryRows()
    pipeline = Pipeline(options=PipelineOptions([]))
    build(pipeline, source, job(tenant, shards), ("person",))
    engine = EmbeddedRunner(store, Limits(bundle=1, idle=0.0), hooks).open(pipeline)
    engine.run_until_done()
    engine.close()
    return Told(store.topics)


Answer = tuple[int, Derived | Entry]
"""What comes back of a message, and how many microseconds after the message was decided."""

Answers = Callable[[Message], Iterable[Answer]]


def live(tenant: Tenant, blocks: Iterable[Block], answers: Answers | None = None) -> tuple[list[Block], Told]:
    """The complete journal and what was told, with feedback journaled right after its cause.

    `answers` tells what comes back of a message; by default a sender that sends at once.
    """
    answer = answers or _sent_at_once
    store = MemoryRows()
    source = Growing(list(blocks))
    pipeline = Pipeline(options=PipelineOptions([]))
    build(pipeline, source, job(tenant), ("person",))
    engine = EmbeddedRunner(store, Limits(bundle=1, idle=0.0)).open(pipeline)
    taken = {"feedback": 0, "intents": 0}
    while not source.done():
        engine.turn()
        fresh = {topic: store.topics.get(topic, [])[count:] for topic, count in taken.items()}
        source.give_back([(0, derived) for derived in fresh["feedback"]])
        source.give_back([found for message in fresh["intents"] for found in answer(message)])
        taken = {topic: count + len(fresh[topic]) for topic, count in taken.items()}
    engine.close()
    return source.journal, Told(store.topics)


def _sent_at_once(message: Message) -> Iterable[Answer]:
    yield 0, receipt_of(message)


def receipt_of(message: Message, state: str = "sent", code: str = "250") -> Derived:
    """A sender's word on what became of a message."""
    fact = Receipt(message.key, state, message.decided_at, message.channel, code, 1, message.revision)
    name = derived_id("receipt", message.key, state, message.revision)
    return Derived(name, message.tenant, message.decided_at, Ids(), fact, address=address_in(message.key))


class Growing:
    """A firehose of one block a pull, its own reader, that takes derived records in between."""

    def __init__(self, blocks: list[Block]) -> None:
        self.waiting = blocks
        self.journal: list[Block] = []
        self.sequence = 0
        self.stamp = 0

    def open(self, position: bytes | None) -> Growing:
        return self

    def give_back(self, given: Sequence[Answer]) -> None:
        """Journal what comes back, each wait as one block behind all that comes before it."""
        for wait in sorted({wait for wait, _ in given}):
            entries = [_entry(record, number) for number, (late, record) in enumerate(given) if late == wait]
            block = Block(self.stamp + STEP + wait, 0, 0, entries)
            insort_left(self.waiting, block, key=lambda waiting: waiting.received_at)

    def poll(self, limit: int) -> Pull | None:
        if not self.waiting:
            return None
        block = self.waiting.pop(0)
        self.stamp = max(block.received_at, self.stamp + STEP)
        block = Block(self.stamp, 0, self.sequence, block.entries)
        self.sequence += len(block.entries)
        self.journal.append(block)
        return Pull([block])

    def position(self) -> bytes:
        return b""

    def watermark(self) -> int:
        return self.stamp

    def done(self) -> bool:
        return not self.waiting

    def close(self) -> None:
        """Nothing to free."""


def _entry(record: Derived | Entry, number: int) -> Entry:
    if isinstance(record, Entry):
        return record
    return Entry("derived", record.tenant, "own", "job", 0, pack(record), ("job", number))


TAPPED: dict[str, list[Any]] = {}
"""What the last run on Beam's direct runner handed over: its DoFns are pickled, this module is not."""


class _Tap(DoFn):
    def __init__(self, topic: str) -> None:
        self.topic = topic

    def process(self, batch: Any) -> Iterable[None]:
        TAPPED.setdefault(self.topic, []).extend(batch.items)
        yield from ()


def teststream(tenant: Tenant, pulls: Iterable[Sequence[Block]], monkeypatch: Any, *, shards: int = 2) -> Told:
    """The person lane on Beam's bundle-based direct runner, fed by a TestStream; state in cells."""
    monkeypatch.setattr(HandOver, "expand", lambda self, batches: batches | "tap" >> ParDo(_Tap(self.topic)))
    TAPPED.clear()
    stream = TestStream()
    for blocks in pulls:
        stamp = Timestamp(micros=blocks[-1].received_at)
        stream = stream.add_elements([Pull(blocks)], event_timestamp=stamp).advance_watermark_to(stamp)
    pipeline = Pipeline(runner=BundleBasedDirectRunner(), options=PipelineOptions(["--streaming"]))
    records = pipeline | stream.advance_watermark_to(MAX_TIMESTAMP)
    engage(records, job(tenant, shards, "cells"))
    pipeline.run().wait_until_finish()
    return Told(dict(TAPPED))


teststream.__test__ = False  # a runner, no test


def pulls_of(blocks: Sequence[Block], sizes: Sequence[int] = (1,)) -> list[list[Block]]:
    """Blocks cut into pulls of the given sizes, the last size repeated."""
    pulls, start, index = [], 0, 0
    while start < len(blocks):
        size = sizes[min(index, len(sizes) - 1)]
        pulls.append(list(blocks[start : start + size]))
        start, index = start + size, index + 1
    return pulls


def states(told: Told) -> Mapping[str, int]:
    """How often each disposition was recorded."""
    return Counter(row.disposition for row in told.events)


__all__ = ["Blocks", "Firehose", "Told", "embedded", "job", "live", "pulls_of", "states", "teststream"]
