"""Pub/Sub as a firehose: pulls in the background, acknowledges what a checkpoint holds, renews leases until then.

Everything about Pub/Sub is at least once and in no order; what follows from that is in decision 13. A lease belongs to
the process that took it, so a position names leases of this process; to any other it says only how far time had come.
"""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from weakref import WeakValueDictionary

from apache_beam import PTransform
from apache_beam.metrics import Metrics

from schemas.records import SECOND, Block
from transforms.batches import Pull
from transforms.sources.dataflow import FromPubSub
from transforms.sources.frontier import Frontier
from transforms.sources.keeper import Keeper, book_of
from transforms.sources.leases import Leases
from transforms.sources.parcels import blocks_of
from transforms.sources.puller import Puller

_FORM = 1
_PLACE = struct.Struct(">B16sQq")  # form, whose leases, how many were handed out, the watermark
_readers: WeakValueDictionary[bytes, PubSubReader] = WeakValueDictionary()
_late = Metrics.counter("pubsub", "late_to_log")


def _now() -> int:
    """The wall clock in microseconds, to be compared with the server's publish times; records never see it."""
    return time.time_ns() // 1_000


@dataclass(frozen=True, slots=True)
class PubSubSource:
    """A subscription as a firehose: each message is a micro-batch of entries (`parcels`).

    `streams` readers share it. A message is on time if it comes at most `lateness` seconds after its contemporaries.
    `lease` is how soon (seconds, 1 to 600) a lost process's messages go to another one. `hold` is how many seconds a
    message waits for its checkpoint before the server may hand it out again: longer than a checkpoint takes. `ahead`
    and `out` limit how many messages of a reader wait to be handed out, and for a checkpoint.
    """

    project: str
    subscription: str
    streams: int = 1
    lateness: float = 5.0
    lease: int = 10
    hold: float = 600.0
    ahead: int = 2_000
    out: int = 100_000
    stream: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.lease <= 600:
            raise ValueError(f"lease: expected 1 to 600 seconds, as Pub/Sub does, got {self.lease}")
        if not 1 <= self.streams <= 64:
            raise ValueError(f"streams: expected 1 to 64, got {self.streams}")

    @property
    def path(self) -> str:
        return f"projects/{self.project}/subscriptions/{self.subscription}"

    def open(self, position: bytes | None) -> PubSubReader:
        """A reader; whatever `position` does not hold comes again. Raises Lost without credentials, ValueError for a
        position of another version.
        """
        return PubSubReader(self, position)

    def parts(self) -> Sequence[PubSubSource]:
        return [replace(self, streams=1, stream=number) for number in range(self.streams)]

    def acknowledge(self, position: bytes) -> None:
        """Tell the server, if the leases are of this process. If not, it hands the messages out again."""
        book, number, _ = _unpacked(position)
        if (leases := book_of(book)) is not None:
            leases.settle(number)

    def read_by(self, runner: str) -> PTransform | None:
        """Dataflow pulls and acknowledges by itself, and knows better than a worker how far time has come."""
        return FromPubSub(self.path) if runner == "DataflowRunner" else None


class PubSubReader:
    """Reads one stream of a subscription; see `source.Reader`. `late_to_log` counts records that came too late.

    Such a record is received just behind the watermark, so that no decision is made in a past that is over.
    """

    def __init__(self, source: PubSubSource, position: bytes | None, clock: Callable[[], int] = _now) -> None:
        watermark = _resumed(position) if position else 0
        lateness, lease = int(source.lateness * SECOND), source.lease * SECOND
        self._book, self._number = secrets.token_bytes(16), 0
        self._leases = Leases(int(source.hold * SECOND))
        self._puller = Puller(source.path, self._leases, Frontier(watermark, lateness, lateness + lease), clock)
        self._keeper = Keeper(self._leases, source.path, source.lease, clock)
        self.late_to_log = 0
        _readers[self._book] = self
        self._puller.start(source.ahead, source.out, self._keeper.close)
        self._keeper.start(self._book, self._puller.heard, self._puller.refused)

    def poll(self, limit: int) -> Pull | None:
        """Whole messages of about `limit` records, oldest first. Raises Lost once the subscription cannot be read."""
        watermark = self._puller.watermark()
        blocks: list[Block] = []
        taken: list[str] = []
        while limit > 0 and (found := self._puller.take()) is not None:
            lease, parcel = found
            opened = list(blocks_of(parcel, watermark + 1))
            count = sum(len(block.entries) for block in opened)
            if parcel.published <= watermark:
                self._count_late(count)
            blocks += opened
            taken.append(lease)
            limit -= count
        if not taken:
            self._puller.check()
        self._number = self._leases.hand_out(taken)
        return Pull(blocks) if blocks else None

    def position(self) -> bytes:
        return _PLACE.pack(_FORM, self._book, self._number, self._puller.watermark())

    def watermark(self) -> int:
        return self._puller.watermark()

    def done(self) -> bool:
        return False

    def close(self) -> None:
        """Stop pulling. What was handed out stays ours until it is settled or its time is over."""
        self._puller.close()

    def forget(self) -> None:
        """Another reader goes on at a position of this one. Should it be polled all the same, it reads on."""
        self._puller.forget()

    def _count_late(self, count: int) -> None:
        self.late_to_log += count
        _late.inc(count)


def _resumed(position: bytes) -> int:
    """The watermark of a position. What its reader took beyond it, in this process, is to come again soon."""
    book, number, watermark = _unpacked(position)
    if (reader := _readers.get(book)) is not None:
        reader.forget()
    if (leases := book_of(book)) is not None:
        leases.give_back_after(number)
    return watermark


def _unpacked(position: bytes) -> tuple[bytes, int, int]:
    """Whose leases, how many were handed out, the watermark. Raises ValueError for a position of another version."""
    if position[:1] != bytes((_FORM,)) or len(position) != _PLACE.size:
        raise ValueError(f"expected a Pub/Sub position of form {_FORM}, got {position.hex()}; migrate first")
    _, book, number, watermark = _PLACE.unpack(position)
    return book, number, watermark
