"""The firehose on Beam's other runners: an unbounded read with checkpoints of our own bytes."""

from __future__ import annotations

import pytest
from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import PCollection
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp
from engine_runs import collected
from engine_stages import START, Listed, block, entry

from schemas.records import SECOND
from transforms.batches import BatchCoder, Pull
from transforms.sources.firehose import Firehose
from transforms.sources.source import Reader, Source
from transforms.sources.unbounded import AsReader, AsUnbounded, Place, PlaceCoder

SOURCE = Listed(tuple(block(number * SECOND, number, entry(f"p{number}")) for number in range(5)), at_once=2)


def test_the_fn_api_runner_reads_every_record_once_and_ends() -> None:
    def read(pipeline: Pipeline) -> dict[str, PCollection]:
        return {"pulls": pipeline | "read the journal" >> Firehose(SOURCE)}

    pulls = collected(read, FnApiRunner())["pulls"]
    assert [each.first for pull in pulls for each in pull.items] == [0, 1, 2, 3, 4]


def test_a_reader_goes_on_behind_its_checkpoint() -> None:
    source = AsUnbounded(SOURCE)
    coder = source.get_checkpoint_mark_coder()
    first = source.create_reader(None, None)
    assert first.get_watermark() == MIN_TIMESTAMP or first.get_watermark() == Timestamp(micros=START)
    assert first.start()
    assert first.get_current_timestamp() == Timestamp(micros=START)
    assert first.get_watermark() == Timestamp(micros=START + SECOND)
    mark = coder.decode(coder.encode(first.get_checkpoint_mark()))
    second = source.create_reader(None, mark)
    assert second.start()
    assert second.get_current().items[0].first == 2
    assert second.advance()
    assert not second.advance()
    assert second.get_watermark() == MAX_TIMESTAMP
    second.close()


def test_the_source_is_one_and_its_elements_are_pulls() -> None:
    source = AsUnbounded(SOURCE)
    assert list(source.split(20)) == [source]
    assert source.default_output_coder() == BatchCoder(Pull)
    pulls = Pipeline(FnApiRunner(), PipelineOptions([])) | Firehose(SOURCE)
    assert pulls.element_type is Pull


def test_a_checkpoint_of_another_form_is_refused() -> None:
    assert PlaceCoder().decode(PlaceCoder().encode(Place(b"here"))) == Place(b"here")
    with pytest.raises(ValueError, match="form 1"):
        PlaceCoder().decode(b"\x02here")


def test_a_source_in_parts_has_a_reader_for_each() -> None:
    parts = list(AsUnbounded(Halves()).split(20))
    assert [part.source for part in parts] == [SOURCE, SOURCE]


def test_a_server_is_told_of_a_position_once_it_is_durable_and_not_before() -> None:
    told: list[bytes] = []
    coder = PlaceCoder(Telling(told))
    mark = coder.decode(coder.encode(Place(b"here")))
    assert told == []
    mark.finalize_checkpoint()
    assert told == [b"here"]
    PlaceCoder(SOURCE).decode(coder.encode(Place(b"there"))).finalize_checkpoint()
    assert told == [b"here"]


def test_the_mark_that_beam_gets_from_a_reader_tells_the_server() -> None:
    told: list[bytes] = []
    reader = AsUnbounded(Telling(told)).create_reader(None, None)
    reader.start()
    mark = reader.get_checkpoint_mark()
    mark.finalize_checkpoint()
    assert told == [mark.position]


class Halves:
    """A source in two parts."""

    def open(self, position: bytes | None) -> Reader:
        return SOURCE.open(position)

    def parts(self) -> list[Source]:
        return [SOURCE, SOURCE]


class Telling:
    """A source whose server wants to know."""

    def __init__(self, told: list[bytes]) -> None:
        self.told = told

    def open(self, position: bytes | None) -> Reader:
        return SOURCE.open(position)

    def acknowledge(self, position: bytes) -> None:
        self.told.append(position)


class Slow:
    """A reader whose pulls come only at some looks."""

    def __init__(self, *pulls: Pull | None) -> None:
        self.pulls = list(pulls)

    def poll(self, limit: int) -> Pull | None:
        return self.pulls.pop(0) if self.pulls else None

    def position(self) -> bytes:
        return b"here"

    def watermark(self) -> int:
        return START

    def done(self) -> bool:
        return not self.pulls

    def close(self) -> None:
        """Nothing to free."""


def test_who_has_given_nothing_yet_waits_a_little_and_who_has_says_so_at_once() -> None:
    """On Flink each answer of nothing is a poll that a checkpoint keeps."""
    first, second = Pull([block(0, 0, entry("a"))]), Pull([block(SECOND, 1, entry("b"))])
    reader = AsReader(Slow(None, first, None, second, None, None, second))
    assert reader.start()
    assert reader.get_current() is first
    assert not reader.advance()
    assert reader.advance()
    assert reader.get_current() is second
    assert not reader.advance()
    reader.get_checkpoint_mark()
    assert reader.advance(), "expected a new bundle to wait for what comes"
    assert not reader.advance(), "expected no wait at the end of a source"
