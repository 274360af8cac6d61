"""Any history of commits, aborts, restarts and damage against a plain model; and real kills at every fault point."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from schemas.records import DAY
from transforms.stores.follower import Follower
from transforms.stores.index import digest
from transforms.stores.memory import MemoryRows
from transforms.stores.rows import POINTS, RowStore
from transforms.stores.transaction import NEVER
from transforms.stores.wakes import Wakes

ROOT = Path(__file__).parent.parent
KEYS = st.sampled_from([b"%c%d" % (letter, number) for letter in b"abc" for number in range(6)])
LANES = st.sampled_from([("engage", 0), ("engage", 1), ("identify", 0)])
TIMES = st.integers(0, 60)


def coarse(key: bytes) -> bytes:
    """Of each stage, four keys share one mark with two others."""
    return digest(key[-1:] if key[-1:] in b"01" and key[-2:-1] in b"ab" else key)


class Twins(RuleBasedStateMachine):
    """A store on disk and its twin in memory take the same bundles, and agree whatever happens between."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.memory = MemoryRows()
        self.stamp = self.day = 0

    @initialize()
    def start(self) -> None:
        self.open()
        self.follower = Follower(Path(self.folder.name), digest=coarse)
        self.begin()

    def open(self) -> None:
        self.disk = RowStore(Path(self.folder.name), graph="g", sync=False, segment_bytes=900, digest=coarse)

    def begin(self) -> None:
        self.bundles = self.memory.begin(), self.disk.begin()

    def both(self, lane: tuple[str, int], call: str, *arguments: Any) -> Any:
        """Ask the same shard of both; they must say the same."""
        expected, got = (getattr(bundle.shard(*lane), call)(*arguments) for bundle in self.bundles)
        assert got == expected
        return got

    @rule(lane=LANES, rows=st.dictionaries(KEYS, st.none() | st.binary(max_size=300), max_size=8))
    def put(self, lane: tuple[str, int], rows: dict[bytes, bytes | None]) -> None:
        self.both(lane, "get_many", list(rows)[::2])
        self.both(lane, "put_many", rows)

    @rule(lane=LANES, keys=st.lists(KEYS, max_size=8))
    def get(self, lane: tuple[str, int], keys: list[bytes]) -> None:
        self.both(lane, "get_many", keys)

    @rule(lane=LANES, wakes=st.lists(st.tuples(TIMES, KEYS), max_size=8))
    def arm(self, lane: tuple[str, int], wakes: list[tuple[int, bytes]]) -> None:
        rowless = {key for (_, key), row in zip(wakes, self.rows_of(lane, wakes), strict=True) if row is None}
        self.both(lane, "wake_many", [wake for wake in wakes if wake[1] not in rowless])

    def rows_of(self, lane: tuple[str, int], wakes: list[tuple[int, bytes]]) -> list[bytes | None]:
        return self.both(lane, "get_many", [key for _, key in wakes])

    @rule(lane=LANES, upto=TIMES)
    def ring(self, lane: tuple[str, int], upto: int) -> None:
        self.both(lane, "due", upto)

    @rule(lane=LANES, upto=TIMES)
    def look(self, lane: tuple[str, int], upto: int) -> None:
        self.both(lane, "next_wake")

    @rule(lane=LANES, ids=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2)), max_size=8), day=st.integers(0, 3))
    def see(self, lane: tuple[str, int], ids: list[tuple[int, int]], day: int) -> None:
        self.day = max(self.day, self.stamp // 4 + day)  # the journal's time never falls
        now = self.day * DAY
        self.both(lane, "first_seen", [number for number, _ in ids], [body for _, body in ids], now)

    @rule()
    def commit(self) -> None:
        self.stamp += 1
        for bundle in self.bundles:
            bundle.commit(self.stamp, b"%d" % self.stamp)
        self.begin()

    @rule()
    def abort(self) -> None:
        for bundle in self.bundles:
            bundle.abort()

    @rule(saved=st.booleans(), damage=st.booleans())
    def restart(self, saved: bool, damage: bool) -> None:
        self.disk.close(save=saved)
        snapshots = sorted(Path(self.folder.name).glob("*.snapshot"))
        if damage and len(snapshots) > 1:
            snapshots[-1].write_bytes(snapshots[-1].read_bytes()[:-1])
        segments = sorted(Path(self.folder.name).glob("*.log"))
        if damage and segments:
            with segments[-1].open("ab") as log:
                log.write(b"RpF1 torn")
        self.open()
        self.begin()

    @rule()
    def follow(self) -> None:
        self.follower.refresh()
        assert dict(self.follower.items()) == dict(self.memory.items())

    @invariant()
    def committed_rows_are_equal(self) -> None:
        if hasattr(self, "disk"):
            assert dict(self.disk.items()) == dict(self.memory.items())
            assert len(self.disk) == len(self.memory)
            assert self.disk.position == self.memory.position

    def teardown(self) -> None:
        if hasattr(self, "disk"):
            self.follower.close()
            self.disk.close()
        self.folder.cleanup()


def test_disk_and_memory_are_twins() -> None:
    run_state_machine_as_test(Twins, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))


