"""The tables in DuckDB: `connect(folder)` gives a connection with one view a table, reading what the manifest counts.

from pipelines.views import connect
connect("data/tables").sql("SELECT campaign, count(*) FROM messages GROUP BY ALL").show()
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.config import ConfigError
from schemas.tables import SCHEMAS
from transforms.stores.parquet import read_manifest


def connect(folder: str | Path) -> Any:
    """A DuckDB connection over the tables as they are now. Raises ConfigError where DuckDB is not installed."""
    try:
        import duckdb
    except ImportError:
        raise ConfigError("expected DuckDB to query the tables, it is not installed: pip install duckdb") from None
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for statement in views(Path(folder)):
        connection.execute(statement)
    return connection


def views(folder: Path) -> list[str]:
    """The SQL that makes the views."""
    tables = read_manifest(folder).tables
    return [_view(folder, table, [file.name for file in tables.get(table, [])]) for table in SCHEMAS]


def _view(folder: Path, table: str, names: list[str]) -> str:
    if not names:
        return f'CREATE VIEW "{table}" AS SELECT {_nothing(SCHEMAS[table])} WHERE false'
    files = ", ".join(_quoted(str((folder / name).absolute())) for name in names)
    return f'CREATE VIEW "{table}" AS SELECT * FROM read_parquet([{files}], union_by_name = true)'


def _nothing(schema: pa.Schema) -> str:
    return ", ".join(f'CAST(NULL AS {_sql_type(field.type)}) AS "{field.name}"' for field in schema)


def _sql_type(kind: Any) -> str:
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ"
    if pa.types.is_list(kind):
        return "VARCHAR[]"
    names = {pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN", pa.binary(): "BLOB"}
    return names.get(kind, "VARCHAR")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
