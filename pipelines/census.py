"""Counting one installation: every count is taken where it arises, so that `check` can compare what is independent.

Only reads, also while everything runs. With Kafka the counts are those of `census_topics`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipelines.config import Config
from pipelines.pull import LOGS
from pipelines.settled import Lines, Settled, frames_of
from schemas.codec import unpack, unpack_many
from schemas.records import Entry, Message
from transforms.logic.ledger import Census
from transforms.stores.follower import Follower
from transforms.stores.frames import LONGEST_HEAD, Part, read_segment_head
from transforms.stores.journal import DERIVED, RECORDS, Lane, last_counts
from transforms.stores.log import LogReader
from transforms.stores.parquet import read_manifest
from transforms.stores.segments import segment_file, segment_starts
from transforms.stores.sends import COUNTS_ROW, Counts
from transforms.stores.state import POSITION

MENTION = "mention"
LANES = ("person", "listen")
TRIES = 5


def census(config: Config) -> Census:
    """All counts of a data folder as it stands now; counted again where files were merged away in that moment."""
    for _ in range(TRIES - 1):
        with suppress(FileNotFoundError):
            return _census(config)
    return _census(config)


def _census(config: Config) -> Census:
    if config.kafka:
        from pipelines.census_topics import topics_census

        return topics_census(config)
    door = last_counts(config.folder("journal"))
    ends = {name: numbers(config.folder(name)) for name in LOGS}
    intents = ends["person"].get("intents", 0)
    settled = Settled(Lines(config))
    return Census(
        external=door.external,
        derived=door.derived,
        arrived=door.derived,
        pulled={name: cursor[1] for name, cursor in door.cursors.items() if name in LOGS},
        emitted={name: ends[name].get(topic, 0) for name, topic in LOGS.items()},
        intents=intents,
        to_take=intents,
        **_unread(config),
        **_sends(config),
        **_rows(config),
        **settled.counts(),
        **_returned(config, ends["sender"], settled),
    )


def numbers(folder: Path) -> dict[str, int]:
    """How many records each topic of a log has had since it began."""
    starts = segment_starts(folder)
    if not starts:
        return {}
    with segment_file(folder, starts[-1]).open("rb") as file:
        head = read_segment_head(file.read(LONGEST_HEAD))
    found = dict(head.numbers) if head else {}
    for frame in frames_of(LogReader(folder, starts[-1])):
        found.update((topic, part.first + part.count) for topic, part in frame.parts.items())
    return found


def position(folder: Path) -> bytes | None:
    """The source position of a store's last commit."""
    for start in reversed(segment_starts(folder)):
        found = [frame.parts[POSITION].payload for frame in frames_of(LogReader(folder, start, {POSITION}))]
        if found:
            return found[-1]
    return None


def sender_counts(folder: Path) -> Counts:
    """What the sender counted."""
    store = Follower(folder)
    store.refresh()
    found = store.get(COUNTS_ROW)
    store.close()
    return unpack(found, Counts) if found else Counts()


def _unread(config: Config) -> dict[str, Any]:
    """Journal records that the lane which settles them has not read yet."""
    external = derived = 0
    for lane in LANES:
        for entry in _entries_after(config, _place(config.folder(lane))):
            if (entry.kind == MENTION) == (lane == "listen"):
                derived += entry.kind == DERIVED
                external += entry.kind != DERIVED
    return {"unread_external": external, "unread_derived": derived}


def _place(lane: Path) -> int:
    reader = Lane(lane)
    try:
        return reader.address()
    finally:
        reader.close()


def _entries_after(config: Config, address: int) -> Iterator[Entry]:
    for frame in frames_of(LogReader(config.folder("journal"), address, {RECORDS})):
        yield from unpack_many(frame.parts[RECORDS].payload, Entry)


def _sends(config: Config) -> dict[str, Any]:
    """What the sender did: in its own table, or in the one that it may share."""
    if config.redis:
        from pipelines.census_sends import ends_in, shared_sends
        from pipelines.history import receipts_of

        return shared_sends(config, lambda place: _messages(config, place), ends_in(receipts_of(config)))[0]
    unread = intents_after(config, position(config.folder("sender")) or b"")
    return {
        **own_sends(config),
        "unread_intents": sum(part.count for part in unread),
        "receipts": numbers(config.folder("sender")).get("receipts", 0),
    }


def own_sends(config: Config) -> dict[str, int]:
    """What a sender that is alone counted in its table."""
    sender = sender_counts(config.folder("sender"))
    return {
        "taken": sender.taken,
        "repeated_intents": sender.repeated,
        "ended": sender.sent + sender.refused + sender.in_doubt,
        "open": sender.open,
    }


def intents_after(config: Config, place: bytes) -> Iterator[Part]:
    """What the person lane has handed over behind a place of the sender's."""
    reader = LogReader(config.folder("person"), int.from_bytes(place), {"intents"})
    return (frame.parts["intents"] for frame in frames_of(reader))


def _returned(config: Config, sender: dict[str, int], settled: Settled) -> dict[str, Any]:
    """Receipts as a sender that is alone numbers them, and as the tables hold them."""
    return {} if config.redis else {"told": sender.get("receipts", 0), "returned": settled.returned()}


def _rows(config: Config) -> dict[str, Any]:
    """Rows as the logs number them, and as the manifest counts them."""
    manifest = read_manifest(config.folder("tables"))
    written = sum(numbers(config.folder(name)).get("rows", 0) for name in LOGS)
    return {
        "written": written,
        "sealed": sum(file.rows for files in manifest.tables.values() for file in files),
        "waiting": written - sum(cursor.number for cursor in manifest.cursors.values()),
    }


def _messages(config: Config, place: bytes) -> Iterator[Message]:
    for part in intents_after(config, place):
        yield from unpack_many(part.payload, Message)
