"""The oracle's lives: one address each; records and wakes come to it in order of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oracle_person import certain_mails, merged, nobody
from oracle_step import Step
from oracle_verdict import Arrival, Verdict

from schemas.keys import address_of
from schemas.records import CutsPublished, Handover, Receipt
from schemas.workspace import Cuts, Tenant

MOST_HOPS = 3


class World:
    """What every life shares: configuration, cut points, and people on their way to another address."""

    def __init__(self, tenants: Mapping[str, Tenant], secret: bytes, verdict: Verdict) -> None:
        self.tenants, self.secret, self.verdict = tenants, secret, verdict
        self.lives: dict[bytes, Life] = {}
        self.published: list[tuple[int, str, CutsPublished]] = []
        self.given_away: dict[bytes, dict[str, Any]] = {}

    def life(self, arrival: Arrival) -> Life:
        return self.lives.setdefault(arrival.address, Life(arrival.address, self))

    def mailbox(self, arrival: Arrival) -> bytes:
        """The address of the record's e-mail."""
        return address_of(self.secret, arrival.tenant, "email", arrival.ids["email"])

    def publish(self, arrival: Arrival) -> None:
        """Cut points hold from their place in the journal on; a version counts once."""
        self.verdict.line(arrival, "")
        known = any(name == arrival.tenant and cuts.version == arrival.fact.version for _, name, cuts in self.published)
        if not known:
            self.published.append((arrival.time, arrival.tenant, arrival.fact))

    def cuts(self, tenant: str, now: int, version: str = "") -> Cuts | CutsPublished | None:
        """Those in force (people are asked in journal order), or those of a version if they are known."""
        known = [cuts for time, name, cuts in self.published if name == tenant and time <= now]
        newest_first = [*reversed(known), self.tenants[tenant].policy.cuts]
        return next((cuts for cuts in newest_first if version in ("", cuts.version)), None)


@dataclass
class Life:
    """One address: nobody yet, a person, or an alias of a stronger address."""

    address: bytes
    world: World
    alias: bytes = b""
    person: dict[str, Any] | None = None

    def take(self, arrival: Arrival) -> None:
        self.pass_time(arrival.time, inclusive=False)
        if arrival.link:
            self._link(arrival)
        elif self.alias:
            self._forward(arrival, self.alias)
        elif arrival.kind == "signup" and not arrival.sure and self._somebody_else(arrival):
            self._forward(arrival, self.world.mailbox(arrival))
        elif isinstance(arrival.fact, Handover):
            self._move_in(arrival, self.world.given_away[arrival.fact.origin])
        elif self.person is None and isinstance(arrival.fact, Receipt):  # a receipt makes nobody
            self.world.verdict.line(arrival, "")
            self.world.verdict.receipts[arrival.fact.key, arrival.fact.state, False] += 1
        else:
            self.person = self.person or nobody(self.address.hex(), arrival)
            self.world.verdict.line(arrival, self.person["id"])
            self.person["last"] = arrival.time
            Step(self.world, self.person, arrival.time).apply(arrival)

    def pass_time(self, upto: int, *, inclusive: bool) -> None:
        """Ring the person's wakes before (or also at) a time, earliest first; segments before carts."""
        while self.person is not None:
            wakes = [(run["due"], 1, name) for name, run in self.person["runs"].items() if run["due"]]
            wakes += [(self.person["look"], 0, "")] if self.person["look"] else []
            if not wakes or min(wakes)[0] >= upto + inclusive:
                return
            due, _, campaign = min(wakes)
            self.person["last"] = now = max(due, self.person["last"])
            Step(self.world, self.person, now).ring(campaign)

    def _link(self, arrival: Arrival) -> None:
        """A server says that this address is somebody's: whoever lives here moves there. The first word stays."""
        if self.alias:
            return
        if self.person is not None:
            self.world.given_away[self.address] = self.person
            self.world.verdict.returned["handover", arrival.id, arrival.link, 0] += 1
        self.person, self.alias = None, arrival.link

    def _somebody_else(self, arrival: Arrival) -> bool:
        """Whether a browser signs somebody verified up with a mailbox that is not known to be theirs."""
        mail = arrival.ids.get("email", "")
        if not mail or self.person is None or not self.person["verified"]:
            return False
        return mail not in certain_mails(self.person) and self.world.mailbox(arrival) != self.address

    def _forward(self, arrival: Arrival, target: bytes) -> None:
        verdict = self.world.verdict
        if arrival.hops >= MOST_HOPS:
            verdict.line(arrival, "", "failed", "identity_loop")
            return
        verdict.returned["forward", arrival.id, target, arrival.hops + 1] += 1
        verdict.lines[arrival.sequence, "forwarded", "", ""] += 1

    def _move_in(self, arrival: Arrival, other: dict[str, Any]) -> None:
        """Somebody was handed over: to a vacant address as they are, else into the person who lives there."""
        vacant, self.person = self.person is None, self.person or other
        self.world.verdict.line(arrival, self.person["id"])
        self.person["last"] = arrival.time
        step = Step(self.world, self.person, arrival.time, arrival)
        if not vacant:
            merged(self.person, other, arrival.time)
            step.score("order")
        self.person["homes"].append(arrival.fact.origin)
        step.warn(step.stands(), step.waits())
