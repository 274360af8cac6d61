"""Claims in the shared table of sends: decided on rows as they were read, made if those are still what they were."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from msgspec.structs import replace

from schemas.codec import pack, unpack
from schemas.records import Message
from transforms.logic.delivery import Send, claim, receipt, stop

OPEN = ""
"""The state that the scripts know of a send that has not ended."""

_OWNER = 16


class Claims:
    """Claims of one batch, each decided on the rows as they were read and as the claims before it leave them."""

    def __init__(self, epoch: int, known: Container[str], rows: dict[str, bytes], lives: dict[str, bytes]) -> None:
        self._epoch, self._known, self._rows, self._lives = epoch, known, rows, lives
        self.opened: dict[str, Send] = {}
        self.keys: list[str] = []
        self.args: list[Any] = []
        self.repeated: list[str] = []

    def add(self, message: Message, now: int) -> None:
        """Decide about one message."""
        row, life = self._rows[message.key], life_of(message)
        old, holder = send_of(row), self._lives.get(life, b"")
        if old is not None and not old.terminal and owner_of(row) == self._epoch and message.key not in self._known:
            if message.key in self.opened:
                self.repeated.append(message.key)
            self.opened[message.key] = old  # claimed before, by a call whose answer was lost
            return
        claimed = claim(old, message, now)
        if claimed is None or (old is None and holder == message.key.encode()):
            self.repeated.append(message.key)
        else:
            self._open(message, replace(claimed, epoch=self._epoch), now)

    def _open(self, message: Message, claimed: Send, now: int) -> None:
        key, life = message.key, life_of(message)
        holder = self._lives.get(life, b"")
        ended = stop(claimed, "DUPLICATE", now) if holder else None
        new = row_of(ended or claimed, f"{self._epoch:016x}")
        told = receipt(key, message.tenant, ended, message.channel) if ended else None
        state = ended.state if ended else OPEN
        self.keys.append(key)
        self.args += [key, self._rows[key], new, life, holder, state]
        self.args += [told.id if told else "", pack(told) if told else b""]
        self._rows[key] = new
        if ended is None:
            self.opened[key] = claimed
            if life:
                self._lives[life] = key.encode()


def row_of(send: Send, owner: str) -> bytes:
    """The row of a send that belongs to the lease `owner`."""
    return owner.encode() + pack(send)


def send_of(row: bytes | None) -> Send | None:
    """The send in a row, None where there is no row."""
    return unpack(row[_OWNER:], Send) if row else None


def owner_of(row: bytes) -> int:
    """The epoch of the lease that a row belongs to."""
    return int(row[:_OWNER], 16)


def life_of(message: Message) -> str:
    """What a once-for-life message claims; empty for any other."""
    return f"{message.tenant}/{message.life}" if message.life else ""
