"""What a rule sees: one person at one instant, what just happened to them, and where to put what follows."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from schemas.records import DAY, Consent, Event
from schemas.workspace import Campaign, Cuts, Tenant
from transforms.logic.profile import CartOp, Person
from transforms.logic.shard import Outputs

HISTORY = 7 * DAY
"""An event older than this on arrival updates the profile and fires nothing."""

STEP = 0
"""The only step that campaigns have so far: the first of `Campaign.after`."""


class Plan(Struct, frozen=True):
    """A tenant's configuration as the rules look things up: campaigns by their trigger, live or not."""

    tenant: Tenant
    secret: bytes
    campaigns: dict[str, tuple[Campaign, ...]]

    @classmethod
    def of(cls, tenant: Tenant, secret: bytes) -> Plan:
        found: dict[str, list[Campaign]] = {}
        for campaign in tenant.campaigns:
            found.setdefault(campaign.trigger, []).append(campaign)
        return cls(tenant, secret, {trigger: tuple(campaigns) for trigger, campaigns in found.items()})

    def of_trigger(self, trigger: str) -> tuple[Campaign, ...]:
        return self.campaigns.get(trigger, ())


Place = tuple[int, int, int]
"""(time, partition, sequence) in the journal."""

_LAST = 1 << 62


class CutsBook(Struct):
    """The RFM cut points of a tenant in the order in which they were published, with their places in the journal."""

    entries: list[tuple[Place, Cuts]]

    def at(self, place: Place) -> Cuts:
        """Those in force at a place: what was published later is not known yet, whoever heard of it already."""
        return next((cuts for since, cuts in reversed(self.entries) if since < place), self.entries[0][1])

    def named(self, version: str) -> Cuts | None:
        return next((cuts for _, cuts in reversed(self.entries) if cuts.version == version), None)


class Moment(Struct):
    """One step for one person. `event` is None when a wake rings. Only the step's own person and outputs change.

    What learning found out for the rules: `gained` channels with a new permission, `new_order`, the cart activity that
    a reminder would be about (`live`), the cart operation that came (`cart_op`).
    """

    plan: Plan
    person: Person
    now: int
    out: Outputs
    cuts: Callable[[Tenant], CutsBook]
    event: Event | None = None
    sure: bool = False
    shared: bool = False
    gained: frozenset[tuple[str, str]] = frozenset()
    new_order: bool = False
    live: CartOp | None = None
    cart_op: CartOp | None = None

    @property
    def cause(self) -> Event:
        """The event of this step; a rule that follows events never runs without one."""
        assert self.event is not None
        return self.event

    @property
    def caused_at(self) -> int:
        """When the door took the event in, before any forward: where the latency of an answer starts."""
        route = self.cause.route
        return route.places[0].received_at if route is not None and route.places else self.cause.received_at

    @property
    def place(self) -> Place:
        """Where in the journal this is; a wake comes after all records of its time."""
        event = self.event
        return (self.now, _LAST, _LAST) if event is None else (self.now, event.partition, event.sequence)

    @property
    def book(self) -> CutsBook:
        """The tenant's cut points."""
        return self.cuts(self.plan.tenant)

    @property
    def is_history(self) -> bool:
        return self.event is not None and self.now - self.event.event_time > HISTORY

    @property
    def consents(self) -> tuple[Consent, ...]:
        return self.cause.consents


class Candidate(Struct, frozen=True):
    """A message that a trigger asks for. It gets exactly one final reason code.

    `entry` is the name under which entries count for re-entry; `to` an address that it must go to; `most` at most so
    many to that address (without one: to any) in so long; `late` and `too_late` the ages at which the words change or
    nothing goes.
    """

    campaign: Campaign
    trigger: str
    created_at: int
    caused_at: int
    channels: tuple[str, ...]
    words: dict[str, object]
    entry: str
    shared: bool = False
    to: str = ""
    most: tuple[int, int] | None = None
    late: int | None = None
    too_late: int | None = None
