"""Avro contracts of the records, written from the records themselves: `python -m schemas.avro` renews `schemas/*.avsc`.

The files are the form at the edges (topics, archive); a test holds that they equal the records field by field.
"""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from schemas import records
from schemas.records import TABLES, Derived, Entry, Event, Fact, Known, Mention, Record

NAMESPACE = "rapport"
FOLDER = Path(__file__).parent
ROOTS: tuple[type[Record], ...] = (Entry, Event, Known, Mention, Derived, *TABLES.values())

Schema = str | list[Any] | dict[str, Any]

_PLAIN: dict[Any, str] = {str: "string", int: "long", float: "double", bool: "boolean", bytes: "bytes"}


def schema_of(record: type[Record]) -> Schema:
    """The Avro schema of a record, with those that it contains defined where they first appear."""
    return _schema(record, set())


def file_of(record: type[Record]) -> Path:
    """Where the record's schema stands: `EventRow` in event_row.avsc."""
    name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in record.__name__)
    return FOLDER / f"{name.lstrip('_')}.avsc"


def text_of(record: type[Record]) -> str:
    """The file's text."""
    return json.dumps(schema_of(record), indent=2) + "\n"


def _schema(kind: Any, seen: set[str]) -> Schema:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind is type(None):
        return "null"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _record(kind, seen)
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        ordered = sorted(parts, key=lambda part: part is not type(None))
        return [_schema(part, seen) for part in ordered]
    if origin is tuple and len(parts) == 2 and parts[1] is Ellipsis:
        return {"type": "array", "items": _schema(parts[0], seen)}
    if origin is tuple and len(set(parts)) == 1:
        return {"type": "array", "items": _schema(parts[0], seen)}
    if origin is tuple:
        return _pair(parts, seen)
    raise TypeError(f"expected a kind of field that Avro can carry, got {kind!r}; teach schemas/avro.py about it")


def _record(kind: type[msgspec.Struct], seen: set[str]) -> Schema:
    name = f"{NAMESPACE}.{kind.__name__}"
    if name in seen:
        return name
    seen.add(name)
    hints = get_type_hints(kind, vars(records))
    fields = [_field(field, hints[field.name], seen) for field in msgspec.structs.fields(kind)]
    said = {"doc": _doc(kind)} if _doc(kind) else {}
    return {"type": "record", "name": kind.__name__, "namespace": NAMESPACE, **said, "fields": fields}


def _field(field: Any, hint: Any, seen: set[str]) -> dict[str, Any]:
    schema = {"name": field.name, "type": _schema(hint, seen)}
    if field.default is msgspec.NODEFAULT:
        return schema
    default = field.default.decode("latin-1") if isinstance(field.default, bytes) else field.default
    return {**schema, "default": list(default) if isinstance(default, tuple) else default}


def _pair(parts: tuple[Any, ...], seen: set[str]) -> Schema:
    name = f"{NAMESPACE}.Origin"
    if name in seen:
        return name
    seen.add(name)
    fields = [{"name": f"part{place}", "type": _schema(part, seen)} for place, part in enumerate(parts)]
    return {"type": "record", "name": "Origin", "namespace": NAMESPACE, "fields": fields}


def _doc(kind: type[msgspec.Struct]) -> str:
    own = kind.__dict__.get("__doc__") or ""
    return own.strip().partition("\n")[0] if kind is not Fact else ""


def main() -> None:
    """Write all schema files."""
    for record in ROOTS:
        file_of(record).write_text(text_of(record), encoding="utf-8")


if __name__ == "__main__":
    main()
