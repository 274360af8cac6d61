"""The rows of one shard during one batch: read once, decoded when needed, written once at the end."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from schemas.codec import pack, unpack
from schemas.records import CutsPublished, Event
from schemas.workspace import Cuts, Tenant
from transforms.logic.moment import CutsBook, Place
from transforms.logic.profile import Alias, Person, pack_row, unpack_row
from transforms.logic.shard import Shard

_VERSIONS = 16


class Published(Struct, frozen=True, array_like=True, gc=False):
    """Cut points and the place in the journal from which they hold."""

    since: Place
    version: str
    recency: tuple[int, int, int, int]
    frequency: tuple[int, int, int, int]
    monetary: tuple[int, int, int, int]


class History(Struct, frozen=True, array_like=True):
    """The tenant's row in a shard: cut points as published, oldest first."""

    published: tuple[Published, ...] = ()


class People:
    """Rows by address. What was changed must be `put`; nothing reaches the shard before `keep`."""

    def __init__(self, shard: Shard, addresses: Sequence[bytes]) -> None:
        unique = list(dict.fromkeys(addresses))
        self._shard = shard
        self._packed = dict(zip(unique, shard.get_many(unique), strict=True))
        self._rows: dict[bytes, Person | Alias | None] = {}
        self._changed: dict[bytes, Person | Alias] = {}
        self._tenants: dict[bytes, History] = {}
        self._published: dict[bytes, bytes | None] = {}
        self._books: dict[bytes, CutsBook] = {}

    def get(self, address: bytes) -> Person | Alias | None:
        """What lives at an address of the batch."""
        rows = self._rows
        if address in rows:
            return rows[address]
        packed = self._packed[address]
        row = rows[address] = None if packed is None else unpack_row(packed)
        return row

    def put(self, address: bytes, row: Person | Alias) -> None:
        """What lives there from now on."""
        self._rows[address] = self._changed[address] = row

    def rearm(self, person: Person, address: bytes, time: int) -> None:
        """Note which wake the shard holds for a person, 0 for none."""
        person.armed = time
        self.put(address, person)

    def keep(self) -> None:
        """Write what changed, and arm the wakes that are earlier than any armed before."""
        wakes = []
        rows: dict[bytes, bytes | None] = self._published
        for address, row in self._changed.items():
            if type(row) is Person:
                due = row.due
                if due and not 0 < row.armed <= due:
                    row.armed = due
                    wakes.append((due, address))
            rows[address] = pack_row(row)
        if rows:
            self._shard.put_many(rows)
        if wakes:
            self._shard.wake_many(wakes)

    # --- the tenant's row ---------------------------------------------------------------------------------------------

    def cuts(self, tenant: Tenant) -> CutsBook:
        """The cut points published so far, after those of the policy."""
        key = _key(tenant)
        if key not in self._books:
            entries = [((0, 0, 0), tenant.policy.cuts)]
            for each in self._history(key).published:
                entries.append((each.since, Cuts(each.version, each.recency, each.frequency, each.monetary)))
            self._books[key] = CutsBook(entries)
        return self._books[key]

    def publish(self, tenant: Tenant, event: Event) -> None:
        """Add cut points; the same version again changes nothing."""
        fact, key = event.fact, _key(tenant)
        assert isinstance(fact, CutsPublished)
        known = self._history(key).published
        if any(each.version == fact.version for each in known):
            return
        new = Published(
            (event.received_at, event.partition, event.sequence),
            fact.version,
            fact.recency,
            fact.frequency,
            fact.monetary,
        )
        history = self._tenants[key] = History((*known, new)[-_VERSIONS:])
        self._published[key] = pack(history)
        self._books.pop(key, None)

    def _history(self, key: bytes) -> History:
        if key not in self._tenants:
            packed = self._shard.get_many([key])[0]
            self._tenants[key] = History() if packed is None else unpack(packed, History)
        return self._tenants[key]


def _key(tenant: Tenant) -> bytes:
    return b"tenant/" + tenant.name.encode()
