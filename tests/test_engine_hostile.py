"""The hostile scheduler is hostile, within its bounds, and counts what it does; the job stands it."""

from __future__ import annotations

import pytest
from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from engine_job import crowd, rows_of, wire
from engine_stages import Listed, block, entry

from pipelines.local.hostile import SKEW, Hostile, Skewed
from pipelines.local.runner import EmbeddedRunner, Hooks, Limits
from schemas.records import SECOND, Entry, Event, EventRow
from transforms.sources.source import Source
from transforms.stores.memory import MemoryRows

END = 4000 * SECOND


def person_of(entry: Entry) -> bytes:
    return entry.body.split(b" ")[0]


def initial(item: Event) -> str:
    return item.ids.customer[:1]


def run(source: Source, schedule: Hostile | None = None) -> MemoryRows:
    store = MemoryRows()
    hooks = Hooks(schedule=schedule) if schedule else Hooks()
    pipeline = Pipeline(EmbeddedRunner(store, Limits(idle=0), hooks), PipelineOptions([]))
    wire(pipeline, source)
    pipeline.runner.open(pipeline).run_until_done()
    return store


def of_people(store: MemoryRows) -> list[str]:
    """What the first stage told of each person: it depends on that person's own order alone."""
    return sorted(repr(row) for row in store.topics["rows"] if not (isinstance(row, EventRow) and len(row.person) == 1))


def disordered(store: MemoryRows) -> int:
    return sum(isinstance(row, EventRow) and row.reason == "disordered" for row in store.topics["rows"])


@pytest.mark.parametrize("seed", range(5))
def test_what_depends_on_one_person_only_stays_exact_and_the_rest_is_counted(seed: int) -> None:
    source = Listed(crowd(seed), END)
    calm, hostile = run(source), Hostile(seed, who=initial)
    stormy = run(Skewed(source, seed, person_of), hostile)
    assert of_people(stormy) == of_people(calm)
    people = [{key: row for key, row in rows_of(store).items() if key.startswith(b"tally")} for store in (calm, stormy)]
    assert people[0] == people[1]
    counted = {step.split("/")[0]: count for step, count in hostile.disordered.items()}
    assert counted["chain"] == disordered(stormy) > 0 == disordered(calm)


def test_attempts_that_are_thrown_away_leave_ghosts_but_no_trace_in_the_state() -> None:
    source = Listed(crowd(2), END)
    hostile = Hostile(2, discard=0.6, who=initial)
    store = run(Skewed(source, 2, person_of), hostile)
    assert hostile.left["rows"]
    ghosts = hostile.ghosts("rows", store.topics["rows"])
    assert ghosts  # a chain told by an attempt in another order
    assert all(len(ghost.person) == 1 for ghost in ghosts)
    assert of_people(store) == of_people(run(source))


def test_the_same_seed_does_the_same() -> None:
    source = Listed(crowd(4), END)
    first, second = (run(Skewed(source, 7, person_of), Hostile(7)) for _ in range(2))
    assert first.topics == second.topics


def test_partitions_keep_their_order_and_stay_within_the_skew() -> None:
    reader = Skewed(Listed(crowd(6), END), 6, person_of).open(None)
    newest, last, watermark, total = 0, dict[bytes, int](), 0, 0
    while not reader.done():
        before = watermark
        for each in pull.items if (pull := reader.poll(1000)) else ():
            person = person_of(each.entries[0])
            assert each.received_at > before
            assert last.get(person, -1) < each.first
            assert newest - each.received_at <= SKEW
            last[person], newest, total = each.first, max(newest, each.received_at), total + 1
        watermark = reader.watermark()
    assert total == sum(len(each.entries) for each in crowd(6))


def test_a_skewed_reader_goes_on_at_its_position() -> None:
    skewed = Skewed(Listed(crowd(8), END), 8, person_of)
    reader, read = skewed.open(None), list[int]()
    while not reader.done():
        pull = reader.poll(1000)
        read += [each.first for each in pull.items] if pull else []
        reader = skewed.open(reader.position())
    assert sorted(read) == list(range(len(read)))
    assert len(read) == sum(len(each.entries) for each in crowd(8))


def test_one_partition_is_calm() -> None:
    source = Listed((block(0, 0, entry("ana"), entry("bo")), block(1, 2, entry("ana"))))
    reader = Skewed(source, 1, partitions=1).open(None)
    read = list[int]()
    while not reader.done():
        pull = reader.poll(10)
        read += [each.first for each in pull.items] if pull else []
    assert read == [0, 1, 2]
