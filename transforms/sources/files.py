"""Files as a source: JSON lines, or a table as CSV with a mapping of its columns, read to the end or followed.

A reader gives JSON objects as bytes and a cursor (byte offset, number of the next record) to go on from later.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from transforms.logic.intake import EVENT_BYTES

LONGEST = 4 * EVENT_BYTES
"""A longer line is cut here, so that a file without line ends cannot fill the memory."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of a table mean: column → field (dots nest: `context.traits.email`), and fields that are always
    the same. An empty cell leaves its field out. Raises ValueError for two columns that want the same place."""

    fields: Mapping[str, str]
    constants: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        places = sorted(name.split(".") for name in (*self.constants, *self.fields.values()))
        for outer, inner in pairwise(places):
            if inner[: len(outer)] == outer:
                both = f"{'.'.join(outer)} and {'.'.join(inner)}"
                raise ValueError(f"columns: expected each field once and none inside another, got {both}")

    def record(self, row: Mapping[str, str]) -> bytes:
        """One row as a JSON object."""
        found: dict[str, Any] = {}
        for name, value in self.constants.items():
            _put(found, name, value)
        for column, name in self.fields.items():
            if row.get(column):
                _put(found, name, row[column])
        return msgspec.json.encode(found)


def _put(record: dict[str, Any], name: str, value: Any) -> None:
    *parents, last = name.split(".")
    for parent in parents:
        record = record.setdefault(parent, {})
    record[last] = value


class FileReader:
    """Reads one file from a cursor on. With `columns` it is a table whose first line names its columns.

    With `follow` a last line without an end is still being written and waits; otherwise it counts. A row that is no
    row is given as it stands: whoever reads it as a record will refuse it, and it is counted.
    """

    def __init__(self, path: Path, cursor: tuple[int, int] = (0, 0), *, columns: Columns | None = None) -> None:
        self.cursor = cursor
        self._file: BinaryIO = path.open("rb")
        self._columns = columns
        self._names = self._row(follow=False)[1] if columns else []
        self._file.seek(max(cursor[0], self._file.tell()))

    def read(self, limit: int, *, follow: bool = False) -> list[bytes]:
        """Up to `limit` records that are there now; moves `cursor` behind them."""
        offset, number = self._file.tell(), self.cursor[1]
        records: list[bytes] = []
        next_record = self._mapped if self._columns else self._plain
        while len(records) < limit and (found := next_record(follow)) is not None:
            offset = self._file.tell()
            if found:
                records.append(found)
        self._file.seek(offset)
        self.cursor = offset, number + len(records)
        return records

    def close(self) -> None:
        self._file.close()

    def _plain(self, follow: bool) -> bytes | None:
        """The next line, None if there is none (yet)."""
        line = self._line(follow)
        return line.strip() if line else None

    def _mapped(self, follow: bool) -> bytes | None:
        """The next row as a record, empty for a blank line, None if there is none (yet)."""
        text, cells = self._row(follow)
        if not text:
            return None
        if self._columns is None or not self._names or not cells:
            return text[:LONGEST].strip()
        return self._columns.record(dict(zip(self._names, cells, strict=False)))

    def _row(self, follow: bool) -> tuple[bytes, list[str]]:
        """The bytes of the next row, and its cells, none if it is no row. A quoted cell may hold line ends."""
        lines: list[bytes] = []
        try:
            cells = next(csv.reader(self._lines(lines, follow)), [])
        except csv.Error:
            cells = []
        whole = not follow or not lines or lines[-1] != b""
        return (b"".join(lines), cells) if whole else (b"", [])

    def _lines(self, taken: list[bytes], follow: bool) -> Iterator[str]:
        """Lines while somebody asks for them, up to a bound; what was given is also put into `taken`."""
        size = 0
        while size < LONGEST and (not taken or taken[-1]):
            taken.append(self._line(follow))
            size += len(taken[-1])
            if taken[-1]:
                yield taken[-1].decode("utf-8-sig", "replace")

    def _line(self, follow: bool) -> bytes:
        line = rest = self._file.readline(LONGEST)
        while rest and not rest.endswith(b"\n"):
            rest = self._file.readline(LONGEST)
        return b"" if follow and not (rest or line).endswith(b"\n") else line
