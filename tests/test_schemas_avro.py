"""The Avro contracts equal the records, field by field, and carry real ones."""

from __future__ import annotations

import io
import json

import fastavro
import msgspec
import pytest
from intents import intent
from logs import one_of_each

from schemas.avro import FOLDER, ROOTS, file_of, schema_of, text_of
from schemas.records import Record


@pytest.mark.parametrize("record", ROOTS, ids=lambda record: record.__name__)
def test_a_file_equals_its_record(record: type[Record]) -> None:
    assert file_of(record).read_text(encoding="utf-8") == text_of(record), "run: python -m schemas.avro"


@pytest.mark.parametrize("record", ROOTS, ids=lambda record: record.__name__)
def test_fields_come_in_the_records_order(record: type[Record]) -> None:
    schema = json.loads(file_of(record).read_text(encoding="utf-8"))
    assert [field["name"] for field in schema["fields"]] == [field.name for field in msgspec.structs.fields(record)]


@pytest.mark.parametrize("record", ROOTS, ids=lambda record: record.__name__)
def test_a_reader_of_avro_accepts_it(record: type[Record]) -> None:
    assert fastavro.parse_schema(schema_of(record))


def test_no_file_is_left_over() -> None:
    assert {path.name for path in FOLDER.glob("*.avsc")} == {file_of(record).name for record in ROOTS}


@pytest.mark.parametrize("row", [intent(), *one_of_each()], ids=lambda row: type(row).__name__)
def test_a_record_survives_the_way_through_avro(row: Record) -> None:
    schema = fastavro.parse_schema(schema_of(type(row)))
    values = msgspec.structs.asdict(row)
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, {name: _plain(value) for name, value in values.items()})
    stream.seek(0)
    assert fastavro.schemaless_reader(stream, schema, None) == {name: _plain(value) for name, value in values.items()}


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def test_a_kind_of_field_that_avro_cannot_carry_is_named() -> None:
    class Odd(msgspec.Struct):
        anything: complex

    with pytest.raises(TypeError, match="complex"):
        schema_of(Odd)
