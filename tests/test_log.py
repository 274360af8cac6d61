"""The log: what was committed is read by anybody, what was torn is cut, what is damaged is named."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.stores.frames import pack_frame, pack_segment_head, read_outline, read_segment_head
from transforms.stores.log import POINTS, Frame, LogBusy, LogCorrupt, LogReader, LogWriter, Part

ROOT = Path(__file__).parent.parent


def write(folder: Path, count: int, *, segment_bytes: int = 64 << 20, size: int = 40) -> list[Frame]:
    """Commit `count` frames with two topics, one of them in every second frame only."""
    writer = LogWriter(folder, segment_bytes=segment_bytes, sync=False)
    frames = []
    for number in range(count):
        parts = {"rows": (bytes([number % 256]) * size, 3)}
        if number % 2:
            parts["intents"] = (b"intent %d" % number, 1)
        frames.append(writer.append(writer.stamp + 10, parts))
        writer.commit()
    writer.close()
    return frames


def read(folder: Path, address: int = 0, topics: set[str] | None = None) -> list[Frame]:
    reader = LogReader(folder, address, topics)
    frames = []
    while some := reader.read(7):
        frames += some
    reader.close()
    return frames


def newest(folder: Path) -> Path:
    return max(folder.glob("*.log"))


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """A disk that is full at `size` bytes a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_was_committed_is_read(tmp_path: Path) -> None:
    frames = write(tmp_path, 20)
    assert read(tmp_path) == frames
    assert [frame.stamp for frame in frames] == list(range(10, 210, 10))
    assert [frame.parts["rows"].first for frame in frames] == list(range(0, 60, 3))
    assert [frame.parts["intents"].first for frame in frames if "intents" in frame.parts] == list(range(10))


def test_a_reader_sees_only_its_topics_and_passes_all_stamps(tmp_path: Path) -> None:
    write(tmp_path, 5)
    reader = LogReader(tmp_path, topics={"intents"})
    assert [list(frame.parts) for frame in reader.read()] == [["intents"], ["intents"]]
    assert (reader.stamp, reader.address) == (50, reader.end)
    assert reader.read() == []
    reader.close()


def test_a_reader_goes_on_where_it_stopped(tmp_path: Path) -> None:
    frames = write(tmp_path, 9, segment_bytes=200)
    reader = LogReader(tmp_path)
    assert reader.read(4) == frames[:4]
    assert read(tmp_path, reader.address) == frames[4:]
    reader.close()


def test_a_reader_may_come_before_the_writer(tmp_path: Path) -> None:
    reader = LogReader(tmp_path / "log")
    assert (reader.read(), reader.end) == ([], 0)
    frames = write(tmp_path / "log", 3)
    assert reader.read() == frames
    reader.close()


def test_what_is_not_committed_is_not_seen(tmp_path: Path) -> None:
    writer, reader = LogWriter(tmp_path), LogReader(tmp_path)
    first = writer.append(1, {"a": (b"x", 1)})
    assert reader.read() == []
    second = writer.append(1, {"a": (b"y", 1)})
    writer.commit()
    assert reader.read() == [first, second]
    writer.append(2, {"a": (b"never", 1)})
    writer.close()
    assert reader.read() == []
    assert LogWriter(tmp_path).numbers == {"a": 2}
    reader.close()


def test_discarded_frames_leave_no_trace(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path)
    writer.append(5, {"a": (b"x", 4)})
    writer.discard()
    assert (writer.stamp, writer.numbers) == (0, {})
    frame = writer.append(1, {"a": (b"y", 1)})
    writer.commit()
    writer.close()
    assert read(tmp_path) == [frame]


def test_a_frame_without_parts_is_a_tick(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path)
    tick = writer.append(7, {})
    writer.commit()
    reader = LogReader(tmp_path, topics={"records"})
    assert (reader.read(), reader.stamp, reader.address) == ([], 7, tick.end)
    assert read(tmp_path) == [tick]
    writer.close()
    reader.close()


def test_stamps_never_fall(tmp_path: Path) -> None:
    write(tmp_path, 2)
    writer = LogWriter(tmp_path)
    with pytest.raises(ValueError, match="expected 20 or later, got 19"):
        writer.append(19, {})
    writer.close()


@pytest.mark.parametrize("segment_bytes", [100, 1000, 64 << 20])
def test_a_restart_resumes_numbers_and_stamp(tmp_path: Path, segment_bytes: int) -> None:
    frames = write(tmp_path, 6, segment_bytes=segment_bytes) + write(tmp_path, 6, segment_bytes=segment_bytes)
    writer = LogWriter(tmp_path)
    assert (writer.stamp, writer.numbers, writer.end) == (120, {"rows": 36, "intents": 6}, frames[-1].end)
    writer.close()
    assert read(tmp_path) == frames


