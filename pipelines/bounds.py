"""Whether every process's place in another's log is still inside it: behind the end of a log nobody would miss a thing.

A place is kept only after what lies before it was written, so one that lies behind a log's end means that the log has
lost its end, or is gone: what comes next would be taken for read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipelines.census import LANES, position
from pipelines.config import Config
from pipelines.pull import LOGS
from transforms.stores.journal import last_counts, unpack_place
from transforms.stores.parquet import read_manifest
from transforms.stores.segments import LogCorrupt, reach


def require(config: Config) -> None:
    """Raises LogCorrupt if a process has read more of a log than there is."""
    for sentence in strayed(config):
        raise LogCorrupt(sentence)


def strayed(config: Config) -> Iterator[str]:
    """A sentence for each place that lies behind the end of its log; on Kafka the brokers keep the logs."""
    if config.kafka:
        return
    for reader, log, place in places(config):
        if place > (end := reach(config.folder(log))):
            what = f"ends at {end}" if end else "is not there"
            yield f"the {reader} has read {config.folder(log)} up to {place}, but it {what}; what came there is lost"


def places(config: Config) -> Iterator[tuple[str, str, int]]:
    """(who reads, whose log, up to which address); nothing for who has never read."""
    for lane in LANES:
        yield f"{lane} lane", "journal", lane_place(config.folder(lane))[0]
    if not config.redis:
        yield "sender", "person", int.from_bytes(position(config.folder("sender")) or b"")
    for log, cursor in last_counts(config.folder("journal")).cursors.items():
        if log in LOGS:
            yield "door", log, cursor[0]
    for log, after in read_manifest(config.folder("tables")).cursors.items():
        if log in LOGS:
            yield "table writer", log, after.address


def lane_place(folder: Path) -> tuple[int, int]:
    """A lane's place in the journal and the stamp there; the beginning for one that has none, or of another version."""
    with suppress(ValueError):
        return unpack_place(position(folder))
    return 0, 0
