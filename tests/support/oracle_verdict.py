"""What the oracle says should have become of a journal, and how it holds a record that has an address."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Arrival:
    """A record: what it says, when, and from whom. `link` is set on the ones that only join an address to another."""

    time: int
    sequence: int
    sub: int
    tenant: str
    trust: str
    kind: str
    id: str
    happened: int
    ids: dict[str, str]
    body: dict[str, Any]
    address: bytes = b""
    fact: Any = None
    link: bytes = b""
    past: dict[str, Any] | None = None
    hops: int = 0
    mark: str = ""  # what tells its repeats, where that is not its id
    places: tuple[int, ...] = ()  # where a forwarded record stood before
    first_time: int = 0  # when it first came, before any forward

    @property
    def sure(self) -> bool:
        """Whether somebody may be believed about somebody else: anybody but a browser."""
        return self.trust != "browser"


@dataclass
class Verdict:
    """What should have become of everything."""

    decisions: Counter[tuple[Any, ...]] = field(default_factory=Counter)  # (person, campaign, trigger, reason, at)
    messages: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """By key: campaign, to, variant, decided_at, expires_at, caused_at, suppression keys."""
    segments: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    """(person, old, new, cause, as_of, cuts, recency, frequency, monetary)"""
    lines: Counter[tuple[Any, ...]] = field(default_factory=Counter)  # (sequence, disposition, reason, person)
    regretted: Counter[tuple[Any, ...]] = field(default_factory=Counter)  # (person, campaign, trigger, at)
    returned: Counter[tuple[Any, ...]] = field(default_factory=Counter)  # (forward or handover, cause, address, hops)
    silenced: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    """(cause, where the person lives, addresses, pairs refused or none, said at, place of the record that said so)"""
    receipts: Counter[tuple[Any, ...]] = field(default_factory=Counter)  # (key, state, whether a reservation was found)

    def line(self, arrival: Arrival, person: str, disposition: str = "applied", reason: str = "") -> None:
        """One record's line, and those of the places that it was forwarded from."""
        for sequence in (arrival.sequence, *arrival.places):
            self.lines[sequence, disposition, reason, person] += 1
