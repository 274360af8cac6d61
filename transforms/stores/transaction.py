"""What one bundle does to a store: seen at once by itself, by others only after its commit.

A store (rows on disk or in memory) answers for what is committed and takes a whole `Work`; everything between
lives here, so both stores behave alike.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from schemas.codec import pack_many
from schemas.records import DAY
from transforms.logic.shard import CONFLICT, NEW, REPEATED

Wake = tuple[int, bytes]
NEVER = 1 << 62
"""Later than any wake."""
LONG_AGO = -NEVER
MEMORY = 7 * DAY
"""How long a seen id is remembered at least; it is forgotten with its whole day."""


class Change(Struct, frozen=True):
    """A commit in one piece, for stores whose owner needs no transaction: rows, wakes and packed topics."""

    stamp: int
    position: bytes
    rows: Mapping[bytes, bytes | None] = {}
    wakes: Sequence[Wake] = ()
    parts: Mapping[str, tuple[bytes, int]] = {}


class Work(Struct):
    """What a transaction gathered.

    `taken` says up to when the wakes of a lane (one shard of one stage) were taken, `armed` holds new ones as heaps.
    `seen` holds new ids with their body marks, by stage and day. `topics` are records, `parts` are packed already.
    """

    rows: dict[bytes, bytes | None] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    armed: dict[str, list[Wake]] = field(default_factory=dict)
    seen: dict[tuple[str, int], dict[int, int]] = field(default_factory=dict)
    topics: dict[str, list[Any]] = field(default_factory=dict)
    parts: dict[str, tuple[bytes, int]] = field(default_factory=dict)

    def packed(self) -> dict[str, tuple[bytes, int]]:
        """Payload and count of every topic."""
        return self.parts | {topic: (pack_many(records), len(records)) for topic, records in self.topics.items()}


class Store(ABC):
    """One writer's rows, wakes and memory of what was seen. Either `begin` a transaction or `commit` a Change.

    `position` is the source position of the last commit (None before the first), `stamp` its time.
    """

    position: bytes | None = None
    stamp: int = 0
    _loose: Transaction | None = None  # holds what `due` and `first_seen` took until the next `commit`

    @abstractmethod
    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The committed bytes of each row, None where there is none."""

    @abstractmethod
    def earliest(self, lane: str, after: int) -> int:
        """The first committed due time of a lane later than `after`, NEVER if there is none."""

    @abstractmethod
    def ripe(self, lane: str, after: int, upto: int, fresh: Mapping[bytes, bytes | None]) -> list[Wake]:
        """Committed wakes of a lane with after < due ≤ upto whose row exists in the store or in `fresh`; in any order.

        A wake may come twice.
        """

    @abstractmethod
    def seen(self, stage: str, ids: Sequence[int], since: int) -> list[int | None]:
        """The body mark of each id that is remembered from the day `since` or later, else None."""

    @abstractmethod
    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All committed rows, in any order."""

    @abstractmethod
    def next_wake(self) -> int | None:
        """The earliest committed due time of all lanes."""

    @abstractmethod
    def close(self) -> None:
        """Free what is held; what is not committed is gone."""

    @abstractmethod
    def write(self, work: Work, stamp: int, position: bytes) -> None:
        """Commit as one. OSError changes nothing, in memory or on disk; the same work may be written again."""

    def begin(self) -> Transaction:
        """A transaction over what is committed. One at a time."""
        return Transaction(self)

    def due(self, upto: int) -> list[Wake]:
        """Take armed wakes with a due time at or below `upto`, in order; they are gone with the next `commit`."""
        return self._taking().due(upto)

    def first_seen(self, ids: Sequence[int], bodies: Sequence[int], now: int) -> list[int]:
        """As `Shard.first_seen`; remembered with the next `commit`."""
        return self._taking().first_seen(ids, bodies, now)

    def commit(self, change: Change) -> None:
        """One frame, one sync. OSError changes nothing; the same change may be committed again."""
        before = self._taking().work
        work = Work(dict(change.rows), dict(before.taken), {}, before.seen, {}, dict(change.parts))
        armed = {lane: list(wakes) for lane, wakes in before.armed.items()}
        if change.wakes:
            armed["root"] = sorted({*armed.get("root", ()), *change.wakes})
        work.armed = armed
        self.write(work, change.stamp, change.position)
        self._loose = None

    def _taking(self) -> Transaction:
        if self._loose is None:
            self._loose = self.begin()
        return self._loose


class Transaction:
    """The work of one bundle. It is itself a shard over whole keys; `shard` gives each stage its own part."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._next: dict[str, int] = {}  # first committed wake of a lane that is not taken
        self.work = Work()

    def shard(self, stage: str, shard: int) -> StageShard:
        """The state of one virtual shard inside one stage."""
        return StageShard(self, stage, shard)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The newest bytes of each row, own changes included."""
        rows = self.work.rows
        if not rows:
            return self._store.get_many(keys)
        missing = [key for key in keys if key not in rows]
        if len(missing) == len(keys):
            return self._store.get_many(keys)
        found = iter(self._store.get_many(missing) if missing else ())
        return [rows[key] if key in rows else next(found) for key in keys]

    def put_many(self, rows: Mapping[bytes, bytes | None]) -> None:
        """Replace rows whole; None deletes."""
        self.work.rows.update(rows)

    def wake_many(self, wakes: Iterable[Wake], lane: str = "root") -> None:
        """Arm wakes (due time, row key). One whose row is gone by then does not ring."""
        armed = self.work.armed.setdefault(lane, [])
        for wake in wakes:
            heapq.heappush(armed, wake)

    def due(self, upto: int, lane: str = "root") -> list[Wake]:
        """Take the wakes of a lane up to a time, in order of (time, key); also those armed in this transaction."""
        ripe = self._committed(upto, lane)
        own = self.work.armed.get(lane)
        if own and own[0][0] <= upto:
            ripe += self._armed(upto, own)
        if not ripe:
            return ripe
        rows = self.work.rows
        return sorted({wake for wake in ripe if rows.get(wake[1], b"") is not None})

    def first_seen(self, ids: Sequence[int], bodies: Sequence[int], now: int, stage: str = "") -> list[int]:
        """For each id with its 16-bit body mark: NEW, REPEATED or CONFLICT. Seven days after `now` it may be new."""
        since = (now - MEMORY) // DAY
        own = [seen for (of, day), seen in self.work.seen.items() if of == stage and day >= since]
        fresh: dict[int, int] = {}
        verdicts = []
        for number, body, mark in zip(ids, bodies, self._store.seen(stage, ids, since), strict=True):
            if mark is None:
                mark = next((seen[number] for seen in own if number in seen), None)
            if mark is None:
                mark = fresh.get(number)
            if mark is None:
                fresh[number] = body
                verdicts.append(NEW)
            else:
                verdicts.append(REPEATED if mark == body else CONFLICT)
        if fresh:
            self.work.seen.setdefault((stage, now // DAY), {}).update(fresh)
        return verdicts

    def append(self, topic: str, records: Sequence[Any]) -> None:
        """Hand over records: they appear in the topic with the commit, together with everything else."""
        if records:
            self.work.topics.setdefault(topic, []).extend(records)

    def commit(self, stamp: int, position: bytes) -> None:
        """Make all of it durable as one. OSError changes nothing and the commit may be tried again."""
        self._store.write(self.work, stamp, position)
        self.abort()

    def abort(self) -> None:
        """Forget everything, also which wakes were taken and what was seen."""
        self.work = Work()
        self._next = {}

    def next_wake(self, lane: str = "root") -> int | None:
        """When the next wake of a lane rings, own ones included; None if nothing is armed."""
        own = self.work.armed.get(lane)
        soonest = min(self._first(lane), own[0][0] if own else NEVER)
        return None if soonest == NEVER else soonest

    def _first(self, lane: str) -> int:
        first = self._next.get(lane)
        if first is None:
            first = self._next[lane] = self._store.earliest(lane, LONG_AGO)
        return first

    def _committed(self, upto: int, lane: str) -> list[Wake]:
        if self._first(lane) > upto:
            return []
        ripe = self._store.ripe(lane, self.work.taken.get(lane, LONG_AGO), upto, self.work.rows)
        self.work.taken[lane] = upto
        self._next[lane] = self._store.earliest(lane, upto)
        return ripe

    def _armed(self, upto: int, own: list[Wake]) -> list[Wake]:
        """Take from the own heap what is due and has a row."""
        ripe = []
        while own and own[0][0] <= upto:
            ripe.append(heapq.heappop(own))
        rows = self.get_many([key for _, key in ripe])
        return [wake for wake, row in zip(ripe, rows, strict=True) if row is not None]


class StageShard:
    """A `Shard` inside a transaction: keys are prefixed by the stage, wakes belong to stage and shard."""

    __slots__ = ("_lane", "_prefix", "_stage", "_transaction")

    def __init__(self, transaction: Transaction, stage: str, shard: int) -> None:
        self._transaction, self._stage = transaction, stage
        self._prefix = f"{stage}/".encode()
        self._lane = f"{stage}/{shard}"

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        prefix = self._prefix
        return self._transaction.get_many([prefix + key for key in keys])

    def put_many(self, rows: Mapping[bytes, bytes | None]) -> None:
        prefix = self._prefix
        self._transaction.put_many({prefix + key: row for key, row in rows.items()})

    def wake_many(self, wakes: Iterable[Wake]) -> None:
        prefix = self._prefix
        self._transaction.wake_many([(due, prefix + key) for due, key in wakes], self._lane)

    def due(self, upto: int) -> list[Wake]:
        cut = len(self._prefix)
        return [(due, key[cut:]) for due, key in self._transaction.due(upto, self._lane)]

    def first_seen(self, ids: Sequence[int], bodies: Sequence[int], now: int) -> list[int]:
        return self._transaction.first_seen(ids, bodies, now, self._stage)

    def next_wake(self) -> int | None:
        """When this shard's next wake rings; None if nothing is armed."""
        return self._transaction.next_wake(self._lane)


def checked_topics(names: Collection[str]) -> None:
    """Refuse names that a store keeps for itself."""
    own = [name for name in names if name.startswith(".")]
    if own:
        raise ValueError(f"topics: expected names without a leading dot, got {', '.join(own)}")
