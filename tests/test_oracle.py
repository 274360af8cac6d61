"""The stream decides what a second, slower mind decides that shares nothing with it but the records."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from oracle import Verdict, judge
from shop import SECRET
from told import Told, embedded, live, pulls_of
from worlds import TENANT, blocks

from pipelines.local.hostile import Hostile
from pipelines.local.runner import Hooks
from schemas.records import SECOND, Block
from transforms.logic import care

TENANTS = {TENANT.name: TENANT}


def differences(journal: Sequence[Block], told: Told) -> list[str]:
    """Everything in which stream and oracle are not of one mind about a journal."""
    verdict = judge(TENANTS, SECRET, journal, journal[-1].received_at)
    pairs: Iterable[tuple[str, Any, Any]] = (
        ("decisions", decisions(told), verdict.decisions),
        ("messages", messages(told), Counter(verdict.messages.items())),
        ("segments", segments(told), verdict.segments),
        ("regrets", regrets(told), verdict.regretted),
        ("records", dispositions(told, journal), Counter(verdict.dispositions.items())),
    )
    return [
        f"{name} {who}: {item}"
        for name, stream, oracle in pairs
        for who, more, less in (("only stream", stream, oracle), ("only oracle", oracle, stream))
        for item in (more - less).elements()
    ]


def decisions(told: Told) -> Counter[Any]:
    return Counter(
        (row.person, row.campaign, row.trigger, row.reason, row.decided_at) for row in told.decisions if row.final
    )


def messages(told: Told) -> Counter[Any]:
    return Counter((found.key, (found.campaign, found.to, found.decided_at)) for found in told.messages)


def segments(told: Told) -> Counter[Any]:
    return Counter((row.person, row.old, row.new, row.cause, row.as_of) for row in told.segments)


def regrets(told: Told) -> Counter[Any]:
    return Counter((row.person, row.campaign, row.trigger) for row in told.decisions if not row.final)


def dispositions(told: Told, journal: Sequence[Block]) -> Counter[Any]:
    final = {row.sequence: row.disposition for row in told.events if row.disposition != "forwarded"}
    return Counter(final.items())


def agree(seed: int) -> None:
    """Equal on a seed's world, and in random cuts over other shard counts."""
    journal, told = live(TENANT, blocks(seed))
    assert not differences(journal, told)
    chance = random.Random(seed)
    sizes = [chance.randint(1, 60) for _ in range(len(journal))]
    again = embedded(TENANT, pulls_of(journal, sizes), shards=chance.choice((1, 3, 5)))
    assert again.bytes() == told.bytes()


@pytest.mark.parametrize("seed", range(10))
def test_the_stream_is_of_one_mind_with_the_oracle(seed: int) -> None:
    agree(seed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(10))
def test_and_on_three_hundred_seeds(part: int) -> None:
    for seed in range(100 + 30 * part, 130 + 30 * part):
        agree(seed)


def test_a_wrong_rule_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(care, "_upsets", lambda moment: False)
    wrong = [seed for seed in range(3) if differences(*live(TENANT, blocks(seed)))]
    assert wrong


def test_worlds_hold_what_a_journal_may_hold() -> None:
    """The comparison would be hollow over journals in which nothing happens."""
    journal, told = live(TENANT, blocks(0))
    assert len(told.messages) > 30
    assert {"SENT", "NO_CONSENT", "EXCEPTION_EVENT"} <= {row.reason for row in told.decisions}
    assert {"applied", "filtered", "failed"} <= {row.disposition for row in told.events}
    assert told.segments
    assert isinstance(judge(TENANTS, SECRET, journal, journal[-1].received_at), Verdict)


# --- the hostile scheduler --------------------------------------------------------------------------------------------


def hasty_people(told: Told) -> set[str]:
    """People of whom two records arrived within the skew: only about them may a cluster decide differently."""
    found: set[str] = set()
    last: dict[str, int] = {}
    for row in sorted(told.events, key=lambda row: row.received_at):
        if row.person and row.received_at - last.get(row.person, -SECOND) < SECOND:
            found.add(row.person)
        last[row.person] = row.received_at
    return found


@pytest.mark.parametrize("seed", range(5))
def test_under_a_hostile_scheduler_only_disorder_makes_a_difference(seed: int) -> None:
    journal, told = live(TENANT, blocks(seed))
    hostile = Hostile(seed, discard=0.3, who=lambda item: getattr(item, "address", None) or getattr(item, "id", None))
    chance = random.Random(seed)
    sizes = [chance.randint(1, 40) for _ in range(len(journal))]
    wild = embedded(TENANT, pulls_of(journal, sizes), hooks=Hooks(schedule=hostile))
    differing = {row[0] for row in (decisions(told) - decisions(wild)) + (decisions(wild) - decisions(told))}
    assert differing <= hasty_people(told)
    assert bool(differing) <= bool(sum(hostile.disordered.values()))
    assert hostile.left, "expected attempts that were thrown away after their output had left"
    assert dispositions(wild, journal) == dispositions(told, journal)
