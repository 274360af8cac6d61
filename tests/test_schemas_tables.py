"""The tables' schemas follow the records, and the page that describes them follows the schemas."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from intents import NOON, intent
from logs import one_of_each

from schemas.records import TABLES
from schemas.tables import JSON, SCHEMAS, row_id, table_of, to_arrow

PAGE = (Path(__file__).parent.parent / "docs" / "tables.md").read_text(encoding="utf-8")
WORDS = {pa.string(): "text", pa.int64(): "integer", pa.float64(): "number", pa.bool_(): "yes/no", pa.binary(): "bytes"}


def described(table: str) -> list[tuple[str, str]]:
    """(column, type) pairs of a table's section."""
    section = PAGE.partition(f"\n## {table}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \| ([^|]+) \| \S.* \|$", section, re.MULTILINE)


def word(table: str, field: pa.Field) -> str:
    if (table, field.name) in JSON:
        return "JSON"
    if pa.types.is_timestamp(field.type):
        return "time"
    return "list of text" if pa.types.is_list(field.type) else WORDS[field.type]


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_the_columns_of_its_record(table: str) -> None:
    assert SCHEMAS[table].names == [field.name for field in msgspec.structs.fields(TABLES[table])]


@pytest.mark.parametrize("table", TABLES)
def test_the_page_describes_every_table_and_column(table: str) -> None:
    assert described(table) == [(field.name, word(table, field)) for field in SCHEMAS[table]]


@pytest.mark.parametrize("table", TABLES)
def test_a_row_is_named_by_columns_that_exist(table: str) -> None:
    assert set(row_id(table)) <= set(SCHEMAS[table].names)


@pytest.mark.parametrize("row", one_of_each(), ids=table_of)
def test_rows_become_columns(row: object) -> None:
    table = table_of(row)
    assert to_arrow(table, [row, row]).num_rows == 2


def test_every_table_has_an_example() -> None:
    assert {table_of(row) for row in one_of_each()} == set(TABLES)


def test_values_are_what_analysts_expect() -> None:
    (row,) = to_arrow("messages", [intent(caused_at=0)]).to_pylist()
    assert row["decided_at"] == datetime.fromtimestamp(NOON / 1e6, UTC)
    assert row["caused_at"] is None
    assert row["suppression"] == [intent().suppression[0].hex()]
    assert row["body"] == '{"subject":"Hello","text":"Welcome, ana"}'


def test_bytes_that_are_no_text_are_kept() -> None:
    failure = next(row for row in one_of_each() if table_of(row) == "failures")
    assert to_arrow("failures", [failure]).to_pylist()[0]["body"] == b"\xff{"
