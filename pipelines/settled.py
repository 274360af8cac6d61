"""What the analysts' tables say became of each record and candidate: the far end of both ledgers.

Lines that the table writer has not sealed yet are read from where it gets them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import Config
from pipelines.places import Places, distinct, joined, missing, places_of, repeated, since
from schemas.codec import unpack_many
from schemas.records import Record, Row
from schemas.tables import SCHEMAS, table_of, to_arrow
from transforms.logic.delivery import TERMINAL
from transforms.stores.frames import Frame
from transforms.stores.log import LogReader
from transforms.stores.parquet import read_manifest, read_rows


class Lines:
    """All lines of all tables: those in files, and those that still wait.

    With `once` a line that is there several times is one line: a topic may bring it more than once. Each table's first
    column must then be the line's name. `again` counts by table what was left out.
    """

    def __init__(self, config: Config, waiting: Iterable[Record] | None = None) -> None:
        self._folder = config.folder("tables")
        self._once = waiting is not None
        self._waiting: dict[str, list[Record]] = {}
        self.again: dict[str, int] = {}
        for row in _waiting(config) if waiting is None else waiting:
            self._waiting.setdefault(table_of(row), []).append(row)

    def of(self, table: str, *columns: str) -> pa.Table:
        """Some columns of a table."""
        sealed = read_rows(self._folder, table, columns)
        waiting = self._waiting.get(table, [])
        fresh = to_arrow(table, waiting) if waiting else SCHEMAS[table].empty_table()
        found = pa.concat_tables([sealed, fresh.select(columns)])
        if not self._once:
            return found
        alone = found.group_by(list(columns)).aggregate([])
        self.again[table] = found.num_rows - alone.num_rows
        return alone


def _waiting(config: Config) -> Iterator[Record]:
    manifest = read_manifest(config.folder("tables"))
    for name in ("person", "listen", "sender"):
        cursor = manifest.cursors.get(name)
        reader = LogReader(config.folder(name), cursor.address if cursor else 0, {"rows"})
        for frame in frames_of(reader):
            yield from unpack_many(frame.parts["rows"].payload, Row)


class Settled:
    """Which records have which end, from the tables alone; `starts` is what the journal still goes back to."""

    def __init__(self, lines: Lines, starts: dict[int, int] | None = None) -> None:
        events = lines.of("events", "id", "partition", "sequence", "derived", "disposition", "reason")
        mentions = lines.of("mentions", "id", "partition", "sequence", "disposition", "reason")
        failures = lines.of("failures", "id", "partition", "sequence")
        interim, derived = pc.equal(events["disposition"], "forwarded"), events["derived"]
        final, outside = pc.invert(interim), pc.invert(derived)

        def places(rows: pa.Table) -> Places:
            return since(places_of(rows), starts or {})

        self._lines = lines
        failed = (rows.filter(pc.equal(rows["disposition"], "failed")) for rows in (events, mentions))
        self._failed = joined(*map(places, failed))
        self._failures = places(failures)
        self.ended = joined(places(events.filter(pc.and_(final, outside))), places(mentions))
        self.underway = places(events.filter(pc.and_(interim, outside)))
        self._derived = events.filter(pc.and_(final, derived))
        self.ended_derived = places(self._derived)
        self.underway_derived = places(events.filter(pc.and_(interim, derived)))

    def counts(self) -> dict[str, Any]:
        """The ledger's counts that come from the tables."""
        disposition = self._derived["disposition"]
        return {
            "settled": distinct(self.ended),
            "doubled": repeated(self.ended),
            "underway": missing(self.underway, self.ended),
            "applied": _count(disposition, "applied"),
            "repeated": _count(disposition, "filtered"),
            "refused_derived": _count(disposition, "failed"),
            "doubled_derived": repeated(self.ended_derived),
            "underway_derived": missing(self.underway_derived, self.ended_derived),
            "failed": (failed := distinct(self._failed)),
            "explained": failed - missing(self._failed, self._failures),
            **self._decided(),
        }

    def returned(self) -> int:
        """How many different receipts of senders the tables hold."""
        return len(pc.unique(self._receipts()["id"]))

    def _receipts(self) -> pa.Table:
        receipts = self._lines.of("receipts", "id", "state", "matched")
        return receipts.filter(pc.is_in(receipts["state"], pa.array(sorted(TERMINAL))))

    def _decided(self) -> dict[str, int]:
        decisions = self._lines.of("decisions", "id", "final", "reason", "key")
        messages = self._lines.of("messages", "key", "revision")
        decided = decisions.filter(decisions["final"])
        ours = self._receipts()
        return {
            "candidates": decided.num_rows,
            "doubled_candidates": decided.num_rows - len(pc.unique(decided["id"])),
            "decided_to_send": _count(decided["reason"], "SENT"),
            "messages": messages.num_rows,
            "unlike": len(_keys(decided.filter(pc.equal(decided["reason"], "SENT"))) ^ _keys(messages)),
            "ghosts": _count(ours["matched"], False),
        }


def _keys(rows: pa.Table) -> set[str]:
    return set(pc.unique(rows["key"]).to_pylist())


def _count(column: pa.ChunkedArray, value: str | bool) -> int:
    return int(pc.sum(pc.equal(column, value)).as_py() or 0)


def frames_of(reader: LogReader) -> Iterator[Frame]:
    """What is left to read, and then the reader is closed."""
    try:
        while frames := reader.read():
            yield from frames
    finally:
        reader.close()
