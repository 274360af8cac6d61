"""The analysts' tables: Arrow schemas derived from the records, and rows turned into columns.

Times become timestamps (UTC, microseconds; null where the record says 0), bytes that are JSON become text, other bytes
stay bytes, addresses become hex, tuples become lists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_type_hints

import msgspec
import pyarrow as pa

from schemas.records import TABLES, Record

TIMES = frozenset(("event_time", "received_at", "decided_at", "expires_at", "created_at", "caused_at", "at", "as_of"))
JSON = frozenset((("events", "properties"), ("messages", "body")))

ROW_ID: dict[str, tuple[str, ...]] = {"messages": ("key", "revision")}
"""The columns that name a row of a table; (id) where nothing is said."""

Convert = Callable[[Any], Any]


def row_id(table: str) -> tuple[str, ...]:
    """The columns by which a repeated row is recognised."""
    return ROW_ID.get(table, ("id",))


def _as_is(value: Any) -> Any:
    return value


def _text(value: bytes) -> str | None:
    return value.decode("utf-8", "replace") if value else None


def _time(value: int) -> int | None:
    return value or None


def _hexes(values: Sequence[bytes]) -> list[str]:
    return [value.hex() for value in values]


_PLAIN: dict[Any, tuple[pa.DataType, Convert]] = {
    str: (pa.string(), _as_is),
    int: (pa.int64(), _as_is),
    float: (pa.float64(), _as_is),
    bool: (pa.bool_(), _as_is),
    bytes: (pa.binary(), _as_is),
    tuple[str, ...]: (pa.list_(pa.string()), list),
    tuple[bytes, ...]: (pa.list_(pa.string()), _hexes),
}


def _column(table: str, name: str, kind: Any) -> tuple[pa.DataType, Convert]:
    if (table, name) in JSON:
        return pa.string(), _text
    if kind is int and name in TIMES:
        return pa.timestamp("us", tz="UTC"), _time
    return _PLAIN[kind]


def _columns(table: str, record: type[Record]) -> dict[str, tuple[pa.DataType, Convert]]:
    hints = get_type_hints(record)
    names = [field.name for field in msgspec.structs.fields(record)]
    return {name: _column(table, name, hints[name]) for name in names}


_COLUMNS = {table: _columns(table, record) for table, record in TABLES.items()}
_TABLE_OF = {record: table for table, record in TABLES.items()}

SCHEMAS: dict[str, pa.Schema] = {
    table: pa.schema([(name, kind) for name, (kind, _) in columns.items()]) for table, columns in _COLUMNS.items()
}


def table_of(row: Record) -> str:
    """The table that a row belongs to."""
    return _TABLE_OF[type(row)]


def to_arrow(table: str, rows: Sequence[Record]) -> pa.Table:
    """Rows of one table as columns, in their order."""
    arrays = [
        pa.array([convert(getattr(row, name)) for row in rows], kind)
        for name, (kind, convert) in _COLUMNS[table].items()
    ]
    return pa.Table.from_arrays(arrays, schema=SCHEMAS[table])
