"""Counting an installation on Kafka: what the topics hold, record by record, against tables, logs and senders.

Topics carry records at least once. So everything is counted by its id, or a record of the journal by its place, and
how many came again is said beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from pipelines.census import LANES, numbers, own_sends, position
from pipelines.census_sends import End, ends_in, shared_sends
from pipelines.config import Config
from pipelines.journaled import Journaled, journaled
from pipelines.places import joined, missing
from pipelines.pull import LOGS
from pipelines.settled import Lines, Settled, frames_of
from schemas.codec import unpack_many
from schemas.records import Derived, Message, Record
from schemas.single_object import NotReadable, decode
from transforms.logic.ledger import Census
from transforms.stores.log import LogReader
from transforms.stores.parquet import read_manifest
from transforms.topics.client import RECORDS
from transforms.topics.reader import Topic, offsets_of
from transforms.topics.relay import relayed
from transforms.topics.scan import NOWHERE, Extent, Offsets


def topics_census(config: Config) -> Census:
    """All counts of an installation as it stands now. Raises BrokerError, RedisDown, ConfigError."""
    extent = _extent(config, RECORDS)
    journal, handed = journaled(config, extent), _handed(config)
    lines = Lines(config, _rows(config))
    settled = Settled(lines, extent.starts)
    sends, untold = _sends(config, handed, ends_in(journal.facts.values()))
    counts = settled.counts()
    found = Census(
        external=journal.external.count,
        derived=journal.derived.count,
        arrived=len(journal.facts),
        unread_external=missing(journal.unread.places, joined(settled.ended, settled.underway)),
        unread_derived=missing(journal.unread_derived.places, joined(settled.ended_derived, settled.underway_derived)),
        intents=len(handed.messages),
        again=_again(journal, handed, lines),
        **_given_back(config, journal, sends["ended"], untold),
        **sends,
        **counts,
    )
    return _cut(found) if any(extent.starts.values()) else found


def _cut(found: Census) -> Census:
    """The topics do not go back to the beginning any more, logs and counts do: some lines then compare nothing."""
    kept = {"kept": found.arrived}
    return replace(found, emitted=kept, pulled=kept, intents=found.messages)


def _again(journal: Journaled, handed: Handed, lines: Lines) -> dict[str, int]:
    known = journal.derived.count - len(journal.facts)
    return {"records": known, "intents": handed.again, "rows": sum(lines.again.values())}


def _extent(config: Config, name: str) -> Extent:
    return Extent(Topic(config.kafka, config.topics, name))


def _records(extent: Extent, starts: Offsets = NOWHERE) -> Iterator[Record]:
    """The records of a topic; whoever reads it for work says what is none of ours."""
    for message in extent.read(starts):
        with suppress(NotReadable):
            yield decode(message.value() or b"")


def _rows(config: Config) -> Iterator[Record]:
    """The rows that the table writer has not sealed."""
    cursors, extent = read_manifest(config.folder("tables")).cursors, _extent(config, "rows")
    known = {number: cursors.get(f"rows-{number}") for number in extent.ends}
    return _records(extent, {number: cursor.address for number, cursor in known.items() if cursor})


def _unrelayed(config: Config, name: str, topic: str, kind: Any) -> Iterator[Any]:
    """What stands in the log of a lane or sender and was not surely copied to the topic."""
    for frame in frames_of(LogReader(config.folder(name), relayed(config.folder(name)), {topic})):
        yield from unpack_many(frame.parts[topic].payload, kind)


# --- intents and sends ------------------------------------------------------------------------------------------------


@dataclass
class Handed:
    """The different messages that were handed over; how many `records` the topic has, how many came `again`."""

    messages: set[tuple[str, int]] = field(default_factory=set)
    records: int = 0

    @property
    def again(self) -> int:
        return max(0, self.records - len(self.messages))


def _handed(config: Config) -> Handed:
    handed = Handed()
    for message in _messages(_records(_extent(config, "intents"))):
        handed.records += 1
        handed.messages.add((message.key, message.revision))
    handed.messages |= {(each.key, each.revision) for each in _unrelayed(config, "person", "intents", Message)}
    return handed


def _messages(records: Iterator[Record]) -> Iterator[Message]:
    return (record for record in records if isinstance(record, Message))


def _sends(config: Config, handed: Handed, journaled: set[End]) -> tuple[dict[str, Any], int]:
    """The counts of the sender's side, and how many receipts no sender has handed on yet."""

    def after(place: bytes) -> Iterator[Message]:
        yield from _messages(_records(_extent(config, "intents"), offsets_of(place) if place else NOWHERE))

    if not config.redis:
        unread = sum(1 for _ in after(position(config.folder("sender")) or b""))
        receipts = numbers(config.folder("sender")).get("receipts", 0)
        return {**own_sends(config), "to_take": handed.records, "unread_intents": unread, "receipts": receipts}, 0

    def left(place: bytes) -> Iterator[Message]:
        yield from after(place)
        yield from _unrelayed(config, "person", "intents", Message)

    sends, waiting = shared_sends(config, left, journaled)
    return {**sends, "to_take": len(handed.messages)}, len(waiting)


def _given_back(config: Config, journal: Journaled, ended: int, untold: int) -> dict[str, Any]:
    """How many records each process has emitted for the journal, and how many of them are there."""
    emitted = {name: numbers(config.folder(name)).get(topic, 0) for name, topic in LOGS.items()}
    pulled = {name: emitted[name] - _waiting(config, name, topic, journal) for name, topic in LOGS.items()}
    if config.redis:
        emitted["sender"], pulled["sender"] = ended, ended - untold
    if not any(position(config.folder(lane)) for lane in LANES):  # a job on a cluster counts nothing itself
        told = len(ends_in(journal.facts.values()))
        emitted["person"] = pulled["person"] = len(journal.facts) - told
    return {"emitted": emitted, "pulled": pulled}


def _waiting(config: Config, name: str, topic: str, journal: Journaled) -> int:
    return len({each.id for each in _unrelayed(config, name, topic, Derived)} - journal.facts.keys())
