"""Both row stores, one contract; then what only the one on disk can get wrong: restarts, compaction, damage."""

from __future__ import annotations

import errno
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from schemas.codec import unpack_many
from schemas.records import DAY, HOUR
from transforms.logic.shard import CONFLICT, NEW, REPEATED, Shard
from transforms.stores.follower import Follower
from transforms.stores.index import RowCollision, digest
from transforms.stores.log import LogBusy, LogReader
from transforms.stores.memory import MemoryRows
from transforms.stores.rows import Change, RowStore, StoreDamaged, StoreMismatch
from transforms.stores.transaction import Store, Transaction

NOON = 20_000 * DAY + 12 * HOUR


def opened(folder: Path, segment_bytes: int = 4096) -> RowStore:
    return RowStore(folder, graph="shop 1", sync=False, segment_bytes=segment_bytes)


@pytest.fixture(params=["memory", "disk", "disk, reopened"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    make: dict[str, Callable[[], Store]] = {
        "memory": MemoryRows,
        "disk": lambda: opened(tmp_path),
        "disk, reopened": lambda: Reopened(tmp_path),
    }
    made = make[request.param]()
    yield made
    made.close()


class Reopened(RowStore):
    """Closed and opened again before every look, so that nothing lives in memory only."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, graph="shop 1", sync=False)
        self.folder = folder

    def begin(self) -> Transaction:
        self.close()
        RowStore.__init__(self, self.folder, graph="shop 1", sync=False)
        return super().begin()


def put(store: Store, rows: dict[bytes, bytes | None], stamp: int | None = None) -> None:
    bundle = store.begin()
    bundle.put_many(rows)
    bundle.commit(store.stamp + 1 if stamp is None else stamp, b"position")


# --- the contract -----------------------------------------------------------------------------------------------------


def test_rows_are_there_after_the_commit(store: Store) -> None:
    assert store.position is None
    bundle = store.begin()
    bundle.put_many({b"ana": b"1", b"bob": b""})
    assert store.get_many([b"ana"]) == [None]
    bundle.commit(7, b"here")
    assert store.get_many([b"bob", b"ana", b"cid", b"ana"]) == [b"", b"1", None, b"1"]
    assert (store.position, store.stamp) == (b"here", 7)
    assert sorted(store.items()) == [(b"ana", b"1"), (b"bob", b"")]


def test_a_bundle_sees_its_own_changes(store: Store) -> None:
    put(store, {b"ana": b"1", b"bob": b"1"})
    bundle = store.begin()
    bundle.put_many({b"ana": b"2", b"bob": None, b"cid": b"3"})
    assert bundle.get_many([b"ana", b"bob", b"cid", b"dan"]) == [b"2", None, b"3", None]
    assert bundle.get_many([]) == []


def test_an_aborted_bundle_leaves_nothing(store: Store) -> None:
    put(store, {b"ana": b"1"})
    bundle = store.begin()
    bundle.wake_many([(5, b"ana")])
    bundle.commit(2, b"p")
    bundle = store.begin()
    bundle.put_many({b"ana": b"2"})
    assert bundle.due(9) == [(5, b"ana")]
    assert bundle.first_seen([1], [1], NOON) == [NEW]
    bundle.append("rows", ["row"])
    bundle.abort()
    assert bundle.get_many([b"ana"]) == [b"1"]
    assert bundle.due(9) == [(5, b"ana")]
    assert bundle.first_seen([1], [2], NOON) == [NEW]
    bundle.abort()


def test_a_deleted_row_is_gone(store: Store) -> None:
    put(store, {b"ana": b"1", b"bob": b"1"})
    put(store, {b"ana": None, b"never": None})
    assert store.get_many([b"ana", b"bob", b"never"]) == [None, b"1", None]
    put(store, {b"ana": b"back"})
    assert store.get_many([b"ana"]) == [b"back"]


def test_large_rows_and_long_keys(store: Store) -> None:
    rows = {b"k" * 60_000: b"v", b"large": b"w" * 5_000_000, b"": b"no key"}
    put(store, dict(rows))
    assert store.get_many(list(rows)) == list(rows.values())


def test_stages_have_rows_of_their_own_and_shards_share_them(store: Store) -> None:
    bundle = store.begin()
    bundle.shard("engage", 0).put_many({b"ana": b"life"})
    bundle.shard("identify", 0).put_many({b"ana": b"pointer"})
    assert bundle.shard("engage", 1).get_many([b"ana"]) == [b"life"]
    bundle.commit(1, b"p")
    assert store.get_many([b"engage/ana", b"identify/ana"]) == [b"life", b"pointer"]


def test_wakes_ring_once_in_order_and_only_on_their_shard(store: Store) -> None:
    bundle = store.begin()
    one, two = bundle.shard("engage", 1), bundle.shard("engage", 2)
    one.put_many(dict.fromkeys((b"ana", b"bob", b"cid"), b"row"))
    one.wake_many([(30, b"ana"), (10, b"cid"), (10, b"bob"), (10, b"bob")])
    two.wake_many([(20, b"ana")])
    bundle.commit(1, b"p")
    assert store.next_wake() == 10
    bundle = store.begin()
    one, two = bundle.shard("engage", 1), bundle.shard("engage", 2)
    assert (one.next_wake(), two.next_wake()) == (10, 20)
    assert one.due(9) == []
    assert one.due(29) == [(10, b"bob"), (10, b"cid")]
    assert one.due(29) == []
    assert one.next_wake() == 30
    assert two.due(100) == [(20, b"ana")]
    bundle.commit(2, b"p")
    assert store.next_wake() == 30
    bundle = store.begin()
    assert bundle.shard("engage", 2).due(100) == []
    assert bundle.shard("engage", 1).due(30) == [(30, b"ana")]


def test_a_wake_armed_in_the_bundle_rings_in_it(store: Store) -> None:
    bundle = store.begin()
    bundle.put_many({b"ana": b"row"})
    bundle.wake_many([(5, b"ana"), (50, b"ana")])
    assert bundle.next_wake() == 5
    assert bundle.due(10) == [(5, b"ana")]
    bundle.wake_many([(3, b"ana")])
    assert bundle.due(10) == [(3, b"ana")], "late, so it rings at the next look"
    bundle.wake_many([(4, b"ana")])
    bundle.commit(1, b"p")
    assert store.begin().due(60) == [(4, b"ana"), (50, b"ana")]


def test_a_wake_whose_row_is_gone_does_not_ring(store: Store) -> None:
    put(store, {b"ana": b"row", b"bob": b"row"})
    bundle = store.begin()
    bundle.wake_many([(5, b"ana"), (5, b"bob"), (5, b"nobody"), (6, b"later")])
    bundle.commit(2, b"p")
    put(store, {b"ana": None})
    bundle = store.begin()
    bundle.put_many({b"bob": None, b"later": b"row"})
    assert bundle.due(9) == [(6, b"later")]


def test_first_seen_tells_repeats_from_conflicts(store: Store) -> None:
    bundle = store.begin()
    assert bundle.first_seen([1, 2, 1, 2], [7, 0, 7, 1], NOON) == [NEW, NEW, REPEATED, CONFLICT]
    assert bundle.first_seen([2, 3], [0, 0], NOON) == [REPEATED, NEW]
    bundle.commit(1, b"p")
    bundle = store.begin()
    assert bundle.first_seen([0, 2**64 - 1, 1, 2], [0, 65535, 7, 9], NOON) == [NEW, NEW, REPEATED, CONFLICT]
    bundle.commit(2, b"p")
    bundle = store.begin()
    assert bundle.first_seen([0, 2**64 - 1], [0, 65535], NOON) == [REPEATED, REPEATED]
    assert bundle.shard("identify", 0).first_seen([0], [0], NOON) == [NEW], "stages do not share"
    assert bundle.shard("identify", 3).first_seen([0], [0], NOON) == [REPEATED], "shards do"


def test_what_was_seen_is_forgotten_after_seven_days(store: Store) -> None:
    bundle = store.begin()
    bundle.first_seen([1], [0], NOON)
    bundle.commit(1, b"p")
    bundle = store.begin()
    assert bundle.first_seen([1], [0], NOON + 7 * DAY) == [REPEATED]
    assert bundle.first_seen([1], [0], NOON + 8 * DAY) == [NEW]
    bundle.commit(2, b"p")
    assert store.begin().first_seen([1], [1], NOON + 15 * DAY) == [CONFLICT]


def test_records_are_handed_over_with_the_commit(store: Store, tmp_path: Path) -> None:
    for names in ([["a", "b"], ["c"]], [["d"]]):
        bundle = store.begin()
        for some in names:
            bundle.append("rows", some)
        bundle.append("intents", [])
        bundle.commit(store.stamp + 1, b"p")
    if isinstance(store, MemoryRows):
        assert store.topics == {"rows": ["a", "b", "c", "d"]}
        return
    reader = LogReader(tmp_path, topics={"rows"})
    parts = [frame.parts["rows"] for frame in reader.read()]
    assert [(part.first, part.count, unpack_many(part.payload, str)) for part in parts] == [
        (0, 3, ["a", "b", "c"]),
        (3, 1, ["d"]),
    ]
    reader.close()


def test_a_change_in_one_piece(store: Store) -> None:
    store.commit(Change(1, b"p", {b"ana": b"row"}, [(5, b"ana"), (9, b"ana")], {"intents": (b"packed", 2)}))
    assert store.due(7) == [(5, b"ana")]
    assert store.due(7) == []
    assert store.first_seen([4], [4], NOON) == [NEW]
    store.commit(Change(2, b"q", wakes=[(6, b"ana")]))
    assert store.due(20) == [(6, b"ana"), (9, b"ana")]
    assert store.first_seen([4], [4], NOON) == [REPEATED]


def test_a_stamp_that_falls_and_a_reserved_topic_are_refused(store: Store) -> None:
    put(store, {b"ana": b"1"}, stamp=10)
    with pytest.raises(ValueError, match="expected 10 or later, got 9"):
        put(store, {b"ana": b"2"}, stamp=9)
    with pytest.raises(ValueError, match="without a leading dot"):
        store.commit(Change(11, b"p", parts={".rows": (b"", 0)}))
    assert store.get_many([b"ana"]) == [b"1"]


def test_a_stage_shard_is_a_shard(store: Store) -> None:
    shard: Shard = store.begin().shard("engage", 0)
    assert shard.get_many([b"x"]) == [None]


# --- only on disk -----------------------------------------------------------------------------------------------------


def test_another_graph_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with pytest.raises(StoreMismatch, match=r"for graph 'shop 2' .* got 'shop 1'"):
        RowStore(tmp_path, graph="shop 2")
    opened(tmp_path).close()


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with pytest.raises(LogBusy):
        opened(tmp_path)
    store.close()


@pytest.mark.parametrize("save", [True, False], ids=["closed", "as if killed"])
def test_everything_survives_a_restart(tmp_path: Path, save: bool) -> None:
    for _ in range(3):
        store = opened(tmp_path)
        bundle = store.begin()
        before = bundle.get_many([b"ana"])[0] or b""
        assert bundle.due(store.stamp) == ([(1, b"ana")] if before else [])
        assert bundle.first_seen([5], [5], NOON) == [REPEATED if before else NEW]
        bundle.put_many({b"ana": before + b"x", b"%d" % store.stamp: b"y"})
        bundle.wake_many([(1, b"ana"), (10**9 + store.stamp, b"ana")])
        bundle.commit(store.stamp + 1, b"at %d" % store.stamp)
        store.close(save=save)
    store = opened(tmp_path)
    assert store.get_many([b"ana", b"0", b"1", b"2"]) == [b"xxx", b"y", b"y", b"y"]
    assert (store.position, store.stamp, len(store)) == (b"at 2", 3, 4)
    assert store.due(10**10) == [(1, b"ana"), *((10**9 + at, b"ana") for at in range(3))]
    store.close()


def churn(store: RowStore, rounds: int, model: dict[bytes, bytes], *, people: int = 40) -> None:
    """Many commits over few people, some of whom leave and some of whom never change again."""
    for number in range(store.stamp, store.stamp + rounds):
        key = b"person %d" % (number * 7 % people)
        rows: dict[bytes, bytes | None] = {key: b"%d " % number * 30, b"cold %d" % (number // 50): b"cold"}
        if number % 5 == 0:
            rows[b"person %d" % (number * 3 % people)] = None
        put(store, rows)
        for name, row in rows.items():
            if row is None:
                model.pop(name, None)
            else:
                model[name] = row


def test_compaction_bounds_the_log_and_keeps_every_row(tmp_path: Path) -> None:
    store, model = opened(tmp_path), dict[bytes, bytes]()
    bundle = store.begin()
    bundle.put_many({b"ana": b"row"})
    bundle.wake_many([(10**9, b"ana")])
    bundle.first_seen([5], [5], NOON)
    bundle.commit(1, b"p")
    churn(store, 1500, model)
    model[b"ana"] = b"row"
    size = sum(file.stat().st_size for file in tmp_path.glob("*.log"))
    assert size < 60_000 < 300_000 < store.end
    store.close(save=False)
    store = opened(tmp_path)
    assert dict(store.items()) == model
    assert store.due(10**9) == [(10**9, b"ana")]
    assert store.first_seen([5], [5], NOON) == [REPEATED]
    store.close()


def test_segments_stay_until_readers_have_passed(tmp_path: Path) -> None:
    store, model = opened(tmp_path), dict[bytes, bytes]()
    store.commit(Change(1, b"p", parts={"intents": (b"packed", 1)}))
    churn(store, 600, model)
    reader = LogReader(tmp_path, topics={"intents"})
    assert [frame.parts["intents"].payload for frame in reader.read()] == [b"packed"]
    store.keep_from(reader.address)
    churn(store, 600, model)
    late = LogReader(tmp_path, topics={"intents"})
    assert (late.read(), late.gap) == ([], True)
    assert dict(store.items()) == model
    reader.close()
    late.close()
    store.close()


@pytest.mark.parametrize("damage", ["newest", "cut", "all"])
def test_a_damaged_snapshot_costs_only_time(tmp_path: Path, damage: str) -> None:
    store, model = opened(tmp_path), dict[bytes, bytes]()
    store.commit(Change(1, b"p", parts={"intents": (b"packed", 1)}))  # so that nothing is dropped
    churn(store, 300, model)
    store.close()
    files = sorted(tmp_path.glob("*.snapshot"))
    assert len(files) == 2
    for file in files if damage == "all" else files[-1:]:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 4
        file.write_bytes(data if damage != "cut" else data[:-20])
    store = opened(tmp_path)
    assert dict(store.items()) == model
    churn(store, 300, model)
    store.close()
    store = opened(tmp_path)
    assert dict(store.items()) == model
    store.close()


def test_the_older_snapshot_is_enough_after_segments_were_dropped(tmp_path: Path) -> None:
    store, model = opened(tmp_path), dict[bytes, bytes]()
    churn(store, 900, model)
    store.close()
    assert min(tmp_path.glob("*.log")).stem != f"{0:020d}"
    max(tmp_path.glob("*.snapshot")).write_bytes(b"")
    store = opened(tmp_path)
    assert dict(store.items()) == model
    store.close(save=False)
    for file in tmp_path.glob("*.snapshot"):
        file.write_bytes(b"")
    with pytest.raises(StoreDamaged, match="restore the folder"):
        opened(tmp_path)


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_changes_nothing_and_the_bundle_may_be_tried_again(tmp_path: Path) -> None:
    store = opened(tmp_path, 1 << 20)
    bundle = store.begin()
    bundle.put_many({b"ana": b"1"})
    bundle.wake_many([(5, b"ana")])
    bundle.commit(1, b"p")
    bundle = store.begin()
    bundle.put_many({b"ana": b"2", b"bob": b"b" * 9000})
    assert bundle.due(7) == [(5, b"ana")]
    bundle.append("rows", ["row"])
    for _ in range(2):
        with files_no_larger_than(5000), pytest.raises(OSError) as failure:
            bundle.commit(2, b"q")
        assert failure.value.errno == errno.EFBIG
        assert store.get_many([b"ana", b"bob"]) == [b"1", None]
        assert (store.position, store.stamp, store.next_wake()) == (b"p", 1, 5)
    bundle.commit(2, b"q")
    store.close()
    store = opened(tmp_path)
    assert store.get_many([b"ana", b"bob"]) == [b"2", b"b" * 9000]
    assert (store.position, store.next_wake()) == (b"q", None)
    store.close()


def test_a_full_disk_during_a_snapshot_does_not_stop_commits(tmp_path: Path) -> None:
    store, model = opened(tmp_path, 2000), dict[bytes, bytes]()
    with files_no_larger_than(2600):
        churn(store, 400, model, people=200)
    assert not list(tmp_path.glob("*.draft"))
    store.close(save=False)
    store = opened(tmp_path)
    assert dict(store.items()) == model
    store.close()


# --- keys with one mark -----------------------------------------------------------------------------------------------


def coarse(key: bytes) -> bytes:
    """A hash that gives all keys with one first letter the same mark."""
    return digest(key[:1])


def test_keys_with_one_mark_keep_rows_of_their_own(tmp_path: Path) -> None:
    def colliding() -> RowStore:
        return RowStore(tmp_path, graph="g", sync=False, segment_bytes=2000, digest=coarse)

    store = colliding()
    put(store, {b"ana": b"1", b"bob": b"1"})
    assert store.get_many([b"ana", b"anton"]) == [b"1", None]
    put(store, {b"anton": None, b"bea": None})
    assert store.get_many([b"ana", b"bob"]) == [b"1", b"1"], "deleting a stranger harms nobody"
    put(store, {b"anton": b"2", b"anja": b"3"})
    put(store, {b"cid": b"1", b"carl": b"2"})
    everybody = {b"ana": b"1", b"bob": b"1", b"anton": b"2", b"anja": b"3", b"cid": b"1", b"carl": b"2"}
    assert dict(store.items()) == everybody
    bundle = store.begin()
    bundle.wake_many([(5, b"anton")])
    bundle.commit(store.stamp, b"p")
    for save in (False, True):
        store.close(save=save)
        store = colliding()
        assert store.get_many(list(everybody)) == list(everybody.values())
        assert store.begin().due(9) == [(5, b"anton")]
    for number in range(200):
        put(store, {b"dora": b"%d " % number * 20})
    follower = Follower(tmp_path, digest=coarse)
    assert follower.get_many(list(everybody)) == list(everybody.values())
    follower.close()
    assert store.get_many(list(everybody)) == list(everybody.values())
    put(store, {b"ana": None, b"anton": b"4"})
    assert store.get_many([b"ana", b"anton", b"anja"]) == [None, b"4", b"3"]
    store.close()


def test_a_mark_that_collides_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.stores.index._second", lambda key: 1)
    store = RowStore(tmp_path, graph="g", sync=False, digest=coarse)
    put(store, {b"ana": b"1"})
    put(store, {b"anton": b"2"})
    with pytest.raises(RowCollision, match="anja"):
        put(store, {b"anja": b"3"})
    assert store.get_many([b"ana", b"anton", b"anja"]) == [b"1", b"2", None]
    store.close()


# --- followers --------------------------------------------------------------------------------------------------------


def test_a_follower_sees_what_is_committed(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "store")
    assert follower.get(b"ana") is None
    store = opened(tmp_path / "store")
    put(store, {b"ana": b"1", b"bob": b"1"})
    assert follower.get(b"ana") is None
    follower.refresh()
    assert follower.get_many([b"ana", b"bob"]) == [b"1", b"1"]
    put(store, {b"ana": b"2", b"bob": None})
    follower.refresh()
    assert (dict(follower.items()), len(follower)) == ({b"ana": b"2"}, 1)
    follower.close()
    store.close()


def test_a_follower_survives_dropped_segments(tmp_path: Path) -> None:
    store, model = opened(tmp_path), dict[bytes, bytes]()
    churn(store, 5, model)
    sleepy, eager = Follower(tmp_path), Follower(tmp_path)
    for _ in range(20):
        churn(store, 60, model)
        eager.refresh()
        assert dict(eager.items()) == model
    assert min(tmp_path.glob("*.log")).stem > f"{0:020d}"
    gone = sleepy.get_many(list(model))
    assert set(gone) <= {None, *model.values()}
    sleepy.refresh()
    assert dict(sleepy.items()) == model
    late = Follower(tmp_path)
    assert dict(late.items()) == model
    for follower in (sleepy, eager, late):
        follower.close()
    store.close()


def test_a_follower_finds_a_row_whose_segment_just_went(tmp_path: Path) -> None:
    store, model = opened(tmp_path), dict[bytes, bytes]()
    put(store, {b"ana": b"cold"})
    follower = Follower(tmp_path)
    churn(store, 900, model)
    assert follower.get(b"ana") == b"cold", "from a file that is gone, or from its copy"
    follower.close()
    store.close()
