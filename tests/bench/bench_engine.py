"""What the engine itself costs: µs a bundle through seven DoFns that do next to nothing, and events/s of a small stage.

python tests/bench/bench_engine.py
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from apache_beam import ParDo, Pipeline
from apache_beam.pvalue import PCollection

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "support")]

from engine_stages import Count, Listed, Nothing, Pass, Read, block, entry

from pipelines.local.runner import EmbeddedRunner, Limits, freeze
from transforms.batches import Events
from transforms.hand_over import HandOver
from transforms.shards import Keyed
from transforms.sources.firehose import Firehose
from transforms.stores.memory import MemoryRows
from transforms.stores.rows import RowStore
from transforms.stores.transaction import Store

PEOPLE = 10_000


@dataclass(frozen=True)
class Figures:
    """One run: CPU seconds of the process and wall seconds, by bundle and by event."""

    bundles: int
    events: int
    wall: float
    cpu: float


def seven(pipeline: Pipeline, source: Listed) -> None:
    """Seven DoFns: read, three that pass on, split, state, hand over."""
    batches = pipeline | "read" >> Firehose(source) | "cut" >> ParDo(Read()).with_output_types(Events)
    for number in range(3):
        batches = batches | f"pass {number}" >> ParDo(Pass()).with_output_types(Events)
    _state(batches, Nothing, "rows")


def counting(pipeline: Pipeline, source: Listed) -> None:
    """Read, count by person in four shards, hand over."""
    _state(pipeline | "read" >> Firehose(source) | "cut" >> ParDo(Read()).with_output_types(Events), Count, "rows")


def _state(batches: PCollection, stage: type[Nothing], state: str) -> None:
    kept = batches | "keep" >> Keyed(stage, Events, 4, state)
    kept.rows | "hand over" >> HandOver("rows")


def source(bundles: int, size: int) -> Listed:
    """Bundles of `size` events, a block each, drawn round-robin from the population with a stride."""
    blocks = []
    for number in range(bundles):
        first = number * size
        people = [f"p{(first + index) * 7919 % PEOPLE}" for index in range(size)]
        blocks.append(block((number + 1) * size * 1000, first, *(entry(person) for person in people)))
    return Listed(tuple(blocks), at_once=1)


def measure(build: Callable[[Pipeline, Listed], None], source: Listed, store: Store) -> Figures:
    """Run a graph to the end of its source."""
    pipeline = Pipeline(runner=EmbeddedRunner(store, Limits(bundle=10_000)))
    build(pipeline, source)
    engine = pipeline.runner.open(pipeline)
    freeze()
    wall, cpu = perf_counter(), _cpu()
    engine.run_until_done()
    figures = Figures(engine.figures.bundles, engine.figures.events, perf_counter() - wall, _cpu() - cpu)
    for step in engine._network.steps:
        print(f"    {step.spent / 1000 / figures.bundles:8.1f} µs a bundle  {step.label}")
    engine.close()
    return figures


def _log(folder: Path, *, sync: bool = True) -> RowStore:
    return RowStore(folder, graph="bench", sync=sync)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the figures."""
    tiny = source(5_000, 4)
    with TemporaryDirectory() as folder:
        for name, store in (("memory", MemoryRows()), ("a log without fdatasync", _log(Path(folder), sync=False))):
            print(f"bundles of 4 events, one a shard, through seven DoFns, kept in {name}")
            found = measure(seven, tiny, store)
            print(f"  {found.wall / found.bundles * 1e6:.0f} µs a bundle, the commit included\n")
    for size in (100, 1000):
        print(f"counting, {size} events a bundle, {PEOPLE} people, log on disk with fdatasync")
        with TemporaryDirectory() as folder:
            store = _log(Path(folder))
            found = measure(counting, source(200_000 // size, size), store)
            store.close()
        print(
            f"  {found.events / found.wall:,.0f} events/s, {found.events / found.cpu:,.0f} a CPU second, "
            f"{found.wall / found.bundles * 1e3:.2f} ms a bundle\n"
        )


if __name__ == "__main__":
    main()
