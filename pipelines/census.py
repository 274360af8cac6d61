"""Counting one data folder: every count is taken where it arises, so that `check` can compare what is independent.

Reads files only, also while everything runs. Lines that the table writer has not sealed yet are read from the logs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import Config
from pipelines.pull import LOGS
from schemas.codec import unpack, unpack_many
from schemas.records import Entry, Record, Row
from schemas.tables import SCHEMAS, table_of, to_arrow
from transforms.logic.ledger import Census
from transforms.stores.follower import Follower
from transforms.stores.frames import LONGEST_HEAD, Frame, read_segment_head
from transforms.stores.journal import DERIVED, RECORDS, Lane, last_counts
from transforms.stores.log import LogReader
from transforms.stores.parquet import read_manifest, read_rows
from transforms.stores.segments import segment_file, segment_starts
from transforms.stores.sends import COUNTS_ROW, Counts
from transforms.stores.state import POSITION

MENTION = "mention"
LANES = ("person", "listen")
PARTITION_BITS = 44
TRIES = 5

Places = np.ndarray[Any, np.dtype[np.int64]]


def census(config: Config) -> Census:
    """All counts of a data folder as it stands now; counted again where files were merged away in that moment."""
    for _ in range(TRIES - 1):
        with suppress(FileNotFoundError):
            return _census(config)
    return _census(config)


def _census(config: Config) -> Census:
    door = last_counts(config.folder("journal"))
    ends = {name: numbers(config.folder(name)) for name in LOGS}
    sender = sender_counts(config.folder("sender"))
    return Census(
        external=door.external,
        derived=door.derived,
        pulled={name: cursor[1] for name, cursor in door.cursors.items() if name in LOGS},
        emitted={name: ends[name].get(topic, 0) for name, topic in LOGS.items()},
        intents=ends["person"].get("intents", 0),
        unread_intents=_unread_intents(config),
        receipts=ends["sender"].get("receipts", 0),
        taken=sender.taken,
        repeated_intents=sender.repeated,
        ended=sender.sent + sender.refused + sender.in_doubt,
        open=sender.open,
        **_unread(config),
        **_settled(Lines(config)),
    )


class Lines:
    """All lines of all tables: those in files, and those that still wait in the logs."""

    def __init__(self, config: Config) -> None:
        self._folder = config.folder("tables")
        self._waiting: dict[str, list[Record]] = {}
        manifest = read_manifest(self._folder)
        for name in ("person", "listen", "sender"):
            cursor = manifest.cursors.get(name)
            reader = LogReader(config.folder(name), cursor.address if cursor else 0, {"rows"})
            for frame in _frames(reader):
                for row in unpack_many(frame.parts["rows"].payload, Row):
                    self._waiting.setdefault(table_of(row), []).append(row)

    def of(self, table: str, *columns: str) -> pa.Table:
        """Some columns of a table."""
        sealed = read_rows(self._folder, table, columns)
        waiting = self._waiting.get(table, [])
        fresh = to_arrow(table, waiting) if waiting else SCHEMAS[table].empty_table()
        return pa.concat_tables([sealed, fresh.select(columns)])


def numbers(folder: Path) -> dict[str, int]:
    """How many records each topic of a log has had since it began."""
    starts = segment_starts(folder)
    if not starts:
        return {}
    with segment_file(folder, starts[-1]).open("rb") as file:
        head = read_segment_head(file.read(LONGEST_HEAD))
    found = dict(head.numbers) if head else {}
    for frame in _frames(LogReader(folder, starts[-1])):
        found.update((topic, part.first + part.count) for topic, part in frame.parts.items())
    return found


def position(folder: Path) -> bytes | None:
    """The source position of a store's last commit."""
    for start in reversed(segment_starts(folder)):
        found = [frame.parts[POSITION].payload for frame in _frames(LogReader(folder, start, {POSITION}))]
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


def _unread(config: Config) -> dict[str, int]:
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
    for frame in _frames(LogReader(config.folder("journal"), address, {RECORDS})):
        yield from unpack_many(frame.parts[RECORDS].payload, Entry)


def _unread_intents(config: Config) -> int:
    place = int.from_bytes(position(config.folder("sender")) or b"")
    frames = _frames(LogReader(config.folder("person"), place, {"intents"}))
    return sum(frame.parts["intents"].count for frame in frames)


def _settled(lines: Lines) -> dict[str, int]:
    """How many records have which end, from the tables alone."""
    events = lines.of("events", "partition", "sequence", "derived", "disposition", "reason")
    mentions = _places(lines.of("mentions", "partition", "sequence"))
    interim, derived = pc.equal(events["disposition"], "forwarded"), events["derived"]
    final, outside = pc.invert(interim), pc.invert(derived)
    ended = np.concatenate([_places(events.filter(pc.and_(final, outside))), mentions])
    ended_derived = events.filter(pc.and_(final, derived))
    underway = _places(events.filter(pc.and_(interim, outside)))
    underway_derived = _places(events.filter(pc.and_(interim, derived)))
    decisions = lines.of("decisions", "id", "final", "reason")
    decided = decisions.filter(decisions["final"])
    return {
        "settled": len(np.unique(ended)),
        "doubled": _repeated(ended),
        "underway": len(np.setdiff1d(underway, ended)),
        "applied": _count(ended_derived["disposition"], "applied"),
        "repeated": _count(ended_derived["disposition"], "filtered"),
        "refused_derived": _count(ended_derived["disposition"], "failed"),
        "doubled_derived": _repeated(_places(ended_derived)),
        "underway_derived": len(np.setdiff1d(underway_derived, _places(ended_derived))),
        "candidates": decided.num_rows,
        "doubled_candidates": decided.num_rows - len(pc.unique(decided["id"])),
        "decided_to_send": _count(decided["reason"], "SENT"),
        "messages": lines.of("messages", "key").num_rows,
    }


def _places(rows: pa.Table) -> Places:
    """The place of each record in the journal as one number."""
    partition, sequence = (rows[name].to_numpy().astype(np.int64) for name in ("partition", "sequence"))
    return partition << PARTITION_BITS | sequence


def _repeated(places: Places) -> int:
    """How many records have more than one line."""
    _, counts = np.unique(places, return_counts=True)
    return int((counts > 1).sum())


def _count(column: pa.ChunkedArray, value: str) -> int:
    return int(pc.sum(pc.equal(column, value)).as_py() or 0)


def _frames(reader: LogReader) -> Iterator[Frame]:
    try:
        while frames := reader.read():
            yield from frames
    finally:
        reader.close()
