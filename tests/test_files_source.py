"""Files as a source: every record once, from any byte on, also while somebody still writes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.logic.intake import cut_line
from transforms.sources.files import LONGEST, Columns, FileReader

Open = Callable[..., FileReader]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens readers and closes them after the test."""
    with ExitStack() as stack:

        def open_reader(*args: Any, **more: Any) -> FileReader:
            return stack.enter_context(closing(FileReader(*args, **more)))

        yield open_reader


def write(file: Path, text: str) -> Path:
    with file.open("a", encoding="utf-8") as out:
        out.write(text)
    return file


def test_lines_come_in_order_and_blank_ones_do_not_count(tmp_path: Path, opened: Open) -> None:
    reader = opened(write(tmp_path / "a.jsonl", '{"n":1}\n\n  {"n":2}  \r\n{"n":3}'))
    assert reader.read(2) == [b'{"n":1}', b'{"n":2}']
    assert reader.read(2) == [b'{"n":3}']
    assert reader.read(2) == []
    assert reader.cursor == (29, 3)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_second_reader_goes_on_at_the_cursor(tmp_path: Path, opened: Open, size: int) -> None:
    file = write(tmp_path / "a.jsonl", "".join(f'{{"n":{n},"name":"żółw"}}\n' for n in range(7)))
    cursor, seen = (0, 0), []
    while True:
        reader = opened(file, cursor)
        records = reader.read(size)
        cursor = reader.cursor
        if not records:
            break
        seen += [json.loads(record)["n"] for record in records]
    assert seen == list(range(7))
    assert cursor == (file.stat().st_size, 7)


def test_a_line_that_is_still_being_written_waits(tmp_path: Path, opened: Open) -> None:
    file = write(tmp_path / "a.jsonl", '{"n":1}\n{"n":')
    reader = opened(file)
    assert reader.read(9, follow=True) == [b'{"n":1}']
    assert reader.read(9, follow=True) == []
    write(file, "2}\n")
    assert reader.read(9, follow=True) == [b'{"n":2}']
    assert reader.cursor == (16, 2)


def test_a_line_without_end_is_cut_and_the_next_one_read(tmp_path: Path, opened: Open) -> None:
    file = write(tmp_path / "a.jsonl", "x" * (3 * LONGEST + 5) + '\n{"n":2}\n')
    first, second = opened(file).read(9)
    assert first == b"x" * LONGEST
    assert second == b'{"n":2}'


PEOPLE = Columns(
    {"id": "userId", "mail": "traits.email", "city": "traits.address.city"}, {"type": "identify", "traits.vip": True}
)


@pytest.mark.parametrize(
    ("fields", "constants"),
    [
        ({"a": "traits", "b": "traits.email"}, {}),
        ({"a": "userId", "b": "userId"}, {}),
        ({"a": "traits.email"}, {"traits.email": "x"}),
        ({"a": "traits", "b": "traits-other", "c": "traits.email"}, {}),
    ],
)
def test_two_columns_cannot_want_the_same_place(fields: dict[str, str], constants: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="each field once"):
        Columns(fields, constants)


def test_a_table_becomes_records_by_its_mapping(tmp_path: Path, opened: Open) -> None:
    text = '\ufeffid,mail,city,unused\n7,ana@people.example,"Łódź, Poland",x\n8,,,\n'
    records = opened(write(tmp_path / "people.csv", text), columns=PEOPLE).read(9)
    assert [json.loads(record) for record in records] == [
        {
            "type": "identify",
            "userId": "7",
            "traits": {"vip": True, "email": "ana@people.example", "address": {"city": "Łódź, Poland"}},
        },
        {"type": "identify", "userId": "8", "traits": {"vip": True}},
    ]


def test_a_quoted_cell_may_hold_line_ends_and_the_cursor_still_fits(tmp_path: Path, opened: Open) -> None:
    file = write(tmp_path / "people.csv", 'id,city\n7,"Bielsko\nBiała ""B-B"""\n8,Ustroń\n')
    reader = opened(file, columns=PEOPLE)
    (first,) = reader.read(1)
    assert json.loads(first)["traits"]["address"]["city"] == 'Bielsko\nBiała "B-B"'
    (second,) = opened(file, reader.cursor, columns=PEOPLE).read(9)
    assert json.loads(second)["userId"] == "8"


def test_a_followed_table_waits_for_the_end_of_a_quoted_cell(tmp_path: Path, opened: Open) -> None:
    file = write(tmp_path / "people.csv", 'id,city\n7,"Bielsko\n')
    reader = opened(file, columns=PEOPLE)
    assert reader.read(9, follow=True) == []
    write(file, 'Biała"\n')
    (record,) = reader.read(9, follow=True)
    assert json.loads(record)["userId"] == "7"


def test_a_row_that_is_no_row_is_kept_as_it_stands_and_the_next_one_read(tmp_path: Path, opened: Open) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes(b'id,city\n7,5" pipe\n8,a\rb\n9,\xe9\n10,"' + b"x" * (2 * LONGEST) + b'"\n11,Ustro\xc5\x84\n')
    records = opened(file, columns=PEOPLE).read(9)
    assert [json.loads(records[at]).get("userId") for at in (0, 2, 4)] == ["7", "9", "11"]
    assert records[1] == b"8,a\rb"
    assert len(records) == 5


def test_a_quote_that_never_ends_costs_a_bounded_stretch(tmp_path: Path, opened: Open) -> None:
    file = write(tmp_path / "people.csv", 'id,city\n7,"open' + "\n" * (3 * LONGEST) + "8,Ustroń\n")
    before = time.process_time()
    records = opened(file, columns=PEOPLE).read(9)
    assert time.process_time() - before < 1.0, "each line is looked at once"
    assert json.loads(records[-1])["userId"] == "8"


def test_a_table_whose_first_line_cannot_be_read_gives_its_rows_as_they_stand(tmp_path: Path, opened: Open) -> None:
    assert opened(write(tmp_path / "people.csv", "id\rcity\n7,Ustroń\n"), columns=PEOPLE).read(9) == [
        "7,Ustroń".encode()
    ]


FILES = st.lists(
    st.binary(max_size=40) | st.sampled_from([b'"', b"\n", b"\r", b",", b'7,"a\nb"\n', b"{}\n"]), max_size=30
)


@settings(max_examples=150, deadline=None, database=None)
@given(FILES.map(b"".join), st.booleans(), st.integers(1, 4))
def test_whatever_a_file_holds_every_byte_is_read_once(text: bytes, table: bool, size: int) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "any"
        file.write_bytes(b"id,mail,city\n" * table + text)
        columns = PEOPLE if table else None
        with closing(FileReader(file, columns=columns)) as reader:
            found = [record for records in iter(lambda: reader.read(size), []) for record in records]
            assert reader.cursor == (file.stat().st_size, len(found))
        with closing(FileReader(file, columns=columns)) as reader:
            assert reader.read(10**6) == found
        if not table:
            assert found == [line.strip() for line in text.split(b"\n") if line.strip()]
        assert all(cut_line(record).kind for record in found)
