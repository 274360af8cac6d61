"""The bundle loop: one transaction a bundle, however the input is cut; poison, full disks, restarts, figures."""

from __future__ import annotations

import errno
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from engine_job import crowd, rows_of, wire
from engine_stages import START, Listed, block, entry

from pipelines.local.engine import Engine
from pipelines.local.poison import Placed
from pipelines.local.runner import EmbeddedRunner, Hooks, Limits
from schemas.records import SECOND, EventRow, Failure
from transforms.sources.source import Source
from transforms.stores.memory import MemoryRows
from transforms.stores.rows import RowStore, StoreMismatch
from transforms.stores.transaction import Work


def engine(source: Source, store: Any, limits: Limits | None = None, hooks: Hooks | None = None) -> Engine:
    limits = limits or Limits(bundle=1 << 40, idle=0, pause=lambda _: None)
    pipeline = Pipeline(EmbeddedRunner(store, limits, hooks), PipelineOptions([]))
    wire(pipeline, source)
    return pipeline.runner.open(pipeline)


def finish(source: Source, store: Any, limits: Limits | None = None, hooks: Hooks | None = None) -> Engine:
    running = engine(source, store, limits, hooks)
    try:
        running.run_until_done()
    finally:
        running.close()
    return running


def told(store: MemoryRows) -> list[Any]:
    return sorted(store.topics["rows"], key=repr)


class Cut:
    """The same source, cut at random places; what remains may wait."""

    def __init__(self, source: Listed, seed: int) -> None:
        self._source, self._seed = source, seed

    def open(self, position: bytes | None) -> Any:
        reader, chance = self._source.open(position), random.Random(self._seed)
        poll = reader.poll
        reader.poll = lambda limit: poll(chance.choice([1, 2, 7, 50])) if chance.random() < 0.8 else None  # type: ignore[method-assign]
        return reader


@pytest.mark.parametrize("seed", range(6))
def test_results_do_not_depend_on_how_the_input_is_cut(seed: int) -> None:
    source = Listed(crowd(seed), 4000 * SECOND)
    whole = MemoryRows()
    finish(source, whole)
    assert len(told(whole)) > 400
    for cut in range(3):
        store = MemoryRows()
        finish(Cut(source, cut), store)
        assert told(store) == told(whole)
        assert rows_of(store) == rows_of(whole)


def test_other_shard_counts_give_the_same_rows() -> None:
    source, stores = Listed(crowd(1), 4000 * SECOND), [MemoryRows(), MemoryRows()]
    for shards, store in zip((1, 7), stores, strict=True):
        pipeline = Pipeline(EmbeddedRunner(store), PipelineOptions([]))
        wire(pipeline, source, shards)
        pipeline.runner.open(pipeline).run_until_done()
    assert rows_of(stores[0]) == rows_of(stores[1])
    assert told(stores[0]) == told(stores[1])


def test_time_moves_only_behind_the_records_of_a_pull() -> None:
    """Ana comes back in the microsecond in which she would be called still: the record goes first."""
    store = MemoryRows()
    finish(Listed((block(0, 0, entry("ana")), block(10 * SECOND, 1, entry("ana"))), 15 * SECOND, at_once=1), store)
    assert [row.type for row in store.topics["rows"] if row.type in ("click", "still")] == ["click", "click"]


# --- restarts ---------------------------------------------------------------------------------------------------------


def test_a_restart_goes_on_with_state_timers_and_position(tmp_path: Path) -> None:
    blocks = crowd(3)
    expected = MemoryRows()
    finish(Listed(blocks, 4000 * SECOND), expected)
    for part in (20, 60, len(blocks)):
        store = RowStore(tmp_path, graph="test", sync=False)
        end = 4000 * SECOND if part == len(blocks) else 0
        finish(Listed(blocks[:part], end, at_once=3), store)
        store.close()
    assert rows_of(RowStore(tmp_path, graph="test")) == rows_of(expected)


