"""Group commit: everything that waits goes into one frame of the journal, and only then is anybody told yes.

While a frame is on its way to the disk, the next one fills. A quick disk is waited for on the spot, which costs less
than changing threads twice; a slow one on a thread, so that requests can still be read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import MappingProxyType

from msgspec.structs import replace

from pipelines.callers import Caller
from schemas.records import Entry
from transforms.logic.intake import Piece
from transforms.logic.suppress import Change, Heard, may_tell
from transforms.stores.journal import Cursor, Draft

TICK = 0.1
"""Real seconds after which an idle journal is told that time passes."""

_QUICK = 0.002

Telling = Callable[[Piece, Entry, int], Heard]
"""What a piece and its entry (with its index) say about who may be written to."""

NOWHERE: Mapping[str, Cursor] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Room:
    """How much may wait for the disk before callers are asked to come again."""

    records: int = 50_000
    size: int = 64 << 20  # bytes


@dataclass(slots=True, eq=False)
class Group:
    """What is committed together; `stored` holds once it is, `done` as soon as that is decided."""

    draft: Draft = field(default_factory=Draft)
    size: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)
    stored: bool = False

    async def durable(self) -> bool:
        """Wait for the commit; False if the disk refused it."""
        await self.done.wait()
        return self.stored


@dataclass(frozen=True, slots=True)
class Taken:
    """What a caller sent, in its group. `unheard`: the indices of what may be opt-outs and was not applied."""

    group: Group
    unheard: tuple[int, ...] = ()

    async def durable(self) -> bool:
        """Wait for the commit; False if the disk refused it."""
        return await self.group.durable()


class Committer:
    """Gathers entries into groups and gives each to `write`, one after the other.

    `records` and `size` (bytes) are what waits now; `error` is the last commit's, None if it succeeded.
    """

    def __init__(self, write: Callable[[Draft], None], telling: Telling, room: Room) -> None:
        self._write, self._telling, self._room = write, telling, room
        self.records = self.size = 0
        self.error: OSError | None = None
        self._group = Group()
        self._wanted = asyncio.Event()
        self._ending = False
        self._quick = False
        self._thread = ThreadPoolExecutor(1, "commit")

    @property
    def full(self) -> bool:
        """Whether callers have to wait. Nobody else ever does: what was pulled is always taken."""
        return self.records > self._room.records or self.size > self._room.size

    def take(self, caller: Caller, pieces: list[Piece], cursors: Mapping[str, Cursor] = NOWHERE) -> Taken:
        """Add what a caller sent to the next frame."""
        tenant, trust, source = caller.tenant, caller.trust, caller.source
        entries = [Entry(piece.kind, tenant, trust, source, piece.sent_at, piece.body) for piece in pieces]
        heard = [(at, self._telling(piece, entries[at], at)) for at, piece in enumerate(pieces) if may_tell(piece)]
        group = self.join(entries, [change for _, each in heard for change in each.changes], cursors)
        return Taken(group, tuple([at for at, each in heard if each.unheard]))

    def join(self, entries: list[Entry], changes: Iterable[Change], cursors: Mapping[str, Cursor]) -> Group:
        """Add entries to the next frame. The `sequence` of a change is the index of its entry in `entries`."""
        group, draft = self._group, self._group.draft
        first = len(draft.entries)
        draft.entries += entries
        draft.changes += [replace(change, sequence=first + change.sequence) for change in changes]
        draft.cursors.update(cursors)
        size = sum([len(entry.body) for entry in entries])
        group.size += size
        self.size += size
        self.records += len(entries)
        self._wanted.set()
        return group

    async def run(self) -> None:
        """Commit whatever comes until `end` is called and nothing waits; ticks when nothing comes."""
        ticking = asyncio.create_task(self._tick())
        try:
            while not (self._ending and not self._group.draft.entries):
                await self._wanted.wait()
                self._wanted.clear()
                await self._commit()
        finally:
            ticking.cancel()

    def end(self) -> None:
        """Let `run` finish after what waits now."""
        self._ending = True
        self._wanted.set()

    def close(self) -> None:
        self._thread.shutdown()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._wanted.set()

    async def _commit(self) -> None:
        group, self._group = self._group, Group()
        try:
            await self._to_disk(group.draft)
            group.stored, self.error = True, None
        except OSError as error:
            self.error = error
        finally:
            self.records -= len(group.draft.entries)
            self.size -= group.size
            group.done.set()

    async def _to_disk(self, draft: Draft) -> None:
        began = time.perf_counter()
        if self._quick:
            self._write(draft)
        else:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._write, draft)
        self._quick = time.perf_counter() - began < _QUICK
