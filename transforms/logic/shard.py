"""What a keyed stage sees of its state, and what it gives back. Engines bring the state, logic brings the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from msgspec import Struct

from schemas.records import Derived, Event, Failure, Known, Mention, Message, Row

NEW, REPEATED, CONFLICT = 0, 1, 2
"""Verdicts of `Shard.first_seen`."""


class Shard(Protocol):
    """State of one virtual shard inside one stage: rows of bytes, wakes, and a memory of what was seen.

    Nothing is kept if the call that used the shard fails.
    """

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The newest bytes of each row, None where there is none."""

    def put_many(self, rows: Mapping[bytes, bytes | None]) -> None:
        """Replace rows whole; None deletes."""

    def wake_many(self, wakes: Iterable[tuple[int, bytes]]) -> None:
        """Arm a wake (due time, row key). Stale ones may ring: the row's own wake time decides."""

    def due(self, upto: int) -> list[tuple[int, bytes]]:
        """Take the armed wakes with a due time at or below `upto`, in order of (time, key)."""

    def first_seen(self, ids: Sequence[int], bodies: Sequence[int], now: int) -> list[int]:
        """For each 64-bit id with its 16-bit body mark, in order: NEW, REPEATED or CONFLICT (other body).

        Remembers new ones for seven days of journal time after `now` (microseconds).
        """


class Outputs(Struct):
    """What a stage hands over for one batch: the next stage's records and what leaves."""

    events: list[Event] = []
    known: list[Known] = []
    mentions: list[Mention] = []
    intents: list[Message] = []
    feedback: list[Derived] = []
    rows: list[Row] = []
    failures: list[Failure] = []


Item = TypeVar("Item", contravariant=True)


class Stage(Protocol[Item]):
    """The rules of one keyed stage. `run` takes a batch in the order of its records; `wake` rings wakes up to a time.

    A wake rings only while its row exists.
    """

    name: str

    def key(self, item: Item) -> bytes:
        """What places an item on a shard."""

    def run(self, shard: Shard, items: Sequence[Item]) -> Outputs:
        """Apply a batch; the wakes of a record's own person that are due before it ring first."""

    def wake(self, shard: Shard, upto: int) -> Outputs:
        """Ring everything due at or before `upto`."""

    def refuse(self, item: Item, error: Exception) -> Outputs:
        """What to record for an item that `run` could not take: one failure, with its bytes."""