def test_a_store_of_another_graph_is_refused(tmp_path: Path) -> None:
    def open_store(graph: str) -> RowStore:
        return RowStore(tmp_path, graph=graph, sync=False)

    source = Listed((block(0, 0, entry("ana")),))
    for shards in (3, 4):
        pipeline = Pipeline(EmbeddedRunner(open_store), PipelineOptions([]))
        wire(pipeline, source, shards)
        if shards == 3:
            running = pipeline.runner.open(pipeline)
            running.run_until_done()
            running._store.close()
    with pytest.raises(StoreMismatch, match="move the folder away"):
        pipeline.runner.open(pipeline)


# --- poison -----------------------------------------------------------------------------------------------------------


def test_a_record_that_no_stage_can_take_becomes_one_failure_and_the_rest_goes_on() -> None:
    blocks = (
        block(0, 0, entry("ana"), entry("bo", "poison"), entry("cy")),
        block(SECOND, 3, entry("bo", "poison")),
        block(2 * SECOND, 4, entry("ana"), entry("ana", "fail"), entry("bo", "and poison")),
    )
    for at_once in (1, 3):
        store = MemoryRows()
        running = finish(Listed(blocks, 0, at_once), store)
        lines = store.topics["rows"]
        failures = [line for line in lines if isinstance(line, Failure)]
        assert [(each.stage, each.reason, each.sequence) for each in failures if each.stage == "engine"] == [
            ("engine", "poison", 1),
            ("engine", "poison", 3),
            ("engine", "poison", 6),
        ]
        assert next(each.body for each in failures if each.stage == "engine") == b"bo poison"
        assert [each.stage for each in failures].count("tally") == 1
        clicks = [line.person for line in lines if isinstance(line, EventRow) and line.type == "click"]
        assert sorted(clicks) == ["ana", "ana", "cy"]
        assert running.figures.poison == 3


def test_the_lane_says_what_is_written_for_poison() -> None:
    def refuse(placed: Placed, error: Exception) -> list[Any]:
        return [f"{placed.sequence}: {error}"]

    store = MemoryRows()
    finish(Listed((block(0, 4, entry("bo", "poison")),)), store, hooks=Hooks(refuse=refuse))
    assert store.topics["rows"] == ["4: no stage can take this"]


@pytest.mark.parametrize("machine", ["broken", "small"])
def test_trouble_with_the_machine_is_no_record_s_fault(machine: str) -> None:
    store = MemoryRows()
    with pytest.raises((OSError, MemoryError), match="no such luck"):
        finish(Listed((block(0, 0, entry("ana")), block(1, 1, entry("bo", f"{machine} machine"))), at_once=1), store)
    assert [row.person for row in store.topics["rows"]].count("bo") == 0
    assert store.position == (1).to_bytes(8)


# --- a full disk ------------------------------------------------------------------------------------------------------


class FullDisk(MemoryRows):
    """Refuses the commits with these numbers."""

    def __init__(self, refused: Sequence[int]) -> None:
        super().__init__()
        self._refused, self._commits = set(refused), 0

    def write(self, work: Work, stamp: int, position: bytes) -> None:
        self._commits += 1
        if self._commits in self._refused:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(work, stamp, position)


def test_a_full_disk_stops_intake_loudly_and_loses_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source, status, waits = Listed(crowd(5), 4000 * SECOND, at_once=9), tmp_path / "person.json", list[str]()

    def pause(_: float) -> None:
        waits.append(msgspec.json.decode(status.read_bytes())["trouble"])

    expected, store = MemoryRows(), FullDisk([3, 4, 5, 9])
    finish(source, expected)
    running = finish(source, store, Limits(bundle=1 << 40, pause=pause), Hooks(status=status))
    assert told(store) == told(expected)
    assert rows_of(store) == rows_of(expected)
    assert len([wait for wait in waits if "No space left" in wait]) == 4
    assert "intake stands still" in caplog.text
    assert running.figures.trouble == ""


