"""Each record once: a record that comes again within seven days is dropped, and one that only claims to be is refused.

The same id with the same content is a repeat; with other content it is a conflict, and the first one stands. An SDK
stamps `sentAt` anew at every attempt; where it does, what a record means is compared instead of its bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from itertools import groupby
from struct import unpack
from typing import Any
from zlib import crc32

import msgspec

from schemas.failures import CONFLICT, DUPLICATE, STEP_FAILED
from schemas.records import DAY, Event, Mention
from transforms.logic import classify, lines
from transforms.logic.refusals import failure
from transforms.logic.shard import NEW, REPEATED, Outputs, Shard

STAGE = "repeats"
FAILED, FILTERED = "failed", "filtered"

_SENT_AT = b'"sentAt"'
"""Looked for from the end, which CPython does in half the time where it is not found."""

_CLOCKS = (b'"sent_at"', b'"stm"', b"stm=")
"""What PostHog and Snowplow stamp anew at every attempt."""

_pack = msgspec.msgpack.Encoder().encode
Item = Event | Mention


class Repeats:
    """The stage of both lanes: new events and mentions pass on, the others leave a line."""

    name = STAGE

    def key(self, item: Item) -> bytes:
        """Tenant and id; a forward is known by the name of its journey, for it keeps the id of its event."""
        route = item.route if isinstance(item, Event) else None
        return f"{item.tenant}\x1f{item.id if route is None else route.mark}".encode()

    def run(self, shard: Shard, items: Sequence[Item]) -> Outputs:
        """Remember new ones. Items of different days are asked about day by day, as the memory is kept."""
        out = Outputs()
        if items and items[0].received_at // DAY == items[-1].received_at // DAY:
            self._judge(shard, items, out)
            return out
        for _, day in groupby(items, key=lambda item: item.received_at // DAY):
            self._judge(shard, list(day), out)
        return out

    def wake(self, shard: Shard, upto: int) -> Outputs:  # noqa: ARG002 (a stage without wakes)
        """Nothing rings here."""
        return Outputs()

    def refuse(self, item: Item, error: Exception) -> Outputs:
        """One failure and its line."""
        out = Outputs()
        _fail(out, item, STEP_FAILED, type(error).__name__)
        return out

    def _judge(self, shard: Shard, items: Sequence[Item], out: Outputs) -> None:
        verdicts = shard.first_seen(self._numbers(items), [mark(item) for item in items], items[0].received_at)
        taken: list[Any] = out.events if isinstance(items[0], Event) else out.mentions
        for item, verdict in zip(items, verdicts, strict=True):
            if verdict == NEW:
                taken.append(item)
            elif verdict == REPEATED:
                _line(out, item, FILTERED, DUPLICATE)
            else:
                _fail(out, item, CONFLICT, "the same id came before with another body")

    def _numbers(self, items: Sequence[Item]) -> Sequence[int]:
        """The 64-bit ids, all read from their hashes at once."""
        key = self.key
        hashes = [blake2b(key(item), digest_size=8).digest() for item in items]
        return unpack(f">{len(hashes)}Q", b"".join(hashes))


def mark(item: Item) -> int:
    """16 bits of what a record says."""
    raw = item.raw
    if raw and raw.rfind(_SENT_AT) < 0 and not any(clock in raw for clock in _CLOCKS):
        return crc32(raw) & 0xFFFF
    if isinstance(item, Mention):
        return crc32(_pack((item.network, item.author, item.text, item.url))) & 0xFFFF
    return crc32(_pack((item.ids, item.fact, item.consents, item.traits))) & 0xFFFF


def _fail(out: Outputs, item: Item, reason: str, detail: str) -> None:
    out.failures.append(failure(STAGE, item, reason, detail))
    _line(out, item, FAILED, reason)


def _line(out: Outputs, item: Item, disposition: str, reason: str) -> None:
    if isinstance(item, Event):
        out.rows.append(lines.event_row(item, "", disposition, reason))
    else:
        out.rows.append(classify.line(item, disposition, reason))
