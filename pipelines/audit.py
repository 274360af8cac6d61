"""What is missing or damaged in a data folder, said in sentences, before anything in it is counted.

Only reads, also while everything runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.bounds import strayed
from pipelines.census import position
from pipelines.config import Config
from pipelines.settled import Lines
from pipelines.workspace import load
from transforms.logic.delivery import SENT
from transforms.stores.follower import Follower
from transforms.stores.log import LogReader
from transforms.stores.parquet import MANIFEST, TablesDamaged, damaged
from transforms.stores.segments import HEAD, LogCorrupt, segment_starts

STORES = ("journal", "door", "person", "listen", "sender")


def damage(config: Config) -> list[str]:
    """What cannot be read: each log from its oldest byte to its end, and each file of the tables."""
    return [*(each for name in STORES for each in _log(config.folder(name))), *_tables(config.folder("tables"))]


def absent(config: Config) -> Iterator[str]:
    """What must have been there once and is not."""
    yield from strayed(config)
    if segment_starts(config.folder("journal")) and not (config.redis or config.folder("door").exists()):
        yield f"expected {config.folder('door')}, it is not there: the door rebuilds who may not be written to"
    tables = config.folder("tables")
    if not (tables / MANIFEST).exists() and any(tables.glob("*/*.parquet")):
        yield f"expected {tables / MANIFEST}, it is not there: no file of the tables counts; restore it from a copy"


def unwritten(config: Config) -> Iterator[str]:
    """What people should know and what need not be wrong: a process may never have run."""
    if position(config.folder("person")) is None:
        return
    for name, who in (("tables", "table writer"), ("sender", "sender")):
        if not config.folder(name).exists():
            yield f"there is no {config.folder(name)}: the {who} has not run yet, or somebody removed its work"


def recorded(config: Config) -> Iterator[str]:
    """Whether the recorder, where it is a message's sink, holds each message that was sent, once, and no other.

    Where several senders may be, each has a recorder of its own, and nobody can say.
    """
    if config.kafka or config.redis:
        return
    tenants = load(config.workspace).tenants.items()
    ways = {(name, to) for name, tenant in tenants for to, sink in tenant.sinks.items() if sink.kind == "recorder"}
    file = config.data / "sent" / "recorder.jsonl"
    lines, held = Lines(config), _held(file)
    receipts, messages = (lines.of(name, *columns) for name, columns in _COLUMNS.items())
    sent = {
        key
        for key, tenant, channel in zip(*_lists(receipts.filter(pc.equal(receipts["state"], SENT))), strict=True)
        if (tenant, channel) in ways
    }
    decided = set(messages["key"].to_pylist())
    if lost := sent - held.keys():
        yield f"{len(lost)} messages are told to be sent and are not in {file}"
    if held and (strange := held.keys() - decided):
        yield f"{len(strange)} messages in {file} are known to nobody who decides"
    if again := sum(number - 1 for number in held.values()):
        yield f"{again} messages stand in {file} more than once"


_COLUMNS = {"receipts": ("id", "key", "tenant", "channel", "state"), "messages": ("key", "revision")}


class _Sent(msgspec.Struct):
    key: str


def _lists(rows: pa.Table) -> list[list[str]]:
    return [rows[name].to_pylist() for name in ("key", "tenant", "channel")]


def _held(file: Path) -> Counter[str]:
    """How often each key stands in the recorder's file; a last line that is being written does not count."""
    try:
        whole = [line for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    except FileNotFoundError:
        return Counter()
    return Counter(msgspec.json.decode(line, type=_Sent).key for line in whole)


def _log(folder: Path) -> Iterator[str]:
    starts = segment_starts(folder)
    if starts and not (folder / HEAD).exists():
        yield f"expected {folder / HEAD}, it is not there; its process makes it anew when it starts"
        return
    reader = LogReader(folder)
    try:
        while reader.read():
            pass
        if starts and folder.name != "journal":
            Follower(folder).close()
    except LogCorrupt as error:
        yield str(error)
    finally:
        reader.close()


def _tables(folder: Path) -> Iterator[str]:
    try:
        yield from damaged(folder)
    except TablesDamaged as error:
        yield str(error)
