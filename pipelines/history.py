"""What the journal says became of sends: where a table of sends that was lost is made again from."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pipelines.config import Config
from schemas.codec import unpack_many
from schemas.failures import Refused
from schemas.records import Block, Derived, Receipt
from transforms.logic.returns import derived_of
from transforms.stores.log import LogReader

DERIVED = "derived"
_FEW = 1000
_LOOK = 0.005


def receipts_of(config: Config) -> Iterator[Receipt]:
    """All receipts in the journal up to its end as it is now, and those that wait for the door."""
    for block in _blocks(config):
        yield from _receipts(block)
    yield from _waiting(config)


def _blocks(config: Config) -> Iterator[Block]:
    from pipelines.brokers import source_of

    reader = source_of(config, "sender", end=True).open(None)
    try:
        while not reader.done():
            pull = reader.poll(_FEW)
            if pull is None:
                time.sleep(_LOOK)
            else:
                yield from pull.items
    finally:
        reader.close()


def _receipts(block: Block) -> Iterator[Receipt]:
    for sequence, entry in enumerate(block.entries, block.first):
        if entry.kind != DERIVED:
            continue
        try:
            fact = derived_of(entry, block, sequence)[0].fact
        except Refused:
            continue
        if isinstance(fact, Receipt):
            yield fact


def _waiting(config: Config) -> Iterator[Receipt]:
    reader = LogReader(config.folder("sender"), 0, {"receipts"})
    try:
        while frames := reader.read():
            for frame in frames:
                facts = (each.fact for each in unpack_many(frame.parts["receipts"].payload, Derived))
                yield from (fact for fact in facts if isinstance(fact, Receipt))
    finally:
        reader.close()
