"""Records at the edges: exact bytes, readable by anybody's Avro, and clear words for everything else."""

from __future__ import annotations

import io
import json

import fastavro
import pytest
from intents import intent
from logs import event, one_of_each

from schemas.avro import ROOTS, file_of
from schemas.codec import pack
from schemas.records import (
    Consent,
    CutsPublished,
    Derived,
    Entry,
    Event,
    Ids,
    Item,
    Known,
    Mention,
    OrderPlaced,
    Past,
    Place,
    Record,
    Route,
    Said,
    Seen,
    Traits,
)
from schemas.single_object import NotReadable, UnknownSchema, decode, encode, fingerprint_of, is_single_object

ORDERED = Event(
    *("e1", "shop", "server", "backend", 1, 2, 0, 3, Ids(email="ana@people.example")),
    OrderPlaced("o-1", 12_300, "EUR", (Item("tent", price=12_300),)),
    consents=(Consent(True, "marketing", "*", 0, "form"),),
    traits=Traits("Ana"),
    raw=b"\x00{}",
    route=Route("m", b"\xff" * 16, 1, Past(1, (Seen("tent", 2, 1),)), (Place(1, 0, 1, 0, False),)),
)
DEEP = [
    Entry("track", "shop", "server", "backend", 0, b'{"n":1}', ("person", 7)),
    Entry("track", "shop", "browser", "site", -1, b""),
    ORDERED,
    Known(b"a" * 16, ORDERED, "verified", past=Past(4, cart=(Item("mug"),))),
    Mention("m1", "shop", "chirp", "social", "chirp", "ana", 9, "Ha\u0142o \U0001f600", "", "", "", None, 1, 2, 0, 3),
    Derived("d1", "shop", 1, Ids(handle="chirp:ana"), Said("m1", ("Fernweh",), True, "positive", 0.5, "en", "Love")),
    Derived("d2", "shop", 1, Ids(cookie="c"), ORDERED.fact, address=b"a" * 16, hops=1, original=ORDERED),
    Derived("d3", "shop", 1, Ids(), CutsPublished("v1", (1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4))),
]


@pytest.mark.parametrize("record", [*one_of_each(), *DEEP], ids=lambda record: type(record).__name__)
def test_a_record_comes_back_as_it_went(record: Record) -> None:
    assert decode(encode(record)) == record


def test_the_bytes_stay_the_same() -> None:
    assert encode(DEEP[0]).hex() == (
        "c301e1702e2c6e0275250a747261636b0873686f700c7365727665720e6261636b656e64000e7b226e223a317d020c706572736f6e0e"
    )


def test_every_record_has_a_fingerprint_of_its_own() -> None:
    assert len({fingerprint_of(record) for record in ROOTS}) == len(ROOTS)


@pytest.mark.parametrize("record", [intent(), event(1), DEEP[5]], ids=lambda record: type(record).__name__)
def test_anybody_with_the_schema_file_can_read_it(record: Record) -> None:
    schema = json.loads(file_of(type(record)).read_text(encoding="utf-8"))
    data = encode(record)
    assert data[:2] == b"\xc3\x01"
    assert data[2:10] == _crc(schema).to_bytes(8, "little")
    found = fastavro.schemaless_reader(io.BytesIO(data[10:]), schema, None)
    assert found["tenant"] == "shop"


def _crc(schema: object) -> int:
    """CRC-64-AVRO as the specification writes it down."""
    empty = 0xC15D213AA4D7A795
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (empty & -(value & 1))
        table.append(value)
    crc = empty
    for byte in fastavro.schema.to_parsing_canonical_form(schema).encode():
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc


def test_a_schema_that_nobody_here_knows_is_said_so() -> None:
    data = encode(event(1))
    with pytest.raises(UnknownSchema, match="fingerprint 0102030405060708"):
        decode(data[:2] + bytes(range(1, 9)) + data[10:])


@pytest.mark.parametrize("data", [b"", b"\xc3", b"{}", pack(event(1))])
def test_what_is_no_record_of_this_encoding_is_said_so(data: bytes) -> None:
    assert not is_single_object(data)
    with pytest.raises(NotReadable, match="begins with c301"):
        decode(data)


@pytest.mark.parametrize("record", [intent(), DEEP[6]], ids=lambda record: type(record).__name__)
def test_a_torn_record_is_never_read_as_a_whole_one(record: Record) -> None:
    data = encode(record)
    for length in range(10, len(data)):
        with pytest.raises(NotReadable):
            decode(data[:length])
    with pytest.raises(NotReadable):
        decode(data + b"\x00")


@pytest.mark.parametrize("tail", [b"\xff" * 9 + b"\x01", b"\x01" * 40, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"])
def test_hostile_bytes_are_refused(tail: bytes) -> None:
    with pytest.raises(NotReadable):
        decode(encode(intent())[:10] + tail)