def test_a_topic_keeps_its_number_when_its_segments_are_gone(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, segment_bytes=10)
    writer.append(1, {"rare": (b"x", 5)})
    writer.commit()
    for stamp in range(2, 6):
        writer.append(stamp, {"rows": (b"y", 1)})
        writer.commit()
    writer.drop_before(writer.end)
    writer.close()
    assert LogWriter(tmp_path).numbers == {"rare": 5, "rows": 4}


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path)
    with pytest.raises(LogBusy, match=f"process {os.getpid()} is"):
        LogWriter(tmp_path)
    writer.close()
    LogWriter(tmp_path).close()


def test_dropped_segments_leave_a_gap(tmp_path: Path) -> None:
    frames = write(tmp_path, 10, segment_bytes=100)
    writer = LogWriter(tmp_path)
    writer.drop_before(frames[6].address)
    reader = LogReader(tmp_path, frames[1].address)
    kept = reader.read()
    assert reader.gap
    assert kept == frames[-len(kept) :]
    assert kept[0].address <= frames[6].address < kept[0].address + 300
    reader.close()
    exact = LogReader(tmp_path, kept[0].address)
    assert (exact.read(), exact.gap) == (kept, False)
    exact.close()
    writer.close()


def test_a_reader_finishes_a_segment_that_was_dropped_under_it(tmp_path: Path) -> None:
    frames = write(tmp_path, 9, segment_bytes=250)
    reader = LogReader(tmp_path)
    assert reader.read(1) == frames[:1]
    writer = LogWriter(tmp_path)
    writer.drop_before(writer.end)
    rest = reader.read()
    assert rest[0] == frames[1], "the open file is still there"
    assert rest[-1] == frames[-1]
    assert reader.gap, "but segments between were not"
    reader.close()
    writer.close()


def test_the_newest_segment_with_a_frame_always_stays(tmp_path: Path) -> None:
    frames = write(tmp_path, 3)
    writer = LogWriter(tmp_path)
    writer.drop_before(writer.end + 1000)
    writer.close()
    assert read(tmp_path) == frames


def test_a_tail_torn_at_any_byte_is_cut(tmp_path: Path) -> None:
    frames = write(tmp_path, 4)
    file, whole = newest(tmp_path), newest(tmp_path).read_bytes()
    head = (tmp_path / "head").read_bytes()
    last = frames[-1].address
    for length in range(last, frames[-1].end):
        file.write_bytes(whole[:length])
        (tmp_path / "head").write_bytes(last.to_bytes(8, "little"))
        writer = LogWriter(tmp_path, sync=False)
        assert (writer.end, writer.numbers, writer.stamp) == (last, {"rows": 9, "intents": 1}, 30)
        again = writer.append(40, {name: (part.payload, part.count) for name, part in frames[-1].parts.items()})
        writer.commit()
        writer.close()
        assert again == frames[-1]
        assert file.read_bytes() == whole
    assert (tmp_path / "head").read_bytes() == head


@pytest.mark.parametrize("tail", [b"\0" * 5000, b"RpF1" * 20, b"R"])
def test_a_tail_of_other_bytes_is_cut(tmp_path: Path, tail: bytes) -> None:
    frames = write(tmp_path, 3)
    with newest(tmp_path).open("ab") as file:
        file.write(tail)
    assert read(tmp_path) == frames, "readers stop at the published end"
    frames += write(tmp_path, 1)
    assert read(tmp_path) == frames


@pytest.mark.parametrize("content", [b"", b"RpS1", b"\0" * 300])
def test_a_torn_new_segment_is_removed(tmp_path: Path, content: bytes) -> None:
    frames = write(tmp_path, 3)
    (tmp_path / f"{frames[-1].end:020d}.log").write_bytes(content)
    frames += write(tmp_path, 2, segment_bytes=100)
    assert read(tmp_path) == frames


def test_frames_of_another_place_are_no_frames(tmp_path: Path) -> None:
    frames = write(tmp_path, 2)
    whole = newest(tmp_path).read_bytes()
    newest(tmp_path).write_bytes(whole + whole[frames[1].address : frames[1].end])
    writer = LogWriter(tmp_path)
    assert writer.end == frames[1].end
    writer.close()


