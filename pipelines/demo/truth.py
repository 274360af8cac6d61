"""Compares what was planted in people's lives with what Rapport did, person by person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipelines.demo.scene import Planted
from schemas.keys import address_of
from schemas.workspace import Campaign


@dataclass(slots=True)
class Outcome:
    """What became of one person: how often each campaign was sent, and each (campaign, reason) refused."""

    sent: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many people's stories were over and as planted, how many go on, and what does not add up."""

    complete: int
    going_on: int
    differences: list[str]


class Register:
    """Who is who: from person ids and addresses to the people of the world."""

    def __init__(self, tenant: str, secret: bytes, planted: Iterable[Planted]) -> None:
        self._numbers: dict[str, int] = {}
        for each in planted:
            who = each.person
            names = (("customer", who.customer), ("email", who.email), ("handle", f"chirp:{who.handle}"))
            for kind, value in names:
                self._numbers[address_of(secret, tenant, kind, value).hex()] = who.number
            self._numbers[who.email] = who.number

    def number(self, name: str) -> int | None:
        """The number of the person whose id or e-mail address this is; None for somebody whom nobody planted."""
        return self._numbers.get(name)


def observe(
    register: Register, delivered: Iterable[tuple[str, str]], refused: Iterable[tuple[str, str, str]]
) -> tuple[dict[int, Outcome], list[str]]:
    """Outcomes by person number, and one sentence for each message to somebody whom nobody planted.

    `delivered` is (address, campaign) of each message at the sink, `refused` (person id, campaign, reason).
    """
    outcomes: dict[int, Outcome] = {}
    strangers = []
    for address, campaign in delivered:
        number = register.number(address)
        if number is None:
            strangers.append(f"{address}: expected no message, got {campaign}")
        else:
            outcomes.setdefault(number, Outcome()).sent[campaign] += 1
    for person, campaign, reason in refused:
        number = register.number(person)
        if number is not None:
            outcomes.setdefault(number, Outcome()).refused[campaign, reason] += 1
    return outcomes, strangers


def expected(planted: Planted, campaigns: Iterable[Campaign]) -> Outcome:
    """What a story must lead to, in the names of the workspace's live campaigns."""
    outcome = Outcome()
    for campaign in campaigns:
        if not campaign.live:
            continue
        outcome.sent[campaign.name] += planted.messages.count(campaign.trigger)
        for trigger, reason in planted.refusals:
            outcome.refused[campaign.name, reason] += trigger == campaign.trigger
    return Outcome(+outcome.sent, +outcome.refused)


def compare(
    people: Iterable[tuple[Planted, bool]], campaigns: Iterable[Campaign], outcomes: Mapping[int, Outcome]
) -> Comparison:
    """Hold every planted person against the outcome. The flag says that the person's story is over.

    While a story goes on nothing may be missed yet, but nothing beyond the planted may have happened either.
    """
    campaigns = tuple(campaigns)
    complete = going_on = 0
    differences: list[str] = []
    for planted, over in people:
        wanted = expected(planted, campaigns)
        found = outcomes.get(planted.person.number, Outcome())
        who = f"{planted.person.name} ({planted.story})"
        problems = [*_counts(who, "sent", wanted.sent, found.sent, over)]
        problems += _counts(who, "refused", _named(wanted.refused), _named(found.refused), over)
        differences += problems
        complete += over and not problems
        going_on += not over
    return Comparison(complete, going_on, differences)


def _named(refused: Counter[tuple[str, str]]) -> Counter[str]:
    return Counter({f"{campaign} for {reason}": number for (campaign, reason), number in refused.items()})


def _counts(who: str, verb: str, wanted: Counter[str], found: Counter[str], over: bool) -> list[str]:
    return [
        f"{who}: expected {what} to be {verb} {_times(wanted[what])}, got {_times(found[what])}"
        for what in sorted({*wanted, *found})
        if found[what] > wanted[what] or (over and found[what] < wanted[what])
    ]


def _times(number: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")
