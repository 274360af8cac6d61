"""A damaged log: what can be read stays where it is, what cannot is set aside, and no number comes twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from transforms.stores.log import Frame, LogCorrupt, LogReader, LogWriter
from transforms.stores.mend import mend


def write(folder: Path, count: int, *, segment_bytes: int = 64 << 20) -> list[Frame]:
    """Commit frames of three records; every third is a tick."""
    writer = LogWriter(folder, segment_bytes=segment_bytes, sync=False)
    frames = []
    for number in range(count):
        frames.append(writer.append(writer.stamp + 10, {} if number % 3 == 2 else {"rows": (bytes([number]) * 40, 3)}))
        writer.commit()
    writer.close()
    return frames


def read(folder: Path, topic: str = "rows") -> list[Frame]:
    reader = LogReader(folder, 0, {topic})
    frames = reader.read(1000)
    reader.close()
    return frames


def with_rows(frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if frame.parts]


def flip(file: Path, address: int) -> bytes:
    data = bytearray(file.read_bytes())
    data[address] ^= 0xFF
    file.write_bytes(data)
    return bytes(data)


def only(folder: Path) -> Path:
    (file,) = folder.glob("*.log")
    return file


@pytest.mark.parametrize("offset", [0, 9, 40, -1], ids=["magic", "header", "directory", "payload"])
@pytest.mark.parametrize("broken", [0, 1, 2, 4])
def test_one_damaged_frame_leaves_all_others_where_they_were(tmp_path: Path, broken: int, offset: int) -> None:
    folder, frames = tmp_path / "log", write(tmp_path / "log", 9)
    hurt = frames[broken]
    damaged = flip(only(folder), min(hurt.end - 1, hurt.address + offset) if offset >= 0 else hurt.end - 1)
    (hole,) = mend(folder, tmp_path / "damaged", "rows")
    assert (hole.begin, hole.end) == (hurt.address, hurt.end)
    assert hole.copy.read_bytes() == damaged
    assert read(folder) == [frame for frame in with_rows(frames) if frame != hurt]
    LogWriter(folder).close()


def test_a_hole_before_other_records_says_how_many_are_lost(tmp_path: Path) -> None:
    frames = write(tmp_path / "log", 5)
    flip(only(tmp_path / "log"), frames[0].end - 1)
    assert [hole.records for hole in mend(tmp_path / "log", tmp_path / "damaged", "rows")] == [3]


def test_a_lost_end_gives_no_number_address_or_time_twice(tmp_path: Path) -> None:
    folder, frames = tmp_path / "log", write(tmp_path / "log", 8)
    os.truncate(only(folder), frames[3].end - 7)
    (hole,) = mend(folder, tmp_path / "damaged", "rows", (frames[-1].end + 500, 900))
    assert (hole.begin, hole.end) == (frames[3].address, frames[-1].end + 500)
    writer = LogWriter(folder)
    assert writer.end > frames[-1].end + 500
    assert writer.numbers["rows"] >= 3 * 6
    assert writer.stamp == 900
    fresh = writer.append(901, {"rows": (b"new", 1)})
    writer.commit()
    writer.close()
    assert read(folder) == [*with_rows(frames[:3]), fresh]


def test_damage_in_an_older_segment_is_mended_in_place(tmp_path: Path) -> None:
    folder, frames = tmp_path / "log", write(tmp_path / "log", 9, segment_bytes=200)
    files = sorted(folder.glob("*.log"))
    assert len(files) > 2
    flip(files[1], 150)
    start = int(files[1].stem)
    (hole,) = mend(folder, tmp_path / "damaged", "rows")
    assert start < hole.begin < hole.end <= int(files[2].stem)
    assert read(folder) == [frame for frame in with_rows(frames) if not hole.begin <= frame.address < hole.end]


def test_mending_twice_or_what_is_whole_changes_nothing(tmp_path: Path) -> None:
    folder, frames = tmp_path / "log", write(tmp_path / "log", 8)
    assert mend(folder, tmp_path / "damaged", "rows") == []
    os.truncate(only(folder), frames[3].end)
    assert mend(folder, tmp_path / "damaged", "rows")
    before = {file: file.read_bytes() for file in folder.glob("*.log")}
    assert mend(folder, tmp_path / "damaged", "rows") == []
    assert before == {file: file.read_bytes() for file in folder.glob("*.log")}


def test_a_damaged_segment_head_is_refused_and_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "log", 3)
    damaged = flip(only(tmp_path / "log"), 10)
    with pytest.raises(LogCorrupt, match="head of a segment"):
        mend(tmp_path / "log", tmp_path / "damaged", "rows")
    assert only(tmp_path / "log").read_bytes() == damaged
