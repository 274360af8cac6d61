"""The table writer: one process that turns the rows of all logs into Parquet files for analysts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from pipelines.bounds import require
from pipelines.brokers import rows_of
from pipelines.clock import Follower, real_now
from pipelines.config import Config
from pipelines.status import Status
from schemas.codec import unpack_many
from schemas.records import SECOND, Record, Row
from transforms.stores.log import Frame, LogReader
from transforms.stores.parquet import SMALL, Cursor, TableFolder
from transforms.stores.segments import Lock, make_folder

LOGS = ("person", "listen", "sender")
PERIOD = 60 * SECOND
LEAST_REAL = 5 * SECOND
POLL = 0.05
FRAMES = 256

log = logging.getLogger("rapport.tables")


def run(config: Config, stop: Callable[[], bool] | None = None) -> None:
    """Write tables until `stop` says so; what is there by then is sealed too. Raises LogBusy for a second writer."""
    make_folder(config.folder("tables"), sync=True)
    with closing(Lock(config.folder("tables"))):
        _run(config, stop or (lambda: False))


def _run(config: Config, told: Callable[[], bool]) -> None:
    require(config)
    writer = TableWriter(config)
    status = Status(config.folder("status"), "tables")
    while not told():
        if not writer.turn():
            time.sleep(POLL)
        status.tell(writer.figures)
    writer.finish()
    status.tell(writer.figures, now=True)


class Frames(Protocol):
    """A log of rows from an address on, or a partition that is read like one."""

    def read(self, limit: int) -> list[Frame]: ...

    def close(self) -> None: ...


Opener = Callable[[int], Frames]
"""How to read a log from an address on."""


def _opened(config: Config) -> Mapping[str, Opener]:
    """The logs with rows, by name: those of the data folder, or the partitions of the topic."""
    if config.kafka:
        return rows_of(config)
    return {name: partial(_log_of, config.folder(name)) for name in LOGS}


def _log_of(folder: Path, address: int) -> Frames:
    return LogReader(folder, address, {"rows"})


class TableWriter:
    """Follows the row topics of all logs and seals files."""

    def __init__(self, config: Config) -> None:
        self._folder = TableFolder(config.folder("tables"))
        self._real = bool(config.kafka)  # there the brokers tell the time
        self._clock_file = config.clock_file
        self._clock: Follower | None = None
        self._tails = [Tail(name, opener, self._folder) for name, opener in _opened(config).items()]

    def turn(self) -> bool:
        """Read once from each log and seal what is full; False if nothing was new."""
        busy = [tail.read(self._period()) for tail in self._tails]
        if self._clock_now() is not None:
            for tail, read in zip(self._tails, busy, strict=True):
                if not read:
                    tail.seal_before(self._clock_now() or 0, self._period())
        return self._folder.merge() or any(busy)

    def finish(self) -> None:
        """Seal everything that is there, as a clean stop does."""
        for tail in self._tails:
            while tail.read(self._period()):
                pass
            tail.seal()
            tail.close()

    def figures(self) -> dict[str, Any]:
        """Rows and files by table, rows that wait for their file."""
        tables = self._folder.manifest.tables
        return {
            "rows": {table: sum(file.rows for file in files) for table, files in tables.items()},
            "files": {table: len(files) for table, files in tables.items()},
            "waiting": sum(len(tail.rows) for tail in self._tails),
            "lost": {tail.name: tail.lost for tail in self._tails if tail.lost},
        }

    def _clock_now(self) -> int | None:
        if self._real:
            return real_now()
        if self._clock is None and self._clock_file.exists():
            self._clock = Follower(self._clock_file)
        return self._clock.now() if self._clock else None

    def _period(self) -> int:
        """A file a minute of journal time, but at the most one every five real seconds."""
        speed = self._clock.speed if self._clock else 1.0
        return max(PERIOD, int(LEAST_REAL * speed))


class Tail:
    """The rows of one log that have not been sealed yet; `lost` counts rows that the log no longer had."""

    def __init__(self, name: str, opener: Opener, tables: TableFolder) -> None:
        self.name = name
        self.rows: list[Record] = []
        self.lost = 0
        self._tables = tables
        self._after = tables.cursor(name)
        self._stamp = 0
        self._reader = opener(self._after.address)

    def read(self, period: int) -> bool:
        """Take the next frames; a file ends before the first frame of another period, or when it is full."""
        frames = self._reader.read(FRAMES)
        for frame in frames:
            if self.rows and frame.stamp // period != self._stamp // period:
                self.seal()
            self._take(frame)
            if len(self.rows) >= SMALL:
                self.seal()
        return bool(frames)

    def seal_before(self, now: int, period: int) -> None:
        """Seal what waits if its period is over."""
        if self.rows and now // period > self._stamp // period:
            self.seal()

    def seal(self) -> None:
        """Write what waits, if anything."""
        if self.rows:
            self._tables.seal(self.name, self.rows, self._after, self._stamp)
            self.rows = []

    def close(self) -> None:
        """Close the log's files."""
        self._reader.close()

    def _take(self, frame: Frame) -> None:
        part = frame.parts["rows"]
        if part.first != self._after.number:
            self.lost += part.first - self._after.number
            log.error("%s: rows %d to %d are no longer in the log", self.name, self._after.number, part.first - 1)
        self.rows += unpack_many(part.payload, Row)
        self._after = Cursor(frame.end, part.first + part.count)
        self._stamp = frame.stamp
