"""The same small graph on the embedded engine, on Beam's TestStream and on its Fn API runner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from apache_beam import Create, DoFn, ParDo, Pipeline
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.pvalue import PCollection
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from engine_stages import Listed

from pipelines.local.engine import Engine
from pipelines.local.runner import EmbeddedRunner, Limits
from schemas.records import SECOND, Block
from transforms.batches import BatchCoder, Pull
from transforms.sources.firehose import Firehose
from transforms.stores.memory import MemoryRows
from transforms.stores.transaction import Store

Build = Callable[[PCollection], dict[str, PCollection]]
"""A graph: from pulls to what shall be compared, by name."""

END = 100 * SECOND
_collected: dict[str, list[Any]] = defaultdict(list)


class Collect(DoFn):
    """Keeps what comes, in this process."""

    def __init__(self, name: str) -> None:
        self.name = name

    def process(self, value: Any) -> Iterator[None]:
        _collected[self.name].append(value)
        yield from ()


def on_engine(
    build: Build, blocks: Sequence[Block], at_once: int = 1, store: Store | None = None, end: int = END
) -> dict[str, list[Any]]:
    """What comes out, with `at_once` blocks in a bundle; then time goes on to `end`."""
    source = Listed(tuple(blocks), end, at_once)
    runner = EmbeddedRunner(MemoryRows() if store is None else store, Limits(bundle=1 << 40, idle=0))
    pipeline = Pipeline(runner, PipelineOptions([]))
    names = _collect(build(pipeline | "read" >> Firehose(source)))
    engine: Engine = runner.open(pipeline)
    try:
        engine.run_until_done()
    finally:
        engine.close()
    return _taken(names)


def on_test_stream(build: Build, blocks: Sequence[Block]) -> dict[str, list[Any]]:
    """What comes out of Beam's deterministic runner: a block at a time, the watermark right behind it."""
    stream = TestStream(coder=BatchCoder(Pull))
    for block in blocks:
        stream = stream.add_elements([TimestampedValue(Pull([block]), Timestamp(micros=block.received_at))])
        stream = stream.advance_watermark_to(_whole(block.received_at))
    last = _whole(blocks[0].received_at + END)
    stream = stream.advance_watermark_to(last).advance_watermark_to_infinity()
    options = PipelineOptions([])
    options.view_as(StandardOptions).streaming = True
    pipeline = Pipeline(runner=BundleBasedDirectRunner(), options=options)
    names = _collect(build(pipeline | "read" >> stream))
    pipeline.run().wait_until_finish()
    return _taken(names)


def on_fn_api(build: Build, blocks: Sequence[Block]) -> dict[str, list[Any]]:
    """What comes out of Beam's portable runner in this process, with the input at rest: no timers there."""

    def at_rest(pipeline: Pipeline) -> dict[str, PCollection]:
        pulls = Create([Pull([block]) for block in blocks], reshuffle=False).with_output_types(Pull)
        return build(pipeline | "read" >> pulls)

    return collected(at_rest, FnApiRunner())


def collected(build: Callable[[Pipeline], dict[str, PCollection]], runner: Any) -> dict[str, list[Any]]:
    """What comes out of a whole pipeline."""
    pipeline = Pipeline(runner, PipelineOptions([]))
    names = _collect(build(pipeline))
    pipeline.run().wait_until_finish()
    return _taken(names)


def _whole(time: int) -> Timestamp:
    """The millisecond before a time: TestStream takes no other watermarks."""
    return Timestamp(micros=time // 1000 * 1000)


def _collect(outputs: dict[str, PCollection]) -> list[str]:
    for name, values in outputs.items():
        _collected.pop(name, None)
        values | f"collect {name}" >> ParDo(Collect(name))
    return list(outputs)


def _taken(names: list[str]) -> dict[str, list[Any]]:
    return {name: _collected.pop(name, []) for name in names}
