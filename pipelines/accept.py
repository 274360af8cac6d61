"""The door's desk: everything it does with what came in, whichever way it came. HTTP is in `receive.py`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.appender import open_journal
from pipelines.callers import Caller, Callers, Rates, UnknownKey
from pipelines.clock import open_clock
from pipelines.commit import Committer, Room
from pipelines.config import Config, ConfigError
from pipelines.pull import LOGS, Pull
from pipelines.shared import open_suppressions
from pipelines.workspace import load
from schemas.records import TRUSTED, Block, Entry
from transforms.logic.families import CALLS
from transforms.logic.intake import UNREADABLE, Piece, cut_line
from transforms.logic.suppress import Change, Heard, Scope, handed_back, hear
from transforms.sources.files import Columns, FileReader
from transforms.stores import faults
from transforms.stores.journal import DERIVED, Appender, Cursor, Draft, Lane
from transforms.stores.redis_errors import RedisDown

POINTS = ("door.before_commit", "door.after_commit")
"""Where a crash test may kill the door."""

log = logging.getLogger("rapport.door")
LANES = ("person", "listen")
_LINES = 1000
_FOLLOW, _FULL, _TIDY = 0.1, 1.0, 1.0
_BEHIND = 1 << 20
_TELLING = CALLS | {"receipt", UNREADABLE}


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast a tenant may post (records a second, and at once), and what may wait."""

    rate: float = 50_000.0
    burst: float = 100_000.0
    room: Room = field(default_factory=Room)


@dataclass(frozen=True, slots=True)
class Feed:
    """A file to play through the door. `key` is a write key; by default the first server key of the only tenant."""

    path: Path
    key: str = ""
    columns: Columns | None = None

    @property
    def name(self) -> str:
        """What its cursor is called in the journal."""
        return f"file:{self.path.resolve()}"


