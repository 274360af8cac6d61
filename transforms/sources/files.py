"""Files as a source: JSON lines, or a table as CSV with a mapping of its columns, read to the end or followed.

A reader gives JSON objects as bytes and a cursor (byte offset, number of the next record) to go on from later.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from transforms.logic.intake import EVENT_BYTES

LONGEST = 4 * EVENT_BYTES
"""A longer line is cut here, so that a file without line ends cannot fill the memory."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of a table mean: column → field (dots nest: `context.traits.email`), and fields that are always
    the same. An empty cell leaves its field out."""

    fields: Mapping[str, str]
    constants: Mapping[str, Any] = field(default_factory=dict)

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

    With `follow` a last line without an end is still being written and waits; otherwise it counts.
    """

    def __init__(self, path: Path, cursor: tuple[int, int] = (0, 0), *, columns: Columns | None = None) -> None:
        self.cursor = cursor
        self._file: BinaryIO = path.open("rb")
        self._columns = columns
        self._names = self._header() if columns else []
        self._file.seek(max(cursor[0], self._file.tell()))

    def read(self, limit: int, *, follow: bool = False) -> list[bytes]:
        """Up to `limit` records that are there now; moves `cursor` behind them."""
        offset, number = self._file.tell(), self.cursor[1]
        records: list[bytes] = []
        while len(records) < limit and (text := self._next(follow)):
            offset = self._file.tell()
            if record := self._record(text):
                records.append(record)
        self._file.seek(offset)
        self.cursor = offset, number + len(records)
        return records

    def close(self) -> None:
        self._file.close()

    def _header(self) -> list[str]:
        self._file.seek(0)
        return next(iter(_cells(self._next(follow=False))), [])

    def _record(self, text: bytes) -> bytes:
        if self._columns is None:
            return text.strip()
        return b"".join(self._columns.record(dict(zip(self._names, row, strict=False))) for row in _cells(text))

    def _next(self, follow: bool) -> bytes:
        """The bytes of one record, empty if there is none (yet). In a table a quoted cell may hold line ends."""
        text = self._line(follow)
        while self._columns and text and text.count(b'"') % 2 and len(text) < LONGEST:
            more = self._line(follow)
            if not more:
                return b"" if follow else text
            text += more
        return text

    def _line(self, follow: bool) -> bytes:
        line = rest = self._file.readline(LONGEST)
        while rest and not rest.endswith(b"\n"):
            rest = self._file.readline(LONGEST)
        return b"" if follow and not (rest or line).endswith(b"\n") else line


def _cells(text: bytes) -> Iterator[list[str]]:
    return csv.reader([text[:LONGEST].decode("utf-8-sig", "replace")])