def test_a_stop_while_the_disk_is_full_leaves_the_last_commit() -> None:
    store = FullDisk(range(2, 1000))
    running = engine(Listed(crowd(5), at_once=2), store)
    with pytest.raises(OSError, match="No space"):
        running.run(lambda: store._commits > 4)
    assert store.position == (2).to_bytes(8)


# --- figures, retention, threads --------------------------------------------------------------------------------------


def test_figures_are_written_for_people(tmp_path: Path) -> None:
    file = tmp_path / "status" / "person.json"
    hooks = Hooks(status=file, head=lambda: START + 99 * SECOND)
    finish(Listed((block(0, 0, entry("ana"), entry("bo")),), 60 * SECOND), MemoryRows(), hooks=hooks)
    figures = msgspec.json.decode(file.read_bytes())
    assert (figures["events"], figures["bundles"], figures["watermark"]) == (2, 1, START + 60 * SECOND)
    assert figures["lag"] == 39 * SECOND
    assert any(label.startswith("tally") for label in figures["stages"])


class Kept(MemoryRows):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[int] = []

    def keep_from(self, address: int) -> None:
        self.kept.append(address)


def test_the_store_hears_which_frames_are_still_needed() -> None:
    store = Kept()
    finish(Listed((block(5, 0, entry("ana")),)), store, hooks=Hooks(keep_from=lambda stamp: stamp - START))
    assert store.kept == [5]


def test_a_pipeline_runs_in_a_thread_until_its_source_ends() -> None:
    store = MemoryRows()
    pipeline = Pipeline(EmbeddedRunner(store), PipelineOptions([]))
    wire(pipeline, Listed((block(0, 0, entry("ana")),), 60 * SECOND))
    assert pipeline.run().wait_until_finish() == "DONE"
    assert len(store.topics["rows"]) == 4


class Endless(Listed):
    def open(self, position: bytes | None) -> Any:
        reader = super().open(position)
        reader.done = lambda: False  # type: ignore[method-assign]
        return reader


def test_a_running_pipeline_can_be_cancelled() -> None:
    store = MemoryRows()
    pipeline = Pipeline(EmbeddedRunner(store), PipelineOptions([]))
    wire(pipeline, Endless((block(0, 0, entry("ana")),)))
    result = pipeline.run()
    assert result.state == "RUNNING"
    assert result.cancel() == "CANCELLED"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_ends_a_job_is_raised_to_whoever_waits() -> None:
    pipeline = Pipeline(EmbeddedRunner(MemoryRows()), PipelineOptions([]))
    wire(pipeline, Listed((block(0, 0, entry("bo", "broken machine")),)))
    result = pipeline.run()
    with pytest.raises(OSError, match="no such luck"):
        result.wait_until_finish()
    assert result.state == "FAILED"


class Telling:
    """A source whose server wants to know; each word is kept with what the store had committed then."""

    def __init__(self, source: Listed, store: MemoryRows) -> None:
        self._source, self._store = source, store
        self.words: list[tuple[bytes, bytes | None]] = []

    def open(self, position: bytes | None) -> Any:
        return self._source.open(position)

    def acknowledge(self, position: bytes) -> None:
        self.words.append((position, self._store.position))


def test_a_source_is_told_what_is_committed_and_nothing_else() -> None:
    store = MemoryRows()
    source = Telling(Listed(crowd(1), 4000 * SECOND), store)
    finish(source, store, Limits(bundle=3, idle=0, pause=lambda _: None))
    assert source.words
    assert all(told == committed for told, committed in source.words)
    assert source.words[-1][0] == store.position
    finish(again := Telling(Listed(crowd(1), 4000 * SECOND), store), store)
    assert again.words == [(store.position, store.position)]  # after a crash the last word may not have been said