class Desk:
    """The journal, the suppressions and the committer of one data folder, opened; `feeds` are files to read.

    Raises LogBusy if another door writes this folder, WorkspaceError, ConfigError.
    """

    def __init__(self, config: Config, limits: Limits, feeds: Iterable[Feed] = ()) -> None:
        self.config = config
        self._workspace = load(config.workspace)
        self.callers = Callers(self._workspace.tenants.values(), Rates(limits.rate, limits.burst))
        self._feeds = [(feed, self._caller(feed)) for feed in feeds]
        self.tenants = frozenset(self._workspace.tenants)
        secret = config.secret()
        self._scopes = {name: Scope(secret, tenant.categories) for name, tenant in self._workspace.tenants.items()}
        self._unheard = 0
        self._tidy_at = 0.0
        self.journal: Appender = open_journal(config, self._retold)
        self._clock = open_clock(config.clock_file, speed=config.speed, resume_at=self.journal.stamp)
        self.suppressions = open_suppressions(config)
        self._catch_up()
        self.committer = Committer(self._write, self._telling, limits.room)
        cursors = self.journal.counts.cursors
        lanes, logs = ((), ()) if config.kafka else (LANES, LOGS)  # there, who gives something back writes it himself
        self._lanes = [Lane(config.folder(name)) for name in lanes]
        self.pulls = [Pull(name, config.folder(name), cursors.get(name, (0, 0))) for name in logs]

    @asynccontextmanager
    async def open(self, *, follow: bool = True) -> AsyncIterator[Callable[[], None]]:
        """Commit, and pull logs and `follow` files, while the context lasts; what waits at its end is committed.

        Gives a function that raises the error of whatever failed in the background.
        """
        committing = asyncio.create_task(self.committer.run())
        others = self._followed() if follow else []
        tasks = [asyncio.create_task(work) for work in others]
        try:
            yield lambda: _raise_failed((committing, *tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.committer.end()
            await committing

    async def play(self) -> None:
        """Take the records of all files to their ends."""
        for feed, caller in self._feeds:
            await self._play(feed, caller)

    async def _play(self, feed: Feed, caller: Caller, *, follow: bool = False) -> None:
        """Take a file's records from where it was left last time to its end, or as it grows."""
        reader = FileReader(feed.path, self.journal.counts.cursors.get(feed.name, (0, 0)), columns=feed.columns)
        try:
            while True:
                pieces = [cut_line(record) for record in reader.read(_LINES, follow=follow)]
                if pieces:
                    await self._take(feed, caller, pieces, reader.cursor)
                elif follow:
                    await asyncio.sleep(_FOLLOW)
                else:
                    return
        finally:
            reader.close()

    async def _take(self, feed: Feed, caller: Caller, pieces: list[Piece], cursor: Cursor) -> None:
        """Take pieces of a file, however long the disk is full. Nobody is there to be told 400: the log is."""
        while not await (taken := self.committer.take(caller, pieces, {feed.name: cursor})).durable():
            await asyncio.sleep(_FULL)
        self._unheard += len(taken.unheard)
        for index in taken.unheard:
            number = cursor[1] - len(pieces) + index + 1
            log.warning("record %d of %s may be an opt-out and was not applied; see failures", number, feed.path.name)

    def _followed(self) -> list[Coroutine[Any, Any, None]]:
        files = [self._play(feed, caller, follow=True) for feed, caller in self._feeds]
        return [*files, *(pull.run(self.committer) for pull in self.pulls)]

    def now(self) -> int:
        """Journal time, in microseconds."""
        return self._clock.now()

    def figures(self) -> dict[str, Any]:
        """How the desk is doing, for people."""
        counts, journal = self.journal.counts, self.journal
        return {
            "records": counts.external,
            "derived": counts.derived,
            "journal_end": journal.end,
            "stamp": journal.stamp,
            "waiting": self.committer.records,
            "unheard": self._unheard,
            "lost": sum(pull.lost for pull in self.pulls),
            "cursors": counts.cursors,
            "error": str(self.committer.error or ""),
        }

    def close(self) -> None:
        """Let another door open the folder."""
        self.committer.close()
        for pull in self.pulls:
            pull.close()
        for lane in self._lanes:
            lane.close()
        self.suppressions.close()
        self.journal.close()

    def _write(self, draft: Draft) -> None:
        """Make a frame durable, and then what it says about suppression."""
        faults.here("door.before_commit")
        told = self.journal.write(draft, self._clock.now())
        if draft.entries:
            faults.here("door.after_commit")
        if told or self.suppressions.owes:
            self.suppressions.apply(told, self.journal.end, self.journal.stamp)
        if time.monotonic() > self._tidy_at:
            self._tidy()

    def _telling(self, piece: Piece, entry: Entry, index: int) -> Heard:
        """What a record says about who may be written to."""
        return hear(piece, entry, Block(self._clock.now(), 0, index, []), self._scopes[entry.tenant])

    def _retold(self, entry: Entry) -> Iterable[Change]:
        """What a journaled record says about who may be written to, of a tenant that is still served."""
        if entry.tenant not in self._scopes:
            return ()
        if entry.kind == DERIVED:
            return handed_back(entry.body, 0)
        if entry.kind not in _TELLING:
            return ()
        piece = Piece(entry.kind, entry.body, entry.sent_at, whole=entry.body)
        return hear(piece, entry, Block(self._clock.now(), 0, 0, []), self._scopes[entry.tenant]).changes

    def _catch_up(self) -> None:
        """Apply what the journal's tail says about suppression before anybody is served, or anything is sent."""
        whole = self.suppressions.whole
        for address, told in self.journal.suppressed_since(self.suppressions.address):
            self.suppressions.apply(told, address, self.journal.stamp)
        if not whole:
            self.suppressions.complete()

    def _tidy(self) -> None:
        """Note how far suppression is applied, so that a start need not read far back, and drop what nobody needs."""
        self._tidy_at = time.monotonic() + _TIDY
        with suppress(OSError):  # no answer from where it is kept: asked again in a second
            if not self.suppressions.whole:
                self._catch_up()
            if self.journal.end - self.suppressions.address > _BEHIND:
                self.suppressions.apply((), self.journal.end, self.journal.stamp)
        with suppress(ValueError, RedisDown):  # a lane of another version, no Redis: nobody knows what is needed
            self.journal.drop((self.suppressions.address, *(lane.address() for lane in self._lanes)))

    def _caller(self, feed: Feed) -> Caller:
        """Whose records a file holds. Raises ConfigError."""
        keys = [key.key for tenant in self._workspace.tenants.values() for key in tenant.keys if key.trust == TRUSTED]
        key = feed.key or (keys[0] if keys and len(self._workspace.tenants) == 1 else "")
        try:
            return self.callers.of_key(key)
        except UnknownKey as error:
            raise ConfigError(f"{feed.path}: {error}") from None


def _raise_failed(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        if task.done():
            task.result()