@pytest.mark.parametrize("where", ["head", "payload"])
def test_damage_before_the_published_end_is_refused(tmp_path: Path, where: str) -> None:
    frames = write(tmp_path, 3)
    data = bytearray(newest(tmp_path).read_bytes())
    data[frames[1].address + 9 if where == "head" else frames[1].end - 1] ^= 1
    newest(tmp_path).write_bytes(data)
    with pytest.raises(LogCorrupt):
        read(tmp_path)
    with pytest.raises(LogCorrupt, match="restore the whole data folder"):
        LogWriter(tmp_path)


def test_damage_is_refused_without_syncs_too(tmp_path: Path) -> None:
    frames = write(tmp_path, 3)
    os.truncate(newest(tmp_path), frames[1].end + 5)
    with pytest.raises(LogCorrupt, match="rapport mend"):
        LogWriter(tmp_path, sync=False)
    assert newest(tmp_path).stat().st_size == frames[1].end + 5


# --- what no crash leaves ---------------------------------------------------------------------------------------------


def without_head(folder: Path) -> None:
    (folder / "head").unlink()


@pytest.mark.parametrize("segment_bytes", [100, 64 << 20])
def test_a_lost_head_is_found_again_by_the_frames(tmp_path: Path, segment_bytes: int) -> None:
    frames = write(tmp_path, 5, segment_bytes=segment_bytes)
    without_head(tmp_path)
    LogWriter(tmp_path).close()
    assert read(tmp_path) == frames


def test_a_lost_head_and_a_tail_torn_at_any_byte_are_mended(tmp_path: Path) -> None:
    frames = write(tmp_path, 3)
    file, data = newest(tmp_path), newest(tmp_path).read_bytes()
    for length in range(len(data)):
        file.write_bytes(data[:length])
        without_head(tmp_path)
        LogWriter(tmp_path).close()
        assert read(tmp_path) == [frame for frame in frames if frame.end <= length]
        file.touch()


@pytest.mark.parametrize("head", [True, False], ids=["old head", "lost head"])
def test_whole_frames_behind_damage_are_not_thrown_away(tmp_path: Path, head: bool) -> None:
    frames = write(tmp_path, 4)
    data = bytearray(newest(tmp_path).read_bytes())
    data[frames[1].end - 1] ^= 1
    newest(tmp_path).write_bytes(data)
    if head:
        (tmp_path / "head").write_bytes(frames[0].end.to_bytes(8, "little"))
    else:
        without_head(tmp_path)
    with pytest.raises(LogCorrupt, match=r"expected nothing but a commit cut short .*, got other bytes; restore"):
        LogWriter(tmp_path)
    with pytest.raises(LogCorrupt):
        LogWriter(tmp_path, sync=False)
    assert newest(tmp_path).read_bytes() == data


@pytest.mark.parametrize("tail", [b"\xff" * 50, b"hello", b"RpS1"])
def test_bytes_that_begin_no_frame_are_not_thrown_away(tmp_path: Path, tail: bytes) -> None:
    write(tmp_path, 2)
    with newest(tmp_path).open("ab") as file:
        file.write(tail)
    without_head(tmp_path)
    with pytest.raises(LogCorrupt):
        LogWriter(tmp_path)
    assert newest(tmp_path).read_bytes().endswith(tail)


def test_a_file_that_is_no_segment_is_not_thrown_away(tmp_path: Path) -> None:
    for junk in (b"junk", b"RpX1" * 9, b"\xff"):
        (tmp_path / f"{0:020d}.log").write_bytes(junk)
        with pytest.raises(LogCorrupt):
            LogWriter(tmp_path)
        assert newest(tmp_path).read_bytes() == junk


def test_frames_below_a_damaged_segment_head_are_not_thrown_away(tmp_path: Path) -> None:
    write(tmp_path, 2)
    data = bytearray(newest(tmp_path).read_bytes())
    data[10] ^= 1
    newest(tmp_path).write_bytes(data)
    without_head(tmp_path)
    with pytest.raises(LogCorrupt):
        LogWriter(tmp_path)
    assert newest(tmp_path).read_bytes() == data


# --- full disks, portions, bytes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fresh", [False, True], ids=["same segment", "new segment"])
def test_a_full_disk_changes_nothing_and_may_be_tried_again(tmp_path: Path, fresh: bool) -> None:
    write(tmp_path, 3)
    writer = LogWriter(tmp_path, segment_bytes=50 if fresh else 1 << 20)
    end, files = writer.end, {file: file.stat().st_size for file in tmp_path.glob("*.log")}
    large = writer.append(99, {"rows": (b"z" * 5000, 1)})
    for _ in range(2):
        with files_no_larger_than(2000), pytest.raises(OSError) as failure:
            writer.commit()
        assert failure.value.errno == errno.EFBIG
        assert writer.end == end
        assert [frame.stamp for frame in read(tmp_path)] == [10, 20, 30]
        assert {file: file.stat().st_size for file in files} == files
    writer.commit()
    writer.close()
    assert read(tmp_path)[-1] == large


