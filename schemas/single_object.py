"""Records at the edges: Avro single-object encoding by the committed schemas, so that a message says what it is.

    C3 01 | fingerprint of the schema, 8 bytes | the record in Avro

The fingerprint is CRC-64-AVRO of the schema's parsing canonical form, little end first, as Avro prescribes: any Avro
reader that has the schema files can read a topic.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from types import UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas import records
from schemas.avro import NAMESPACE, ROOTS, file_of
from schemas.records import Record

MARKER = b"\xc3\x01"
_HEAD = len(MARKER) + 8

_UNIONS = (Union, UnionType)

Turn = Callable[[Any], Any]
"""Turns a value of a field into another form of it."""


class NotReadable(ValueError):
    """Bytes that are no record of ours."""


class UnknownSchema(NotReadable):
    """A record whose schema this Rapport does not have."""


class _Form(NamedTuple):
    """A record's schema as fastavro wants it, what stands before the record, and the ways to plain values and back."""

    schema: Any
    head: bytes
    plain: Turn
    typed: Turn


def encode(record: Record) -> bytes:
    """The bytes of one of the records in `schemas.avro.ROOTS`."""
    form = _form(type(record))
    stream = io.BytesIO()
    stream.write(form.head)
    schemaless_writer(stream, form.schema, form.plain(record))
    return stream.getvalue()


def decode(data: bytes) -> Record:
    """The record in `data`; its fingerprint says which. Raises UnknownSchema, and NotReadable for damaged bytes."""
    form = _by_head().get(data[:_HEAD])
    if form is None:
        raise _unknown(data)
    stream = io.BytesIO(data)
    stream.seek(_HEAD)
    try:
        found = schemaless_reader(stream, form.schema, None, return_record_name=True, return_record_name_override=True)
    except (EOFError, IndexError, ValueError, OverflowError, MemoryError, RecursionError, TypeError) as error:
        raise NotReadable(f"expected a whole record, got {len(data)} bytes with something else: {error}") from error
    if stream.tell() != len(data):
        raise NotReadable(f"expected a record of {stream.tell()} bytes, got {len(data)}")
    record: Record = form.typed(found)
    return record


def is_single_object(data: bytes) -> bool:
    """Whether bytes begin as a record of this encoding does; records between our own processes never do."""
    return data[:2] == MARKER


def fingerprint_of(record: type[Record]) -> bytes:
    """The 8 bytes that name a record's schema."""
    return _form(record).head[len(MARKER) :]


@cache
def _form(record: type[Record]) -> _Form:
    raw = json.loads(file_of(record).read_text(encoding="utf-8"))
    print_ = bytes.fromhex(fingerprint(to_parsing_canonical_form(raw), "CRC-64-AVRO"))
    return _Form(parse_schema(raw), MARKER + print_, _plain_of(record), _typed_of(record))


@cache
def _by_head() -> dict[bytes, _Form]:
    return {_form(record).head: _form(record) for record in ROOTS}


def _unknown(data: bytes) -> NotReadable:
    if not is_single_object(data):
        return NotReadable(f"expected a record that begins with {MARKER.hex()}, got {data[:2].hex() or 'no bytes'}")
    known = ", ".join(sorted(record.__name__ for record in ROOTS))
    return UnknownSchema(
        f"expected the schema of one of {known}, got fingerprint {data[2:_HEAD].hex()}; "
        "another version of Rapport wrote it: read it with that one, or bring its schema"
    )


# --- records to plain values and back, each way made once a class -----------------------------------------------------


@cache
def _plain_of(kind: type[msgspec.Struct]) -> Turn:
    """The way from a record to a dictionary; fields that are plain already are not touched."""
    turns = {name: turn for name, hint in _hints(kind).items() if (turn := _plain(hint))}

    def plain(record: Any) -> dict[str, Any]:
        values = msgspec.structs.asdict(record)
        for name, turn in turns.items():
            values[name] = turn(values[name])
        return values

    return plain


@cache
def _typed_of(kind: type[msgspec.Struct]) -> Turn:
    """The way from a dictionary to a record."""
    turns = {name: turn for name, hint in _hints(kind).items() if (turn := _typed(hint))}

    def typed(values: dict[str, Any]) -> Any:
        for name, turn in turns.items():
            values[name] = turn(values[name])
        return kind(**values)

    return typed


def _hints(kind: type[msgspec.Struct]) -> dict[str, Any]:
    hints = get_type_hints(kind, vars(records))
    return {field.name: hints[field.name] for field in msgspec.structs.fields(kind)}


def _parts(hint: Any) -> tuple[Any, ...]:
    """The members of a union that are not None."""
    return tuple(part for part in get_args(hint) if part is not type(None))


def _is_record(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _plain(hint: Any) -> Turn | None:
    """How a field becomes what fastavro writes, None if it is that already."""
    if _is_record(hint):
        return lambda value: _plain_of(hint)(value)
    if get_origin(hint) in _UNIONS:
        return _plain_choice(_parts(hint))
    if _is_many(hint):
        turn = _plain(get_args(hint)[0])
        return (lambda value: [turn(each) for each in value]) if turn else None
    if get_origin(hint) is tuple and len(set(get_args(hint))) > 1:
        return _parted
    return None


def _plain_choice(parts: tuple[Any, ...]) -> Turn | None:
    """A record in a union travels with its name, so that nobody has to guess which one it is."""
    if all(_is_record(part) for part in parts):
        return _named
    return _plain(parts[0])


def _named(value: msgspec.Struct | None) -> tuple[str, Any] | None:
    return None if value is None else (f"{NAMESPACE}.{type(value).__name__}", _plain_of(type(value))(value))


def _typed(hint: Any) -> Turn | None:
    """How what fastavro read becomes a field, None if it is that already."""
    if _is_record(hint):
        return lambda value: _typed_of(hint)(value)
    if get_origin(hint) in _UNIONS:
        return _typed_choice(_parts(hint))
    if _is_many(hint):
        turn = _typed(get_args(hint)[0])
        return (lambda value: tuple([turn(each) for each in value])) if turn else tuple
    if get_origin(hint) is tuple:
        return lambda value: tuple(value.values() if isinstance(value, dict) else value)
    return None


def _typed_choice(parts: tuple[Any, ...]) -> Turn | None:
    if len(parts) == 1:
        turn = _typed(parts[0])
        return (lambda value: None if value is None else turn(value)) if turn else None
    kinds: dict[str, type[msgspec.Struct]] = {f"{NAMESPACE}.{part.__name__}": part for part in parts}
    return lambda value: None if value is None else _typed_of(kinds[value[0]])(value[1])


def _is_many(hint: Any) -> bool:
    return get_origin(hint) is tuple and get_args(hint)[-1] is Ellipsis


def _parted(value: tuple[Any, ...] | None) -> dict[str, Any] | None:
    """A pair of different kinds is a small record in Avro, which has no tuples."""
    return None if value is None else {f"part{place}": part for place, part in enumerate(value)}
