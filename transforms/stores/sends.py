"""The sender's table: one row a send key, once-for-life claims, receipts, all committed together in one frame.

send/KEY      its `Send`; kept a week after its end
life/CLAIM    the key that holds a once-for-life claim
slot/N        the key of an open send: what a restart must take up again
counts        how many intents came and what became of them
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Protocol

from msgspec.structs import replace

from schemas.codec import pack, pack_many, unpack
from schemas.records import DAY, Derived, Message, Record
from transforms.logic.delivery import Send, claim, receipt, stop
from transforms.stores.transaction import Change

KEEP = 7 * DAY
HELD_MESSAGES = 20_000


class Counts(Record, frozen=True):
    """Since the data folder began: intents = taken + repeated; taken = sent + refused + in_doubt + open.

    `high` is one more than the highest slot ever used.
    """

    epoch: int = 0
    high: int = 0
    taken: int = 0
    repeated: int = 0
    sent: int = 0
    refused: int = 0
    in_doubt: int = 0

    @property
    def open(self) -> int:
        return self.taken - self.sent - self.refused - self.in_doubt


COUNTS_ROW = b"counts"


class Rows(Protocol):
    """What the table needs of a row store."""

    @property
    def position(self) -> bytes | None: ...

    @property
    def stamp(self) -> int: ...

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]: ...

    def due(self, upto: int) -> list[tuple[int, bytes]]: ...

    def commit(self, change: Change) -> None: ...


class Sends:
    """Changes are staged, seen by this process at once, and durable after `commit`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._staged: dict[bytes, bytes | None] = {}
        self._wakes: list[tuple[int, bytes]] = []
        self._receipts: list[Derived] = []
        self._held: dict[str, Send] = {}
        found = rows.get_many([COUNTS_ROW])[0]
        self.counts = unpack(found, Counts) if found else Counts()
        self.position = rows.position or b""
        self._free = self._unused()
        self._left = True

    @property
    def dirty(self) -> bool:
        """Whether something is staged."""
        return bool(self._staged)

    def get(self, key: str) -> Send | None:
        """The newest state of a send."""
        held = self._held.get(key)
        if held is not None:
            return held
        found = self._get(_row(key))
        return unpack(found, Send) if found else None

    def admit(self, messages: Iterable[Message], now: int) -> list[tuple[str, Send]]:
        """Claim the keys of new intents; the sends that are now open. Taken keys and lives change nothing."""
        return [opened for message in messages if (opened := self._admit(message, now)) is not None]

    def put(self, key: str, send: Send) -> None:
        """Stage the new state of an open send that stays open."""
        self._write(key, send)

    def end(self, key: str, message: Message, ended: Send) -> None:
        """Stage a send's end: its receipt, and its life claim given back if it surely never left."""
        self._write(key, ended)
        self._wakes.append((ended.at + KEEP, _row(key)))
        self._receipts.append(receipt(key, message.tenant, ended, message.channel))
        self._set_slot(ended.slot, None)
        self._free.append(ended.slot)
        if message.life and ended.untried and self._get(_life(message)) == key.encode():
            self._staged[_life(message)] = None
        self._count(ended.state)

    def orphans(self) -> list[tuple[str, Send]]:
        """At first everything that an earlier start left open, in order of its slot; from then on nothing."""
        if not self._left:
            return []
        self._left = False
        keys = self._rows.get_many([_slot(number) for number in range(self.counts.high)])
        names = [key.decode() for key in keys if key]
        found = ((name, self.get(name)) for name in names)
        return [(name, send) for name, send in found if send is not None and not send.terminal]

    def mark(self, name: bytes, value: bytes | None) -> None:
        """Stage a row of the sender's own (which sinks are off)."""
        self._staged[b"mark/" + name] = value

    def marked(self, name: bytes) -> bytes | None:
        """A row that `mark` wrote."""
        return self._get(b"mark/" + name)

    def take_epoch(self, epoch: int) -> None:
        """Stage the lease under which everything from now on is written."""
        self._set_counts(epoch=epoch)

    def commit(self, now: int, position: bytes) -> None:
        """Make all that is staged durable, with the place in the intents log. An OSError leaves it staged."""
        stamp = max(now, self._rows.stamp)
        self._forget(stamp)
        parts = {"receipts": (pack_many(self._receipts), len(self._receipts))} if self._receipts else {}
        self._rows.commit(Change(stamp=stamp, position=position, rows=self._staged, wakes=self._wakes, parts=parts))
        self.position = position
        self._staged, self._wakes, self._receipts = {}, [], []

    def _admit(self, message: Message, now: int) -> tuple[str, Send] | None:
        old = self.get(message.key)
        claimed = claim(old, message, now)
        holder = self._get(_life(message)) if message.life else None
        if claimed is None or (old is None and holder == message.key.encode()):
            self._count("repeated")
            return None
        self._count("taken")
        claimed = replace(claimed, slot=self._free.pop() if self._free else self._grow(), epoch=self.counts.epoch)
        if holder is not None:
            self.end(message.key, message, stop(claimed, "DUPLICATE", now))
            return None
        if message.life:
            self._staged[_life(message)] = message.key.encode()
        self._set_slot(claimed.slot, message.key)
        self._write(message.key, claimed)
        return message.key, claimed

    def _write(self, key: str, send: Send) -> None:
        self._staged[_row(key)] = pack(send)
        if not send.terminal and (key in self._held or len(self._held) < HELD_MESSAGES):
            self._held[key] = send
        else:
            self._held.pop(key, None)

    def _get(self, row: bytes) -> bytes | None:
        return self._staged[row] if row in self._staged else self._rows.get_many([row])[0]

    def _set_slot(self, number: int, key: str | None) -> None:
        self._staged[_slot(number)] = key.encode() if key else None

    def _grow(self) -> int:
        self._set_counts(high=self.counts.high + 1)
        return self.counts.high - 1

    def _unused(self) -> list[int]:
        keys = self._rows.get_many([_slot(number) for number in range(self.counts.high)])
        return [number for number, key in zip(count(), keys, strict=False) if key is None]

    def _count(self, name: str) -> None:
        """One more `taken` or `repeated`, or one more that ended in a state (the names are those of the states)."""
        self._set_counts(**{name: getattr(self.counts, name) + 1})

    def _set_counts(self, **changed: int) -> None:
        self.counts = replace(self.counts, **changed)
        self._staged[COUNTS_ROW] = pack(self.counts)

    def _forget(self, now: int) -> None:
        """Delete sends that ended a week ago; a wake of a key that was claimed again since then is stale."""
        for _, row in self._rows.due(now):
            found = self._get(row)
            send = unpack(found, Send) if found else None
            if send is not None and send.terminal and send.at + KEEP <= now:
                self._staged[row] = None


def _row(key: str) -> bytes:
    return b"send/" + key.encode()


def _slot(number: int) -> bytes:
    return b"slot/" + number.to_bytes(4)


def _life(message: Message) -> bytes:
    return f"life/{message.tenant}/{message.life}".encode()
