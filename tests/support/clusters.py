"""The person lane as a cluster may run it: on Beam's TestStream, records scrambled between any two watermarks."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import told
from apache_beam import ParDo, Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.testing.test_stream import TestStream
from apache_beam.typehints.decorators import get_signature
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp
from holding import hold_watermarks

from pipelines.stream import Job, engage
from schemas.records import Block
from schemas.workspace import Tenant
from transforms.batches import Pull
from transforms.hand_over import HandOver

MOST_AT_ONCE = 40
"""Blocks between two watermarks."""


def job(tenant: Tenant, shards: int, order: str, grain: int = 100_000) -> Job:
    return replace(told.job(tenant, shards, "cells"), order=order, grain=grain)


def scrambled(blocks: Sequence[Block], seed: int) -> Iterator[tuple[list[Pull], int]]:
    """Pulls of single records in any order, and the time that all records after them have at least."""
    chance = random.Random(seed)
    start = 0
    while start < len(blocks):
        end = start + chance.randint(1, MOST_AT_ONCE)
        singles = [single for block in blocks[start:end] for single in _singles(block)]
        chance.shuffle(singles)
        yield list(_pulls(singles, chance)), (blocks[end].received_at if end < len(blocks) else 0)
        start = end


def _singles(block: Block) -> Iterator[Block]:
    for index, entry in enumerate(block.entries):
        yield Block(block.received_at, block.partition, block.first + index, [entry])


def _pulls(singles: list[Block], chance: random.Random) -> Iterator[Pull]:
    while singles:
        size = chance.randint(1, len(singles))
        yield Pull(singles[:size])
        del singles[:size]


def remember_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The direct runner asks for the signature of every method of a DoFn in every bundle: four fifths of its time."""
    known: dict[Any, Any] = {}

    def signature(function: Any) -> Any:
        name = getattr(function, "__func__", function), hasattr(function, "__self__")
        if name not in known:
            known[name] = get_signature(function)
        return known[name]

    monkeypatch.setattr("apache_beam.transforms.core.get_signature", signature)


def on_cluster(job: Job, blocks: Sequence[Block], seed: int, monkeypatch: pytest.MonkeyPatch) -> told.Told:
    """What the lane tells; every element is a bundle of its own."""
    hold_watermarks(monkeypatch)
    remember_signatures(monkeypatch)
    monkeypatch.setattr(HandOver, "expand", lambda self, batches: batches | "tap" >> ParDo(told._Tap(self.topic)))
    told.TAPPED.clear()
    stream = TestStream()
    for pulls, passed in scrambled(blocks, seed):
        for pull in pulls:
            oldest = min(block.received_at for block in pull.items)
            stream = stream.add_elements([pull], event_timestamp=Timestamp(micros=oldest))
        stream = stream.advance_watermark_to(Timestamp(micros=passed) if passed else MAX_TIMESTAMP)
    pipeline = Pipeline(runner=BundleBasedDirectRunner(), options=PipelineOptions(["--streaming"]))
    engage(pipeline | stream, job)
    pipeline.run().wait_until_finish()
    return told.Told(dict(told.TAPPED))
