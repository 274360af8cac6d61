"""A small keyed stage, a source and helpers for tests and benchmarks of the engine. DoFns must live in a module."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from apache_beam import DoFn

from schemas.keys import derived_id
from schemas.records import SECOND, Block, Custom, Entry, Event, EventRow, Failure, Ids
from transforms.batches import Events, Pull
from transforms.logic.shard import CONFLICT, NEW, Outputs, Shard

START = 1_790_000_000 * SECOND
_TALLY = struct.Struct(">qq")  # count, when it wakes
_PLACE = struct.Struct(">QQQQ")
_ROW = struct.Struct(">q400x")


def entry(person: str, what: str = "click") -> Entry:
    return Entry("track", "shop", "server", "test", 0, f"{person} {what}".encode())


def block(time: int, first: int, *entries: Entry, partition: int = 0) -> Block:
    return Block(START + time, partition, first, list(entries))


@dataclass(frozen=True)
class Listed:
    """A source that ends: the given blocks, `at_once` blocks a pull at most, then time up to `end`."""

    blocks: tuple[Block, ...]
    end: int = 0
    at_once: int = 1_000_000

    def open(self, position: bytes | None) -> ListedReader:
        return ListedReader(self, int.from_bytes(position or b""))


class ListedReader:
    def __init__(self, source: Listed, place: int) -> None:
        self._source, self._place = source, place

    def poll(self, limit: int) -> Pull | None:
        blocks, taken = self._source.blocks, list[Block]()
        while self._place < len(blocks) and limit > 0 and len(taken) < self._source.at_once:
            taken.append(blocks[self._place])
            limit -= len(blocks[self._place].entries)
            self._place += 1
        return Pull(taken) if taken else None

    def position(self) -> bytes:
        return self._place.to_bytes(8)

    def watermark(self) -> int:
        blocks = self._source.blocks
        if self._place == len(blocks):
            return max(START + self._source.end, blocks[-1].received_at if blocks else START)
        return blocks[self._place - 1].received_at if self._place else START

    def done(self) -> bool:
        return self._place == len(self._source.blocks)

    def close(self) -> None:
        pass


class Read(DoFn):
    """Bodies `person what` to events."""

    def process(self, pull: Pull) -> Iterator[Events]:
        yield Events([_event(block, index, each) for block in pull.items for index, each in enumerate(block.entries)])


def _event(block: Block, index: int, entry: Entry) -> Event:
    person, what = entry.body.decode().split(" ", 1)
    time, sequence = block.received_at, block.first + index
    name = f"{block.partition}-{sequence}"
    return Event(
        name,
        entry.tenant,
        entry.trust,
        entry.source,
        time,
        time,
        block.partition,
        sequence,
        Ids(customer=person),
        Custom(what),
    )


class Tally:
    """Counts what each person does; a person who was still for `idle` microseconds is told as `still`.

    Words of a person: `fail` cannot be taken, `once` is counted once a week, `again` after a wake wakes at once,
    `poisoned wake` makes the person's next wake fail.
    """

    name = "tally"

    def __init__(self, idle: int = 10 * SECOND) -> None:
        self._idle = idle

    def key(self, item: Event) -> bytes:
        return item.ids.customer.encode()

    def run(self, shard: Shard, items: Sequence[Event]) -> Outputs:
        outputs = Outputs()
        for item in items:
            self._take(shard, item, outputs)
        return outputs

    def _take(self, shard: Shard, item: Event, outputs: Outputs) -> None:
        key, what = self.key(item), item.fact.name
        row = shard.get_many([key])[0]
        count, wake = _TALLY.unpack(row) if row else (0, 0)
        if row and 0 < wake < item.received_at:  # its own wake comes first
            outputs.rows.append(told(key, wake, count, "still"))
            outputs.events.append(stillness(key, wake))
        number = int.from_bytes(key.ljust(8, b"\0")[:8])
        verdict = shard.first_seen([number], [len(what)], item.received_at)[0] if what.startswith("once") else NEW
        if verdict == NEW:
            count += 1
        wake = item.received_at + self._idle
        shard.put_many({key: _TALLY.pack(count, -wake if what == "poisoned wake" else wake)})
        shard.wake_many([(wake, key)])
        if what == "fail":
            raise ValueError("cannot take this")
        reason = {NEW: "", CONFLICT: "conflict"}.get(verdict, "repeated")
        outputs.rows.append(told(key, item.received_at, count, what, reason))
        outputs.events.append(item)

    def wake(self, shard: Shard, upto: int) -> Outputs:
        outputs = Outputs()
        for time, key in shard.due(upto):
            row = shard.get_many([key])[0]
            assert row is not None
            count, wake = _TALLY.unpack(row)
            if wake == -time:
                raise ValueError("cannot ring this")
            if wake == time:
                outputs.rows.append(told(key, time, count, "still"))
                outputs.events.append(stillness(key, time))
                shard.put_many({key: _TALLY.pack(count, 1 << 60)})
        return outputs

    def refuse(self, item: Event, error: Exception) -> Outputs:
        name = derived_id("failure", self.name, item.sequence)
        place = item.received_at, item.partition, item.sequence
        return Outputs(failures=[Failure(name, "shop", self.name, "refused", str(error), item.raw, *place)])


class Chain:
    """Chains all events of people with one initial: its row depends on the exact order of everything.

    An event that comes after a later one is told as `disordered`.
    """

    name = "chain"

    def key(self, item: Event) -> bytes:
        return item.ids.customer[:1].encode()

    def run(self, shard: Shard, items: Sequence[Event]) -> Outputs:
        outputs = Outputs()
        for item in items:
            key = self.key(item)
            before = shard.get_many([key])[0] or bytes(32)
            last, link = before[:32], derived_id(before, item.id, *item.order).encode()
            order = _PLACE.pack(*item.order)
            shard.put_many({key: max(order, last) + link})
            outputs.rows.append(told(key, item.received_at, 0, link.decode(), "disordered" if order < last else ""))
        return outputs

    def wake(self, shard: Shard, upto: int) -> Outputs:
        return Outputs()

    def refuse(self, item: Event, error: Exception) -> Outputs:
        raise error


def stillness(key: bytes, time: int) -> Event:
    """An event that follows from a wake; at the same time it comes after all records."""
    name = derived_id("still", key, time)
    place = 1 << 20, int.from_bytes(key[:7])
    return Event(name, "shop", "own", "tally", time, time, *place, Ids(customer=key.decode()), Custom("still"))


def told(key: bytes, time: int, count: int, what: str, reason: str = "") -> EventRow:
    """A line that says what became of a person at a time."""
    name = derived_id("told", key, time, what)
    return EventRow(name, "shop", what, time, time, 0, count, 0, False, "", "", key.decode(), "applied", reason)


class Pass(DoFn):
    """Hands its batch on."""

    def process(self, batch: Events) -> Iterator[Events]:
        yield batch


class Nothing:
    """A keyed stage that keeps nothing."""

    name = "nothing"

    def key(self, item: Event) -> bytes:
        return item.ids.customer.encode()

    def run(self, shard: Shard, items: Sequence[Event]) -> Outputs:
        return Outputs(events=list(items))

    def wake(self, shard: Shard, upto: int) -> Outputs:
        return Outputs()

    def refuse(self, item: Event, error: Exception) -> Outputs:
        return Outputs()


class Count(Nothing):
    """Counts events in a row of 400 bytes a person, with a wake for each tenth."""

    name = "count"

    def run(self, shard: Shard, items: Sequence[Event]) -> Outputs:
        people = [item.ids.customer.encode() for item in items]
        keys = list(dict.fromkeys(people))
        counts = {key: _ROW.unpack(row)[0] if row else 0 for key, row in zip(keys, shard.get_many(keys), strict=True)}
        for person in people:
            counts[person] += 1
        shard.put_many({key: _ROW.pack(count) for key, count in counts.items()})
        now = items[-1].received_at
        shard.wake_many([(now + 30 * SECOND, key) for key, count in counts.items() if count % 10 == 0])
        return Outputs(events=list(items))

    def wake(self, shard: Shard, upto: int) -> Outputs:
        due = shard.due(upto)
        shard.get_many([key for _, key in due])
        return Outputs()
