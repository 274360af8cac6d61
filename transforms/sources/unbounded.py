"""Our firehose as a Beam `UnboundedSource`, for runners that have no reading of their own."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic, sleep
from typing import Any

from apache_beam.coders import Coder
from apache_beam.io.unbounded_source import CheckpointMark, UnboundedReader, UnboundedSource
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp

from transforms.batches import BatchCoder, Pull
from transforms.sources.source import Acknowledged, Parted, Reader, Source

FORM = b"\x01"
PULL = 1_000
"""About how many records a pull holds."""
PATIENCE, LOOK = 0.25, 0.005
"""Seconds that a reader with nothing to give waits before it says so, and between looks."""


class Place(CheckpointMark):
    """A position of our reader. `source` is told once it is durable, where its server wants to know."""

    def __init__(self, position: bytes, source: Acknowledged | None = None) -> None:
        self.position = position
        self._source = source

    def finalize_checkpoint(self) -> None:
        if self._source is not None:
            self._source.acknowledge(self.position)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and self.position == other.position

    def __hash__(self) -> int:
        return hash(self.position)


class PlaceCoder(Coder):
    """Bytes of a place: a version byte and the position. What was decoded may be finalized, too: `source` is told."""

    def __init__(self, source: Source | None = None) -> None:
        self._told = source if isinstance(source, Acknowledged) else None

    def encode(self, place: Place) -> bytes:
        return FORM + place.position

    def decode(self, encoded: bytes) -> Place:
        if encoded[:1] != FORM:
            raise ValueError(f"expected a checkpoint of form {FORM[0]}, got {encoded[:1]!r}; migrate first")
        return Place(encoded[1:], self._told)

    def is_deterministic(self) -> bool:
        return True


class AsUnbounded(UnboundedSource):
    """A `Source` for Beam: one element a pull."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def split(self, desired_num_splits: int, options: Any = None) -> Iterable[AsUnbounded]:  # noqa: ARG002
        """A reader for each part, however many are asked for: order is kept within a part."""
        return [AsUnbounded(part) for part in self.source.parts()] if isinstance(self.source, Parted) else [self]

    def create_reader(self, options: Any, checkpoint_mark: CheckpointMark | None) -> AsReader:  # noqa: ARG002
        position = checkpoint_mark.position if isinstance(checkpoint_mark, Place) else None
        told = self.source if isinstance(self.source, Acknowledged) else None
        return AsReader(self.source.open(position), told)

    def get_checkpoint_mark_coder(self) -> Coder:
        return PlaceCoder(self.source)

    def default_output_coder(self) -> Coder:
        return BatchCoder(Pull)


class AsReader(UnboundedReader):
    """A `Reader` for Beam, which finalizes the very marks that it gets here: they tell `told`."""

    def __init__(self, reader: Reader, told: Acknowledged | None = None) -> None:
        self._reader, self._told = reader, told
        self._pull: Pull | None = None
        self._gave = False  # something since the last checkpoint

    def start(self) -> bool:
        return self.advance()

    def advance(self) -> bool:
        self._pull = self._reader.poll(PULL)
        if self._pull is None and not self._gave:
            self._pull = self._awaited()
        self._gave = self._gave or self._pull is not None
        return self._pull is not None

    def _awaited(self) -> Pull | None:
        """What comes within `PATIENCE`: on Flink each answer of nothing costs a checkpoint about a kilobyte."""
        until, pull = monotonic() + PATIENCE, None
        while pull is None and monotonic() < until and not self._reader.done():
            sleep(LOOK)
            pull = self._reader.poll(PULL)
        return pull

    def get_current(self) -> Pull:
        if self._pull is None:
            raise ValueError("expected a pull after start or advance said True, but there is none")
        return self._pull

    def get_current_timestamp(self) -> Timestamp:
        return Timestamp(micros=self.get_current().items[0].received_at)

    def get_watermark(self) -> Timestamp:
        if self._pull is None and self._reader.done():
            return MAX_TIMESTAMP
        watermark = self._reader.watermark()
        return Timestamp(micros=watermark) if watermark else MIN_TIMESTAMP

    def get_checkpoint_mark(self) -> Place:
        self._gave = False
        return Place(self._reader.position(), self._told)

    def close(self) -> None:
        self._reader.close()
