"""The figures that people look at, folded from the rows and receipts of a running installation.

Folding is pure: the same records in any order give the same figures, whatever the pieces they come in. `Tail` is the
part that reads the logs.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pipelines.config import Config
from schemas.codec import unpack_many
from schemas.records import (
    MINUTE,
    Classification,
    Decision,
    Derived,
    EventRow,
    Failure,
    MentionRow,
    Message,
    Receipt,
    Record,
    Row,
    SegmentChange,
)
from transforms.stores.log import LogReader

AT_ONCE = 30 * MINUTE
"""A message decided so soon (journal time) after its cause answers the cause; otherwise it answers a wake."""

KEPT = 2_000


@dataclass(slots=True)
class Figures:
    """Everything counted since the beginning of the logs that are still there. Times are microseconds."""

    events: int = 0
    mentions: int = 0
    derived: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    filtered: Counter[str] = field(default_factory=Counter)
    people: set[str] = field(default_factory=set)
    decided: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Message] = field(default_factory=dict)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    feelings: dict[str, Counter[str]] = field(default_factory=dict)
    segments: Counter[str] = field(default_factory=Counter)
    latencies: deque[int] = field(default_factory=lambda: deque(maxlen=KEPT))
    last: int = 0
    causes: dict[str, tuple[str, int]] = field(default_factory=dict)
    early: dict[str, int | None] = field(default_factory=dict)

    @property
    def external(self) -> int:
        """Records that came from outside and have their final disposition."""
        return self.events + self.mentions

    @property
    def waiting(self) -> int:
        """Messages decided whose outcome is not known yet."""
        return len(self.causes)

    def latency(self, share: float) -> int | None:
        """The quantile of journal time from the cause (or the wake) to the sink's accept, None before the first."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None

    def take(self, records: Iterable[Row | Derived]) -> None:
        """Count records, each exactly once."""
        for record in records:
            _TAKE.get(type(record), _ignore)(self, record)

    # --- one kind each ------------------------------------------------------------------------------------------------

    def _event(self, row: EventRow) -> None:
        if row.disposition == "forwarded":
            return
        self.derived += row.derived
        self.events += not row.derived
        self.last = max(self.last, row.received_at)
        if row.person:
            self.people.add(row.person)
        if row.disposition == "filtered":
            self.filtered[row.reason] += 1

    def _mention(self, row: MentionRow) -> None:
        self.mentions += 1
        self.last = max(self.last, row.received_at)
        if row.disposition == "filtered":
            self.filtered[row.reason] += 1

    def _failure(self, row: Failure) -> None:
        self.failures[row.reason] += 1

    def _classification(self, row: Classification) -> None:
        self.feelings.setdefault(row.brand, Counter())[row.sentiment] += 1

    def _decision(self, row: Decision) -> None:
        if row.final and row.reason != "SENT":
            self.refused[row.campaign, row.reason] += 1

    def _segment(self, row: SegmentChange) -> None:
        self.segments[row.new] += 1

    def _message(self, row: Message) -> None:
        self.decided[row.campaign] += 1
        newest = self.examples.get(row.campaign)
        if newest is None or (row.decided_at, row.key) > (newest.decided_at, newest.key):
            self.examples[row.campaign] = row
        at_once = row.decided_at - row.caused_at <= AT_ONCE
        self.causes[row.key] = row.campaign, (row.caused_at if at_once else row.decided_at)
        if row.key in self.early:
            self._ended(row.key, self.early.pop(row.key))

    def _derived(self, record: Derived) -> None:
        fact = record.fact
        if isinstance(fact, Receipt):
            self.states[fact.state] += 1
            self._ended(fact.key, fact.at if fact.state == "sent" else None)

    def _ended(self, key: str, at: int | None) -> None:
        """Sent at a time, or not at all. A receipt may be read before its message: they stand in two logs."""
        if key not in self.causes:
            self.early[key] = at
            return
        campaign, began = self.causes.pop(key)
        if at is not None:
            self.sent[campaign] += 1
            self.latencies.append(at - began)


def _ignore(_: Figures, __: Any) -> None:
    """A record that no figure needs."""


_TAKE: dict[type[Record], Any] = {
    EventRow: Figures._event,
    MentionRow: Figures._mention,
    Failure: Figures._failure,
    Classification: Figures._classification,
    Decision: Figures._decision,
    SegmentChange: Figures._segment,
    Message: Figures._message,
    Derived: Figures._derived,
}


class Tail:
    """Follows the logs of a data folder, from their beginning; each may appear later."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._readers: dict[str, LogReader] = {}

    def read(self, limit: int = 256) -> list[Any]:
        """What has come since the last call: rows of both lanes and the sender's outcomes."""
        found: list[Any] = []
        for name, topic, kind in (("person", "rows", Row), ("listen", "rows", Row), ("sender", "receipts", Derived)):
            reader = self._reader(name, topic)
            for frame in reader.read(limit) if reader else ():
                found += unpack_many(frame.parts[topic].payload, kind)
        return found

    def _reader(self, name: str, topic: str) -> LogReader | None:
        folder = self._config.folder(name)
        if name not in self._readers and (folder / "head").exists():
            self._readers[name] = LogReader(folder, 0, {topic})
        return self._readers.get(name)

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()


def statuses(folder: Path) -> dict[str, dict[str, Any]]:
    """What each process says about itself, by its name; nothing for a file that is being written."""
    found = {}
    for file in sorted(folder.glob("*.json")):
        try:
            found[file.stem] = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
        except (OSError, msgspec.MsgspecError):
            continue
    return found
