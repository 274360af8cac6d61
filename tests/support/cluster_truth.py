"""What a run on a cluster is held against: the journal, read again in order, and what clients and sink know."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from cluster_load import ids_of
from sources import read_all
from told import Blocks

from pipelines.config import Config
from pipelines.local.runner import EmbeddedRunner, Limits
from pipelines.run import job_of
from pipelines.settled import Lines, frames_of
from pipelines.stream import build
from schemas.codec import pack, unpack_many
from schemas.failures import DUPLICATE
from schemas.records import Block, Decision, EventRow, Message, Order, Receipt, Row
from schemas.single_object import decode
from transforms.disorder import Disorder
from transforms.sources.kafka import KafkaSource
from transforms.stores.log import LogReader
from transforms.stores.memory import MemoryRows
from transforms.topics.client import RECORDS, topic_of
from transforms.topics.reader import Topic
from transforms.topics.scan import Extent
from transforms.topics.values import DERIVED

BUNDLE = 500


def journal(config: Config) -> list[Block]:
    """Every record of the topic in a block of its own, in the order of time, partition and number."""
    source = KafkaSource(config.kafka, topic_of(config.topics, RECORDS), group="truth", end=True)
    found = [block for part in source.parts() for block in read_all(part.open(None))]
    single = [
        Block(block.received_at, block.partition, block.first + index, [entry])
        for block in found
        for index, entry in enumerate(block.entries)
    ]
    return sorted(single, key=lambda block: (block.received_at, block.partition, block.first))


# --- what clients were told -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kept:
    """Of the ids that were answered 200: how many are in the journal, which are missing, how many records came again,
    and which of those were taken for new ones.
    """

    present: int
    missing: list[str]
    again: int
    taken_twice: list[str]


def kept(config: Config, blocks: Iterable[Block], acknowledged: set[str]) -> Kept:
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for block in blocks:
        if block.entries[0].kind != DERIVED:
            for name in ids_of(block.entries[0].body):
                places[name].append((block.partition, block.first))
    repeated = _repeats(config)
    several = {name: [place not in repeated for place in found] for name, found in places.items() if len(found) > 1}
    return Kept(
        sum(name in places for name in acknowledged),
        sorted(acknowledged - places.keys()),
        sum(len(news) - 1 for news in several.values()),
        sorted(name for name, news in several.items() if sum(news) != 1),
    )


def _repeats(config: Config) -> set[tuple[int, int]]:
    """The places of records that were recognised as repeats."""
    lines, columns = Lines(config, ()), ("id", "partition", "sequence", "reason")
    rows = [row for table in ("events", "mentions") for row in lines.of(table, *columns).to_pylist()]
    return {(row["partition"], row["sequence"]) for row in rows if row["reason"] == DUPLICATE}


# --- what the sink was sent -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Delivered:
    """How the sink's keys and the journal's receipts of messages sent differ; a ghost was never decided."""

    unheard: list[str]
    unreceipted: list[str]
    ghosts: list[str]


def delivered(config: Config, blocks: Iterable[Block], accepted: Iterable[str]) -> Delivered:
    from transforms.logic.returns import derived_of

    events = (derived_of(each.entries[0], each, each.first)[0] for each in blocks if each.entries[0].kind == DERIVED)
    receipts = [event.fact for event in events if isinstance(event.fact, Receipt)]
    sent, ended = {fact.key for fact in receipts if fact.state == "sent"}, {fact.key for fact in receipts}
    decided, there = {key for key, _ in intents(config)}, set(accepted)
    return Delivered(sorted(sent - there), sorted(there - ended), sorted(there - decided))


def intents(config: Config) -> dict[tuple[str, int], bytes]:
    """The different messages in the topic."""
    found = {}
    for letter in Extent(Topic(config.kafka, config.topics, "intents")).read():
        message = decode(letter.value() or b"")
        assert isinstance(message, Message)
        found[message.key, message.revision] = pack(message)
    return found


# --- the same journal in order ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """Live, with several partitions, against the same journal in order."""

    messages: int
    only_live: int
    only_in_order: int
    other_bytes: int
    decisions_that_differ: int
    people_with_differences: int
    people_without_disorder: list[str]
    disordered: int


class Line(NamedTuple):
    person: bytes
    order: Order


def disordered(config: Config) -> tuple[int, set[str]]:
    """How many records the live person lane took after a later one of the same person, and whose they are."""
    disorder, count, whose = Disorder(), 0, set[str]()
    for frame in frames_of(LogReader(config.folder("person"), 0, {"rows"})):
        rows = [row for row in unpack_many(frame.parts["rows"].payload, Row) if isinstance(row, EventRow)]
        lines = sorted(
            Line(row.person.encode(), (row.received_at, row.partition, row.sequence, row.sub))
            for row in rows
            if row.person and row.disposition != "forwarded"
        )
        for line in lines:
            if disorder.count([line], lambda each: each.person):
                count += 1
                whose.add(line.person.decode())
    return count, whose


def in_order(config: Config, blocks: Sequence[Block]) -> dict[str, list[Any]]:
    """What the person lane hands over when it reads the journal in its order."""
    store, pipeline = MemoryRows(), Pipeline(options=PipelineOptions([]))
    build(pipeline, Blocks(list(_pulls(blocks))), job_of(config), ("person",))
    engine = EmbeddedRunner(store, Limits(bundle=1, idle=0.0)).open(pipeline)
    engine.run_until_done()
    engine.close()
    return store.topics


def _pulls(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Bundles that never part what was received at the same time."""
    pull: list[Block] = []
    for _, together in groupby(blocks, lambda block: block.received_at):
        pull += together
        if len(pull) >= BUNDLE:
            yield pull
            pull = []
    if pull:
        yield pull


def compared(config: Config, blocks: Sequence[Block]) -> Compared:
    live, topics = intents(config), in_order(config, blocks)
    again = {(message.key, message.revision): pack(message) for message in topics.get("intents", [])}
    decided = {row.id: row for row in topics["rows"] if isinstance(row, Decision) and row.final}
    told = Lines(config, ()).of("decisions", "id", "person", "campaign", "reason", "final").to_pylist()
    lived = {row["id"]: row for row in told if row["final"]}
    differing = Counter[str]()
    for name in lived.keys() | decided.keys():
        mine, theirs = lived.get(name), decided.get(name)
        if mine is None or theirs is None or mine["reason"] != theirs.reason:
            differing[mine["person"] if mine else theirs.person if theirs else ""] += 1
    count, whose = disordered(config)
    return Compared(
        len(live),
        len(live.keys() - again.keys()),
        len(again.keys() - live.keys()),
        sum(live[key] != again[key] for key in live.keys() & again.keys()),
        differing.total(),
        len(differing),
        sorted(differing.keys() - whose),
        count,
    )
