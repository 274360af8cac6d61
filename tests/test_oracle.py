"""The stream decides what a second, slower mind decides that shares nothing with it but the schemas.

Two kinds of journals: the demo's worlds, whose stories keep out of each other's way, and wild ones, in which anything
may happen to a few people. The stream reads each also in random cuts over other shards, and must tell the same bytes.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest
import worlds
from compared import differences
from told import Told, embedded, live, pulls_of
from wild import WILD, answers, wild

from schemas.records import Block
from schemas.workspace import Tenant

Journal = tuple[Tenant, list[Block], Told]


def wild_journal(seed: int) -> Journal:
    return WILD, *live(WILD, wild(seed), answers(seed))


def demo_journal(seed: int) -> Journal:
    return worlds.TENANT, *live(worlds.TENANT, worlds.blocks(seed))


def agree(tenant: Tenant, journal: Sequence[Block], told: Told, seed: int) -> None:
    """Equal to the oracle, and the same bytes in random cuts over other shards."""
    assert differences(tenant, journal, told) == []
    chance = random.Random(seed)
    sizes = [chance.randint(1, 60) for _ in range(len(journal))]
    again = embedded(tenant, pulls_of(journal, sizes), shards=chance.choice((1, 3, 4)))
    assert again.bytes() == told.bytes()


@pytest.mark.parametrize("seed", range(20))
def test_the_stream_is_of_one_mind_with_the_oracle(seed: int) -> None:
    agree(*wild_journal(seed), seed)


@pytest.mark.parametrize("seed", range(2))
def test_and_on_worlds_of_the_demo(seed: int) -> None:
    agree(*demo_journal(seed), seed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(10))
def test_and_on_three_hundred_seeds(part: int) -> None:
    for seed in range(100 + 30 * part, 130 + 30 * part):
        agree(*wild_journal(seed), seed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_and_on_thirty_worlds_of_the_demo() -> None:
    for seed in range(100, 130):
        agree(*demo_journal(seed), seed)


def test_wild_journals_hold_what_may_happen() -> None:
    """The comparison would be hollow over journals in which nothing happens."""
    runs = [wild_journal(seed)[2] for seed in range(20)]
    reasons = Counter(row.reason for told in runs for row in told.decisions if row.final)
    assert set(reasons) == {
        "SENT", "PAUSED", "TOO_LATE", "EXPIRED", "IDENTITY_LOW", "SUPPRESSED", "NO_CONSENT", "UNREACHABLE",
        "EXCEPTION_EVENT", "NOT_REENTRANT", "CARE_HOLD", "CONTROL", "CAPPED",
    }  # fmt: skip
    assert {row.cause for told in runs for row in told.segments} == {"order", "decay", "recut"}
    assert {row.disposition for told in runs for row in told.events} == {"applied", "filtered", "failed", "forwarded"}
    assert any(not row.final for told in runs for row in told.decisions), "expected reminders that were regretted"
    assert any(back.original is None for told in runs for back in told.feedback), "expected people handed over"
    assert any(message.variant == "late" for told in runs for message in told.messages)
