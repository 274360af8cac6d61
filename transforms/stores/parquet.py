"""The analysts' files: Parquet, and a manifest that alone says which of them count.

A file covers a fixed range of row numbers of one log. Files are written first; then the manifest, with the cursors
behind them, is swapped in one rename. A crash in between leaves files that no manifest names; the next start removes
them, so every row stands in exactly one file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.records import DAY, SECOND, TABLES, Record
from schemas.tables import SCHEMAS, row_id, table_of, to_arrow
from transforms.stores import faults

POINTS = ("tables.after_file", "tables.before_manifest", "tables.after_manifest", "tables.after_merge")
MANIFEST = "manifest.json"
MERGED = "merged"
SMALL = 50_000
MERGE_AT = 16


class Cursor(msgspec.Struct, frozen=True):
    """Where a log is read on: the address of its next frame, the number of its next row."""

    address: int = 0
    number: int = 0


class File(msgspec.Struct, frozen=True):
    """A file that counts: row numbers `first` to `last` of `log` (that range's rows of this table), or a merged day."""

    name: str
    log: str
    first: int
    last: int
    rows: int
    day: str


class Manifest(msgspec.Struct, frozen=True):
    """The tables at one moment. `dropped` files count no longer but stay for readers until the next merge."""

    cursors: dict[str, Cursor] = {}
    tables: dict[str, list[File]] = {}
    dropped: list[str] = []
    merges: int = 0


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a tables folder; an empty one where nothing has been written. Raises TablesDamaged."""
    file = folder / MANIFEST
    try:
        return msgspec.json.decode(file.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return Manifest()
    except msgspec.MsgspecError as error:
        raise TablesDamaged(
            f"expected the list of the tables' files in {file}, it cannot be read ({error}); restore the folder from a "
            "copy, or move it away: what the logs still hold is then written anew"
        ) from None


class TablesDamaged(RuntimeError):
    """What was written of the tables cannot be read: says what was found, and what can be done."""


def damaged(folder: Path) -> Iterator[str]:
    """A sentence for each file of the tables that is not what the manifest says. Raises TablesDamaged."""
    manifest = read_manifest(folder)
    for table, files in manifest.tables.items():
        for file in files:
            try:
                rows = pq.read_metadata(folder / file.name).num_rows
            except (pa.ArrowException, OSError) as error:
                if file in read_manifest(folder).tables.get(table, []):  # not merged away in this moment
                    yield f"{folder / file.name} cannot be read: {type(error).__name__}; restore it from a copy"
                continue
            if rows != file.rows:
                yield f"expected {file.rows} rows in {folder / file.name}, found {rows}; restore it from a copy"


class TableFolder:
    """The one writer of a tables folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for table in TABLES:
            (folder / table).mkdir(parents=True, exist_ok=True)
        self.manifest = read_manifest(folder)
        self._remove_strangers()

    def cursor(self, log: str) -> Cursor:
        """Where to read `log` on."""
        return self.manifest.cursors.get(log, Cursor())

    def seal(self, log: str, rows: Sequence[Record], after: Cursor, stamp: int) -> None:
        """Write the rows from the cursor of `log` up to `after`, one file a table, and move the cursor behind them."""
        first, last, day = self.cursor(log).number, after.number - 1, _day(stamp)
        tables = {table: list(files) for table, files in self.manifest.tables.items()}
        for table, lines in _by_table(rows):
            name = f"{table}/{log}-{first:012d}-{last:012d}.parquet"
            self._write_table(name, to_arrow(table, lines))
            tables.setdefault(table, []).append(File(name, log, first, last, len(lines), day))
            faults.here("tables.after_file")
        cursors = {**self.manifest.cursors, log: after}
        self._swap(msgspec.structs.replace(self.manifest, cursors=cursors, tables=tables))

    def merge(self) -> bool:
        """Merge the small files of a table's day if there are many, dropping repeated rows; False if none is due."""
        for table in TABLES:
            files = self.manifest.tables.get(table, [])
            for day in {file.day for file in files}:
                small = [file for file in files if file.day == day and file.rows < SMALL]
                if len(small) >= MERGE_AT:
                    self._merge(table, day, small)
                    return True
        return False

    def _merge(self, table: str, day: str, small: list[File]) -> None:
        together = pa.concat_tables([self.read(file) for file in small])
        once = _without_repeats(together, row_id(table))
        name = f"{table}/{day}-{self.manifest.merges:06d}.parquet"
        self._write_table(name, once)
        faults.here("tables.after_merge")
        merged = File(name, MERGED, 0, 0, once.num_rows, day)
        kept = [merged if file is small[0] else file for file in self.manifest.tables[table] if file not in small[1:]]
        gone = self.manifest.dropped
        self._swap(
            msgspec.structs.replace(
                self.manifest,
                tables={**self.manifest.tables, table: kept},
                dropped=[file.name for file in small],
                merges=self.manifest.merges + 1,
            )
        )
        for old in gone:
            (self._folder / old).unlink(missing_ok=True)

    def read(self, file: File) -> pa.Table:
        """The rows of one file."""
        return pq.read_table(self._folder / file.name, schema=SCHEMAS[file.name.partition("/")[0]], partitioning=None)

    def _write_table(self, name: str, table: pa.Table) -> None:
        _write(self._folder / name, lambda fresh: pq.write_table(table, fresh, compression="zstd"))

    def _swap(self, manifest: Manifest) -> None:
        faults.here("tables.before_manifest")
        text = msgspec.json.format(msgspec.json.encode(manifest))
        _write(self._folder / MANIFEST, lambda fresh: fresh.write_bytes(text))
        self.manifest = manifest
        faults.here("tables.after_manifest")

    def _remove_strangers(self) -> None:
        """Remove what a crash left: files that no manifest names, half-written ones, dropped ones."""
        counted = {file.name for files in self.manifest.tables.values() for file in files}
        for table in TABLES:
            for path in (self._folder / table).iterdir():
                if f"{table}/{path.name}" not in counted:
                    path.unlink()


def read_rows(folder: Path, table: str, columns: Sequence[str] | None = None) -> pa.Table:
    """All rows of a table that the manifest counts, or only some of its columns."""
    names = SCHEMAS[table].names if columns is None else list(columns)
    files = [folder / file.name for file in read_manifest(folder).tables.get(table, [])]
    parts = [pq.read_table(file, columns=names, schema=SCHEMAS[table], partitioning=None) for file in files]
    return pa.concat_tables([SCHEMAS[table].empty_table().select(names), *parts])


def _by_table(rows: Iterable[Record]) -> Iterator[tuple[str, list[Record]]]:
    for table, lines in groupby(sorted(rows, key=table_of), table_of):
        yield table, list(lines)


def _without_repeats(table: pa.Table, names: tuple[str, ...]) -> pa.Table:
    """The first of each row."""
    seen: set[tuple[object, ...]] = set()
    first = []
    for row in zip(*(table.column(name).to_pylist() for name in names), strict=True):
        first.append(row not in seen)
        seen.add(row)
    return table.filter(pa.array(first, pa.bool_()))


def _day(stamp: int) -> str:
    return datetime.fromtimestamp(stamp // DAY * DAY // SECOND, UTC).strftime("%Y-%m-%d")


def _write(file: Path, write: Callable[[Path], object]) -> None:
    """Bring a file into being whole and durable, or not at all."""
    fresh = file.with_suffix(".new")
    write(fresh)
    with fresh.open("rb") as written:
        os.fsync(written.fileno())
    fresh.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
