"""Files as a source: every record once, from any byte on, also while somebody still writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

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