@pytest.mark.slow
def test_disk_and_memory_are_twins_for_long() -> None:
    run_state_machine_as_test(Twins, settings=settings(max_examples=300, stateful_step_count=100, deadline=None))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 1000), st.integers(1, 400)), max_size=30), st.integers())
@settings(max_examples=60, deadline=None)
def test_packed_wakes_equal_a_list(history: list[tuple[bool, int, int]], seed: int) -> None:
    wakes, plain, chance = Wakes(), Counter[tuple[int, int]](), np.random.default_rng(abs(seed))
    for arm, time, count in history:
        if arm:
            due = chance.integers(0, 1000, count)
            marks = chance.integers(0, 50, count).astype(np.uint64)
            wakes.arm(due, marks)
            plain.update(zip(due.tolist(), marks.tolist(), strict=True))
        else:
            ripe = wakes.ripe(time // 2, time)
            expected = {wake: times for wake, times in plain.items() if time // 2 < wake[0] <= time}
            assert Counter(zip(ripe.due.tolist(), ripe.marks.tolist(), strict=True)) == expected
            wakes.take(time)
            plain = Counter({wake: times for wake, times in plain.items() if wake[0] > time})
        assert len(wakes) == plain.total()
        assert wakes.earliest(500) == min((due for due, _ in plain if due > 500), default=NEVER)


WRITER = """
import sys
from pathlib import Path
from transforms.stores.rows import RowStore
store = RowStore(Path(sys.argv[1]), graph="g", segment_bytes=1500)
for number in range(store.stamp, store.stamp + 60):
    bundle = store.begin()
    total = int(bundle.get_many([b"total"])[0] or 0) + len(bundle.due(number))
    key = b"person %d" % (number % 7)
    bundle.put_many({key: b"%d " % number * 20, b"total": b"%d" % total, b"cold %d" % number: b"c"})
    bundle.wake_many([(number + 3, key)])
    bundle.first_seen([number], [number % 9], number)
    bundle.commit(number + 1, b"%d" % (number + 1))
    print(number + 1, flush=True)
store.close()
"""


@pytest.mark.parametrize("point", POINTS)
def test_a_store_killed_anywhere_keeps_each_commit_whole(tmp_path: Path, point: str) -> None:
    for passes in (1, 2, 7):
        environment = {**os.environ, "RAPPORT_FAULT": f"{point}:{passes}"}
        died = subprocess.run(
            [sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT, env=environment, capture_output=True, check=False
        )
        assert died.returncode == -9, died.stderr
        told = max(map(int, died.stdout.split()), default=0)
        store = RowStore(tmp_path, graph="g", sync=False, segment_bytes=1500)
        done = store.stamp
        assert done >= told
        assert store.position == (b"%d" % done if done else None)
        keys = [b"cold %d" % number for number in range(done + 1)]
        assert store.get_many(keys) == [b"c"] * done + [None]
        assert all(store.get_many([b"person %d" % (n % 7)]) == [b"%d " % n * 20] for n in range(max(0, done - 7), done))
        assert store.get_many([b"total"]) == [b"%d" % max(0, done - 3) if done else None]
        assert store.due(done + 5) == [(n + 3, b"person %d" % (n % 7)) for n in range(max(0, done - 3), done)]
        assert store.first_seen(range(done + 1), [n % 9 for n in range(done + 1)], 0) == [1] * done + [0]
        store.close(save=False)
