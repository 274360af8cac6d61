"""Discover: pulls of the journal become typed records of one lane. No state, no order needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from apache_beam import DoFn, ParDo, PTransform
from apache_beam.metrics import Metrics
from apache_beam.pvalue import PCollection, TaggedOutput

from transforms.batches import Pull, emit, typed
from transforms.logic.discover import LISTEN, PERSON, discover


class Discovered(NamedTuple):
    """What discover hands over; `events` is empty in the listen lane, `mentions` in the person lane."""

    events: PCollection
    mentions: PCollection
    rows: PCollection
    failures: PCollection


class Discover(PTransform):
    """Pulls to `Discovered`. `lane` is listen or person."""

    def __init__(self, lane: str) -> None:
        super().__init__()
        if lane not in (LISTEN, PERSON):
            raise ValueError(f"lane: expected {LISTEN} or {PERSON}, got {lane!r}")
        self._lane = lane

    def expand(self, pulls: PCollection) -> Discovered:
        read = ParDo(_Read(self._lane)).with_outputs(*Discovered._fields)
        found = typed(pulls | "read the records" >> read, Discovered._fields)
        return Discovered(*(found[tag] for tag in Discovered._fields))


class _Read(DoFn):
    """One pull in, at most one batch of each kind out; amended times are counted for whoever watches the job."""

    def __init__(self, lane: str) -> None:
        self._lane = lane

    def process(self, pull: Pull) -> Iterator[TaggedOutput]:
        notes = Counter[str]()
        outputs = discover(pull.items, self._lane, notes)
        for note, count in notes.items():
            Metrics.counter("discover", note).inc(count)
        return emit(outputs)
