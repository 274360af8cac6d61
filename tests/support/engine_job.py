"""A job of two keyed stages behind each other, and random people for it; every test of the engine's loop runs it."""

from __future__ import annotations

import errno
import random
from collections.abc import Iterator

from apache_beam import DoFn, ParDo, Pipeline
from apache_beam.pvalue import PCollection
from engine_stages import Chain, Read, Tally, block, entry

from schemas.records import SECOND, Block
from transforms.batches import Events, Pull
from transforms.hand_over import HandOver
from transforms.shards import Keyed, State, behind
from transforms.sources.firehose import Firehose
from transforms.sources.source import Source
from transforms.stores.transaction import Store


class Spoilt(DoFn):
    """A DoFn without a wall: some bodies break it."""

    def process(self, pull: Pull) -> Iterator[Pull]:
        for each in pull.items:
            for said in each.entries:
                if said.body.endswith(b"poison"):
                    raise ValueError("no stage can take this")
                if said.body.endswith(b"broken machine"):
                    raise OSError(errno.EIO, "no such luck")
                if said.body.endswith(b"small machine"):
                    raise MemoryError("no such luck")
        yield pull


def wire(pipeline: Pipeline, source: Source, shards: int = 3, state: State = "rows") -> None:
    """Two keyed stages behind each other; the second one depends on the exact order."""
    pulls = pipeline | "read" >> Firehose(source) | "spoil" >> ParDo(Spoilt()).with_output_types(Pull)
    events: PCollection = pulls | "events" >> ParDo(Read()).with_output_types(Events)
    tallied = events | "tally" >> Keyed(Tally, Events, shards, state)
    chained = tallied.events | "chain" >> Keyed(Chain, Events, shards, behind(state, 1))
    for name, rows in (("tallied", tallied.rows), ("chained", chained.rows), ("refused", tallied.failures)):
        rows | f"hand over what is {name}" >> HandOver("rows")


def crowd(seed: int, records: int = 300) -> tuple[Block, ...]:
    """Random people who come, are still, come again, repeat themselves and cannot be taken."""
    chance = random.Random(seed)
    words = ["click"] * 8 + ["fail", "once x", "once yy"]
    blocks, first, time = list[Block](), 0, 0
    while first < records:
        time += chance.choice([1, 400, SECOND // 3, 4 * SECOND])
        said = [
            entry(chance.choice("abcdefgh") + chance.choice("xyz"), chance.choice(words))
            for _ in range(chance.randrange(6))
        ]
        if said:
            blocks.append(block(time, first, *said))
            first += len(said)
    return tuple(blocks)


def rows_of(store: Store) -> dict[bytes, bytes]:
    """The people's rows, without the engine's own."""
    return {key: row for key, row in store.items() if key.startswith((b"tally/", b"chain/")) and b"timers" not in key}
