"""A bundle goes on as one batch a shard and in order, however many batches it came in."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
from apache_beam.coders import registry
from apache_beam.utils.timestamp import Timestamp
from engine_stages import Read, Tally, block, entry

from schemas.records import SECOND
from transforms import shards
from transforms.batches import Events, Pull
from transforms.held import Nonces
from transforms.shards import GatherDoFn, shard_of

SHARDS = 4
PEOPLE = [f"person-{number}" for number in range(40)]
PULLS = [Pull([block(number * SECOND, number, entry(who))]) for number, who in enumerate(PEOPLE)]
BATCHES = [batch for pull in PULLS for batch in Read().process(pull)]


def gathered(batches: Sequence[Events]) -> list[tuple[int, Events, Timestamp]]:
    """What one bundle of these batches, each a second younger than the one before, becomes."""
    gather = GatherDoFn(Tally, Events, SHARDS)
    gather.setup()
    gather.start_bundle()
    given = [each for second, batch in enumerate(batches) for each in gather.process(batch, Timestamp(second))]
    return [(*each.value, each.timestamp) for each in (*given, *gather.finish_bundle())]


def test_three_stages_get_no_more_batches_than_there_are_shards() -> None:
    batches = list(BATCHES)
    for _ in range(3):
        batches = [batch for _, batch, _ in gathered(batches)]
    assert len(batches) == SHARDS
    assert sorted(who for batch in batches for who in people(batch)) == sorted(PEOPLE)


def test_a_shard_gets_its_records_of_a_bundle_in_their_total_order() -> None:
    for shard, batch, time in gathered(BATCHES[::-1]):
        assert people(batch) == [who for who in PEOPLE if shard_of(who.encode(), SHARDS) == shard]
        assert time == Timestamp(0), "expected the oldest time: no runner may take it for late"


def test_a_bundle_without_end_goes_on_ahead_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "GATHERED", 10)
    batches = gathered(BATCHES)
    assert SHARDS < len(batches) <= SHARDS * len(PEOPLE) // 10
    assert sorted(who for _, batch, _ in batches for who in people(batch)) == sorted(PEOPLE)


def test_a_batch_is_not_encoded_to_be_weighed() -> None:
    coder = registry.get_coder(Events)
    batch = Events([object()] * 10)  # type: ignore[list-item]  # nothing that could be encoded
    assert coder.estimate_size(batch) == 10 * coder.estimate_size(Events(batch.items[:1])) > 0


def test_no_two_nonces_are_equal_in_any_process() -> None:
    nonce = Nonces()
    reading, writing = os.pipe()
    given = {nonce() for _ in range(1_000)}
    if not (child := os.fork()):
        os.write(writing, b"".join(nonce() for _ in range(1_000)))
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 1 << 20)
    given |= {theirs[at : at + 16] for at in range(0, len(theirs), 16)} | {nonce() for _ in range(1_000)}
    os.close(reading)
    os.close(writing)
    assert len(given) == 3_000


def people(batch: Events) -> list[str]:
    return [event.ids.customer for event in batch.items]
