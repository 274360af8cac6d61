"""Who may not be written to: the door writes it before it says 200, the sender reads it before every attempt.

One row an address (`schemas.keys.address_of`) in the store at `D/door`. The store's position is the journal's address
behind the last frame applied, so that a door that starts applies the rest before it serves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from schemas.codec import pack, unpack
from schemas.records import Message
from transforms.logic.suppress import ANY, Change, Refusals, blocked, fold
from transforms.stores import faults
from transforms.stores.follower import Follower
from transforms.stores.rows import RowStore
from transforms.stores.transaction import Change as Commit

GRAPH = "suppression-1"
POINTS = ("door.after_suppression",)


class Suppressions:
    """The door's side; one writer.

    A commit that fails with OSError changes nothing on disk; what it was about is owed and goes first next time.
    """

    def __init__(self, folder: Path, *, sync: bool = True) -> None:
        self._store = RowStore(folder, graph=GRAPH, sync=sync)
        self._owed: list[Change] = []

    @property
    def address(self) -> int:
        """The journal's address up to which everything is applied."""
        return int.from_bytes(self._store.position or b"", "big")

    @property
    def owes(self) -> bool:
        """Whether a commit failed and is still to be done."""
        return bool(self._owed)

    @property
    def whole(self) -> bool:
        """Whether nothing was lost since the store was opened: always so on a disk."""
        return True

    def complete(self) -> None:
        """Say that the journal is applied to its end: here the sender sees each commit anyway."""

    def apply(self, changes: Iterable[Change], address: int, stamp: int) -> None:
        """Make changes durable and visible, and with them that the journal is applied up to `address`."""
        self._owed += changes
        rows = self._rows(self._owed)
        self._store.commit(Commit(max(stamp, self._store.stamp), address.to_bytes(8, "big"), rows))
        self._owed = []
        faults.here("door.after_suppression")

    def close(self) -> None:
        self._store.close()

    def _rows(self, changes: Sequence[Change]) -> dict[bytes, bytes | None]:
        addresses = list(dict.fromkeys(change.address for change in changes))
        found = zip(addresses, self._store.get_many(addresses), strict=True)
        refusals = {address: _unpack(row) for address, row in found}
        for change in changes:
            refusals[change.address] = fold(refusals[change.address], change)
        return {address: pack(each) for address, each in refusals.items()}


class SuppressionView:
    """The sender's side: sees every commit that was finished before the question."""

    def __init__(self, folder: Path) -> None:
        self._store = Follower(folder)

    def blocks(self, tenant: str, keys: Sequence[bytes], klass: str, category: str, channel: str = ANY) -> bool:  # noqa: ARG002
        """Whether a message of `tenant` to the person with these addresses may not go now.

        The tenant is part of each address. Without `channel`, a refusal of any channel counts.
        """
        self._store.refresh()
        return blocked((_unpack(self._store.get(key)) for key in keys), klass, category, channel)

    def refuse(self, messages: Sequence[Message]) -> list[bool]:
        """Which of these messages may not go now."""
        self._store.refresh()
        return [
            blocked(
                (_unpack(self._store.get(key)) for key in each.suppression), each.klass, each.category, each.channel
            )
            for each in messages
        ]

    def close(self) -> None:
        self._store.close()


def _unpack(row: bytes | None) -> Refusals:
    return Refusals() if row is None else unpack(row, Refusals)
