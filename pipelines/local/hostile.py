"""A hostile scheduler for tests: everything that a cluster may do to the job, done on purpose and from a seed.

It cuts bundles anywhere, brings the records of four partitions in skewed order, delivers sub-batches of keyed steps in
any order within that skew, and throws attempts away after their output has left. What it does it counts exactly.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from random import Random
from typing import Any
from zlib import crc32

import msgspec

from pipelines.local.beam_internals import WindowedValue, element
from pipelines.local.steps import Groups
from schemas.records import SECOND, Block, Entry, Order
from transforms.batches import Batch, Pull
from transforms.sources.source import Reader, Source

SKEW = SECOND // 2 - 1
"""Disorder that the source and each keyed step may add; together they stay below a second."""

_ORDER = attrgetter("order")


def by_body(entry: Entry) -> bytes:
    """Places entries by their bytes: any record may overtake any other."""
    return entry.body


def everybody(item: Any) -> Hashable:  # noqa: ARG001 (one for all)
    """Counts disorder among all records of a key."""
    return None


@dataclass
class Hostile:
    """A `Schedule` that does its worst.

    `discard` is the chance that an attempt is thrown away. `left` holds by topic what such attempts had handed over,
    `disordered` counts by step the records that came after a later one of the same `who`.
    """

    seed: int
    discard: float = 0.1
    skew: int = SKEW
    who: Callable[[Any], Hashable] = everybody
    left: dict[str, list[Any]] = field(default_factory=dict)
    disordered: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._chance = Random(self.seed)
        self._last: dict[Hashable, Order] = {}
        self._forget()

    def arrange(self, step: str, groups: Groups, behind: bool) -> Iterable[WindowedValue]:  # noqa: ARG002 (all alike)
        keys = list(groups)
        self._chance.shuffle(keys)
        return [value for key in keys for value in self._scattered(step, groups[key])]

    def discards(self, topics: Mapping[str, list[Any]]) -> bool:
        thrown = self._chance.random() < self.discard
        if thrown:
            for topic, records in topics.items():
                self.left.setdefault(topic, []).extend(records)
        else:
            self._last.update(self._fresh)
            self.disordered.update(self._counted)
        self._forget()
        return thrown

    def ghosts(self, topic: str, kept: Iterable[Any]) -> list[Any]:
        """What left with an attempt that was thrown away, and is not among what was kept in the end."""
        survivors = set(map(repr, kept))
        return [record for record in self.left.get(topic, []) if repr(record) not in survivors]

    def _scattered(self, step: str, values: list[WindowedValue]) -> Iterator[WindowedValue]:
        """Sub-batches in any order, as long as nothing is overtaken by something later than the skew."""
        if not isinstance(values[0].value[1], Batch):
            yield from values
            return
        windows: dict[int, list[WindowedValue]] = {}
        for value in values:
            for window, part in self._parts(value):
                windows.setdefault(window, []).append(part)
        for _, parts in sorted(windows.items()):
            self._chance.shuffle(parts)
            for part in parts:
                self._count(step, part.value[1].items)
                yield part

    def _parts(self, value: WindowedValue) -> Iterator[tuple[int, WindowedValue]]:
        """A batch cut by windows of time as long as the skew."""
        key, batch = value.value
        windows: dict[int, list[Any]] = {}
        for item in sorted(batch.items, key=_ORDER):
            windows.setdefault(item.order[0] // self.skew, []).append(item)
        for window, items in windows.items():
            yield window, element((key, type(batch)(items)), value.timestamp_micros)

    def _count(self, step: str, items: Iterable[Any]) -> None:
        for item in items:
            place = step, self.who(item)
            last = self._fresh.get(place) or self._last.get(place)
            if last is not None and item.order < last:
                self._counted[step] += 1
            else:
                self._fresh[place] = item.order

    def _forget(self) -> None:
        self._fresh: dict[Hashable, Order] = {}
        self._counted: Counter[str] = Counter()


@dataclass(frozen=True)
class Skewed:
    """A source as `partitions` partitions would bring it, one pull never telling how the next is cut.

    Records of one partition (chosen by `place`) keep their order; a partition is at most `skew` ahead of the slowest.
    Numbers stay those of the one log, so that results can be compared.
    """

    source: Source
    seed: int
    place: Callable[[Entry], bytes] = by_body
    partitions: int = 4
    skew: int = SKEW

    def open(self, position: bytes | None) -> SkewedReader:
        return SkewedReader(self, position)


class SkewedReader:
    """Takes single records from the heads of the partitions' queues; see `firehose.Reader`."""

    LONGEST = 64
    AHEAD = 256

    def __init__(self, skewed: Skewed, position: bytes | None) -> None:
        base, taken = msgspec.msgpack.decode(position, type=_Position) if position else (None, [])
        self._skewed, self._base = skewed, base
        self._taken = taken or [0] * skewed.partitions
        self._reader: Reader = skewed.source.open(base)
        self._queues: list[deque[Block]] = [deque() for _ in range(skewed.partitions)]
        self._chance = Random(f"{skewed.seed} {position!r}")
        self._skip = list(self._taken)

    def poll(self, limit: int) -> Pull | None:
        self._fill()
        blocks = list[Block]()
        while len(blocks) < min(limit, self._chance.randrange(1, self.LONGEST)) and (block := self._take()) is not None:
            blocks.append(block)
        return Pull(blocks) if blocks else None

    def position(self) -> bytes:
        if not any(self._queues):
            self._base, self._taken = self._reader.position(), [0] * len(self._taken)
        return msgspec.msgpack.encode((self._base, self._taken))

    def watermark(self) -> int:
        heads = [queue[0].received_at for queue in self._queues if queue]
        return min(heads) - 1 if heads else self._reader.watermark()

    def done(self) -> bool:
        return not any(self._queues) and self._reader.done()

    def close(self) -> None:
        self._reader.close()

    def _fill(self) -> None:
        """Read on until every partition could be asked, so that no queue is empty only because we did not look."""
        while sum(map(len, self._queues)) < self.AHEAD and (pull := self._reader.poll(self.AHEAD)) is not None:
            for block in pull.items:
                for index, entry in enumerate(block.entries):
                    self._put(Block(block.received_at, block.partition, block.first + index, [entry]))

    def _put(self, block: Block) -> None:
        number = crc32(self._skewed.place(block.entries[0])) % len(self._queues)
        if self._skip[number]:
            self._skip[number] -= 1
        else:
            self._queues[number].append(block)

    def _take(self) -> Block | None:
        heads = [(queue[0].received_at, number) for number, queue in enumerate(self._queues) if queue]
        if not heads:
            return None
        slowest = min(heads)[0]
        number = self._chance.choice([number for time, number in heads if time <= slowest + self._skewed.skew])
        self._taken[number] += 1
        return self._queues[number].popleft()


_Position = tuple[bytes | None, list[int]]
