"""The journal: stamped once, numbered densely, read alike from every place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.codec import pack
from schemas.records import DAY, Entry
from transforms.batches import Pull
from transforms.logic.suppress import Change
from transforms.sources.journal import JournalSource
from transforms.stores.journal import Counts, Draft, Journal, Lane, last_counts, pack_place, suppressed_since
from transforms.stores.rows import RowStore
from transforms.stores.transaction import Change as Commit


def entry(name: str, kind: str = "track") -> Entry:
    return Entry(kind, "shop", "server", "test", 0, name.encode())


def draft(*names: str, kind: str = "track") -> Draft:
    return Draft([entry(name, kind) for name in names])


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path, sync=False)
    yield opened
    opened.close()


def names(pull: Pull) -> list[str]:
    return [entry.body.decode() for block in pull.items for entry in block.entries]


def test_a_frame_becomes_a_block_with_dense_numbers(journal: Journal, tmp_path: Path) -> None:
    journal.write(draft("a", "b"), 1000)
    journal.write(draft("c"), 2000)
    pull = JournalSource(tmp_path).open(None).poll(10)
    assert pull is not None
    assert [(block.received_at, block.partition, block.first, len(block.entries)) for block in pull.items] == [
        (1000, 0, 0, 2),
        (2000, 0, 2, 1),
    ]
    assert names(pull) == ["a", "b", "c"]


def test_stamps_rise_strictly_even_if_the_clock_stands_or_falls(journal: Journal, tmp_path: Path) -> None:
    for now in (1000, 1000, 500, 1001, 5000):
        journal.write(draft("x"), now)
    pull = JournalSource(tmp_path).open(None).poll(10)
    assert [block.received_at for block in pull.items] == [1000, 1001, 1002, 1003, 5000]


def test_a_pull_holds_whole_blocks_of_about_the_limit(journal: Journal, tmp_path: Path) -> None:
    for at in range(10):
        journal.write(draft(*(f"{at}-{n}" for n in range(3))), at)
    reader = JournalSource(tmp_path).open(None)
    assert [len(reader.poll(limit).items) for limit in (1, 4, 6, 100)] == [1, 2, 2, 5]
    assert reader.poll(1) is None


def test_reading_again_from_a_position_gives_the_same(journal: Journal, tmp_path: Path) -> None:
    for at in range(5):
        journal.write(draft(str(at)), at + 1)
    reader = JournalSource(tmp_path).open(None)
    reader.poll(2)
    place, mark = reader.position(), reader.watermark()
    rest = names(reader.poll(100))
    again = JournalSource(tmp_path).open(place)
    assert again.watermark() == mark == 2
    assert names(again.poll(100)) == rest == ["2", "3", "4"]


def test_ticks_move_the_watermark_and_nothing_else(journal: Journal, tmp_path: Path) -> None:
    journal.write(draft("a"), 1000)
    reader = JournalSource(tmp_path).open(None)
    reader.poll(10)
    journal.write(Draft(), 9000)
    assert reader.poll(10) is None
    assert reader.watermark() == 9000
    assert JournalSource(tmp_path).open(reader.position()).watermark() == 9000


def test_the_watermark_never_passes_what_was_not_given_yet(journal: Journal, tmp_path: Path) -> None:
    journal.write(draft("a"), 1000)
    journal.write(draft("b"), 2000)
    journal.write(Draft(), 3000)
    reader = JournalSource(tmp_path).open(None)
    reader.poll(1)
    assert reader.watermark() == 1000
    reader.poll(1)
    assert reader.watermark() in (2000, 3000)


def test_a_finite_reader_is_done_where_the_journal_ended(journal: Journal, tmp_path: Path) -> None:
    journal.write(draft("a"), 1000)
    journal.write(Draft(), 1500)
    reader = JournalSource(tmp_path, end=True).open(None)
    journal.write(draft("later"), 2000)
    assert not reader.done()
    assert names(reader.poll(10)) == ["a"]
    assert reader.poll(10) is None
    assert reader.done()
    assert 1000 <= reader.watermark() < 2000


def test_a_reader_may_come_before_the_journal(tmp_path: Path) -> None:
    reader = JournalSource(tmp_path / "journal").open(None)
    assert reader.poll(10) is None
    writer = Journal(tmp_path / "journal", sync=False)
    writer.write(draft("a"), 1000)
    assert names(reader.poll(10)) == ["a"]
    writer.close()


def test_a_second_start_goes_on_with_numbers_stamp_and_counts(tmp_path: Path) -> None:
    first = Journal(tmp_path, sync=False)
    first.write(draft("a", "b"), 1000)
    first.write(draft("f", kind="derived"), 2000)
    first.write(Draft([], [], {"person": (77, 5)}), 3000)
    first.write(Draft(), 4000)
    first.close()
    second = Journal(tmp_path, sync=False)
    assert second.counts == Counts(2, 1, {"person": (77, 5)})
    assert second.stamp == 4000
    second.write(draft("c"), 10)
    pull = JournalSource(tmp_path).open(None).poll(10)
    assert [block.first for block in pull.items] == [0, 2, 3]
    second.close()


def test_suppression_changes_get_the_numbers_of_their_records(journal: Journal, tmp_path: Path) -> None:
    journal.write(draft("a"), 1)
    told = journal.write(Draft([entry("b"), entry("c")], [Change(b"ana", 1, "news")]), 2)
    assert told == [Change(b"ana", 2, "news")]
    ((end, found),) = suppressed_since(tmp_path, 0)
    assert (end, found) == (journal.end, told)
    assert list(suppressed_since(tmp_path, end)) == []


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.stores.journal.SEGMENT_BYTES", 2000)


def test_only_segments_that_are_old_and_that_nobody_needs_go(tmp_path: Path, small_segments: None) -> None:
    journal = Journal(tmp_path, sync=False, keep=7 * DAY)
    for day in range(30):
        for _ in range(10):
            journal.write(draft("x" * 50), day * DAY)
    journal.drop((journal.end, 0))
    assert JournalSource(tmp_path).open(None).poll(1).items[0].first == 0, "a lane still needs everything"
    journal.drop((journal.end,))
    oldest = JournalSource(tmp_path).open(None).poll(1).items[0]
    assert 15 * DAY < oldest.received_at < 29 * DAY - 7 * DAY + 1000
    assert last_counts(tmp_path).external == 300
    journal.close()


def test_counts_survive_segments_that_hold_only_ticks(tmp_path: Path, small_segments: None) -> None:
    journal = Journal(tmp_path, sync=False, keep=0)
    journal.write(draft("a"), 1000)
    for tick in range(500):
        journal.write(Draft(), 2000 + tick)
        journal.drop((journal.end,))
    journal.close()
    assert last_counts(tmp_path).external == 1


def test_a_reader_whose_records_were_dropped_says_so(tmp_path: Path, small_segments: None) -> None:
    journal = Journal(tmp_path, sync=False, keep=0)
    for at in range(200):
        journal.write(draft("x" * 50), at)
    journal.drop((journal.end,))
    reader = JournalSource(tmp_path).open(pack_place(10, 1))
    assert reader.poll(1).items[0].first > 0
    assert reader.gap
    journal.close()


def test_a_lane_tells_how_far_it_has_come(journal: Journal, tmp_path: Path) -> None:
    folder = tmp_path / "person"
    lane = Lane(folder)
    assert lane.address() == 0
    store = RowStore(folder, graph="test", sync=False)
    assert lane.address() == 0
    store.commit(Commit(1, pack_place(123, 1)))
    assert lane.address() == 123
    store.commit(Commit(2, pack_place(456, 2)))
    store.close()
    assert lane.address() == Lane(folder).address() == 456
    lane.close()


def test_a_position_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="migrate"):
        JournalSource(Path("nowhere")).open(pack("x"))