def test_after_a_full_disk_other_frames_may_come(tmp_path: Path) -> None:
    frames = write(tmp_path, 3)
    writer = LogWriter(tmp_path, segment_bytes=50)
    writer.append(99, {"rows": (b"z" * 5000, 1)})
    with files_no_larger_than(2000), pytest.raises(OSError):
        writer.commit()
    writer.discard()
    writer.drop_before(writer.end)
    frames.append(writer.append(40, {"rows": (b"small", 1)}))
    writer.commit()
    writer.close()
    assert read(tmp_path) == frames
    assert LogWriter(tmp_path).numbers == {"rows": 10, "intents": 1}


def test_a_reader_does_not_keep_what_was_rewritten(tmp_path: Path) -> None:
    """Bytes of a failed commit lie behind the published end while a reader looks; later others stand there."""
    frames = write(tmp_path, 1)
    with newest(tmp_path).open("ab") as file:
        file.write(b"RpF1" * 25)
    reader = LogReader(tmp_path)
    assert reader.read() == frames
    frames = write(tmp_path, 1)
    assert reader.read() == frames
    reader.close()


def test_large_frames_are_read_in_portions(tmp_path: Path) -> None:
    frames = write(tmp_path, 6, size=3 << 20)
    reader = LogReader(tmp_path)
    assert len(reader.read()) == 3
    reader.close()
    assert read(tmp_path) == frames


@given(
    st.integers(0, 2**48),
    st.integers(0, 2**62),
    st.dictionaries(
        st.text(max_size=20), st.tuples(st.integers(0, 2**60), st.integers(0, 99), st.binary()), max_size=5
    ),
    st.data(),
)
@settings(max_examples=100, deadline=None)
def test_frames_survive_the_way_and_no_changed_bit_does(
    address: int, stamp: int, parts: dict[str, tuple[int, int, bytes]], data: st.DataObject
) -> None:
    frame, pieces = pack_frame(address, stamp, [(topic, Part(*part)) for topic, part in parts.items()])
    outline = read_outline(pieces[0], address)
    assert outline is not None
    assert (outline.end, outline.stamp) == (frame.end, stamp)
    assert frame.end - address == sum(map(len, pieces))
    assert [(entry.topic, entry.first, entry.count, entry.address) for entry in outline.entries] == [
        (topic, part.first, part.count, part.address) for topic, part in frame.parts.items()
    ]
    bit = data.draw(st.integers(0, 8 * len(pieces[0]) - 1))
    changed = bytearray(pieces[0])
    changed[bit // 8] ^= 1 << bit % 8
    assert read_outline(changed, address) is None


def test_a_segment_head_survives_the_way() -> None:
    packed = pack_segment_head(1 << 40, 77, {"rows": 9})
    head = read_segment_head(packed + b"frames")
    assert head is not None
    assert (head.start, head.stamp, head.numbers, head.end) == (1 << 40, 77, {"rows": 9}, (1 << 40) + len(packed))
    assert all(read_segment_head(packed[:length]) is None for length in range(len(packed)))


WRITER = """
import sys
from pathlib import Path
from transforms.stores.log import LogWriter
writer = LogWriter(Path(sys.argv[1]), segment_bytes=300)
for number in range(writer.numbers.get("rows", 0), 10):
    writer.append(number + 1, {"rows": (b"row %d" % number * 20, 1)})
    writer.commit()
    print(number, flush=True)
    writer.drop_before(writer.end - 700)
"""


@pytest.mark.parametrize("point", POINTS)
def test_a_writer_killed_anywhere_loses_nothing_that_it_confirmed(tmp_path: Path, point: str) -> None:
    told = -1
    for passes in (1, 2):
        environment = {**os.environ, "RAPPORT_FAULT": f"{point}:{passes}"}
        died = subprocess.run(
            [sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT, env=environment, capture_output=True, check=False
        )
        assert died.returncode == -9, died.stderr
        told = max([told, *map(int, died.stdout.split())])
        LogWriter(tmp_path).close()
        numbers = [frame.parts["rows"].first for frame in read(tmp_path)]
        assert numbers == list(range(numbers[0], numbers[-1] + 1)) if numbers else told == -1
        assert max(numbers, default=-1) >= told
