"""The stream decides what a second, slower mind decides that shares nothing with it but the schemas.

Two kinds of journals: the demo's worlds, whose stories keep out of each other's way, and wild ones, in which anything
may happen to a few people. The stream reads each also in random cuts over other shards, and must tell the same bytes.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import pytest
import worlds
from compared import differences
from told import Told, embedded, live, pulls_of
from wild import WILD, answers, wild

from schemas.records import Block
from schemas.workspace import Tenant
from transforms.logic import (
    abandoned_cart,
    caps,
    care,
    cart,
    consent,
    gates,
    identity,
    merge,
    rfm,
    rfm_transition,
    silence,
    trails,
)

Journal = tuple[Tenant, list[Block], Told]


def wild_journal(seed: int) -> Journal:
    return WILD, *live(WILD, wild(seed), answers(seed))


as_it_is = cache(wild_journal)
"""With the rules as they are."""


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
    agree(*as_it_is(seed), seed)


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
    runs = [as_it_is(seed)[2] for seed in range(20)]
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


# --- a wrong rule is noticed ------------------------------------------------------------------------------------------


def _mistimed(count: Callable[..., int | None]) -> Callable[..., int | None]:
    """Counts what was refused, too."""
    return lambda send, now: send.decided if send.state == "refused" else count(send, now)


def _first_login(named: Callable[..., trails.Trail], trail: trails.Trail, *more: Any) -> trails.Trail:
    return trail if trail.pointer else named(trail, *more)


WRONG: dict[str, tuple[Any, str, Any]] = {
    "no caps": (caps, "is_capped", lambda *_: False),
    "refused sends count": (caps, "counts_at", _mistimed(caps.counts_at)),
    "no care hold": (care, "_upsets", lambda moment: False),
    "a browser may widen consent": (consent, "_widens", lambda *_: False),
    "verified people get mail where a browser says": (identity, "trusted", lambda known: known),
    "a sign-up is about whom it names": (merge, "at_home", lambda *_: None),
    "the older word counts": (consent, "rank", lambda word: (-word.at, not word.accept, 0)),
    "nobody is suppressed": (consent, "is_suppressed", lambda *_: False),
    "the door is told of no refusal": (silence, "hand_back", lambda *_: None),
    "nobody is in control": (gates, "is_control", lambda *_: False),
    "bought things stay in the cart": (cart, "_left", lambda held, order: held),
    "any ended cart regrets": (abandoned_cart, "_was_over", lambda *_: True),
    "recency is a day off": (rfm, "bisect_left", rfm.bisect_right),
    "segments need not hold": (rfm_transition, "HOLD", rfm_transition.HOLD // 2),
    "a merge forgets who was told what": (merge, "_latest", lambda mine, other: mine),
    "a cookie leads to its first login": (trails, "named", partial(_first_login, trails.named)),
}


RARE = ("refused sends count", "any ended cart regrets", "a merge forgets who was told what")
"""Wrong rules that take many seeds to show."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in RARE else []) for name in WRONG]
)
def test_a_wrong_rule_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, rule, wrong = WRONG[name]
    monkeypatch.setattr(module, rule, wrong)
    found = next((seed for seed in range(100) if differences(*wild_journal(seed))), None)
    assert found is not None, f"expected a difference with {rule} wrong"
