"""A second opinion: the same journal, read in order, decided again by code that shares only the records.

It is slow on purpose (plain dictionaries, every question walks a list) and separate on purpose: nothing here imports
a rule of `transforms`. For any journal the stream must decide exactly what this decides.

First every record is read, checked for repeats and given an address, in journal order (`Reading`). Then each address
lives its life alone (`Life`): records and wakes in order of time, a record before a wake at the same instant.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.codec import unpack
from schemas.keys import address_in, address_of, derived_id, send_key
from schemas.records import (
    DAY,
    HOUR,
    Aliased,
    Block,
    CutsPublished,
    Derived,
    Entry,
    Handover,
    Receipt,
    Said,
)
from schemas.workspace import Campaign, Tenant

EPOCH = datetime.fromtimestamp(0, UTC)
KINDS = {
    "signedup": "signup",
    "accountcreated": "signup",
    "consentupdated": "consent",
    "unsubscribed": "unsubscribed",
    "emailconfirmed": "confirmed",
    "productviewed": "viewed",
    "productadded": "add",
    "productremoved": "remove",
    "cartemptied": "empty",
    "checkoutstarted": "checkout",
    "ordercompleted": "order",
    "orderrefunded": "refunded",
    "ordercancelled": "cancelled",
    "caseopened": "opened",
    "caseclosed": "closed",
    "rfmcutspublished": "cuts",
}
STRONG = ("customer", "email", "phone", "handle")
GRID = {
    5: ("New", "Potential loyalist", "Potential loyalist", "Champion", "Champion"),
    4: ("Promising", "Potential loyalist", "Potential loyalist", "Loyal", "Loyal"),
    3: ("About to sleep", "About to sleep", "Needs attention", "Loyal", "Loyal"),
    2: ("Hibernating", "Hibernating", "At risk", "At risk", "Can't lose"),
    1: ("Hibernating", "Hibernating", "At risk", "At risk", "Can't lose"),
}


@dataclass
class Arrival:
    """A record that has an address: what it says, when, and from whom."""

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


@dataclass
class Verdict:
    """What should have become of everything."""

    decisions: Counter[tuple[Any, ...]] = field(default_factory=Counter)  # (person, campaign, trigger, reason, at)
    messages: dict[str, tuple[Any, ...]] = field(default_factory=dict)  # key → (campaign, to, variant, decided_at)
    segments: Counter[tuple[Any, ...]] = field(default_factory=Counter)  # (person, old, new, cause, as_of)
    dispositions: dict[int, str] = field(default_factory=dict)  # sequence of the record → disposition
    regretted: Counter[tuple[Any, ...]] = field(default_factory=Counter)  # (person, campaign, trigger)


def judge(tenants: Mapping[str, Tenant], secret: bytes, blocks: Iterable[Block], until: int) -> Verdict:
    """Decide everything in `blocks`, with time passing up to and including `until`."""
    verdict = Verdict()
    reading = Reading(tenants, secret, verdict)
    for block in blocks:
        for index, entry in enumerate(block.entries):
            reading.read(entry, block.received_at, block.first + index)
    lives: dict[bytes, Life] = {}
    world = World(tenants, secret, verdict)
    by_address: dict[bytes, list[Arrival]] = defaultdict(list)
    for arrival in reading.arrivals:
        by_address[arrival.address].append(arrival)
    # A handover needs the parts that another address gave away, so addresses cannot simply be finished one by one:
    # walk all arrivals in order of time and let each address catch up to the arrival first.
    for arrival in sorted(reading.arrivals, key=lambda found: (found.time, found.sequence, found.sub)):
        if arrival.kind == "cuts":
            world.cuts_at.append((arrival.time, arrival.tenant, arrival.fact))
            verdict.dispositions[arrival.sequence] = "applied"
            continue
        life = lives.setdefault(arrival.address, Life(arrival.address, arrival.tenant, world))
        life.take(arrival)
    for life in lives.values():
        life.pass_time(until, inclusive=True)
    return verdict


# --- reading ----------------------------------------------------------------------------------------------------------


class Reading:
    """Journal order: what each record says, whether it came before, and whose it is."""

    def __init__(self, tenants: Mapping[str, Tenant], secret: bytes, verdict: Verdict) -> None:
        self.tenants, self.secret, self.verdict = tenants, secret, verdict
        self.arrivals: list[Arrival] = []
        self.seen: dict[tuple[str, str], tuple[int, bytes]] = {}
        self.pointers: dict[tuple[str, str], bytes] = {}
        self.strangers: dict[tuple[str, str], dict[str, Any]] = {}

    def read(self, entry: Entry, received: int, sequence: int) -> None:
        if entry.kind == "mention":
            return
        found = (
            self._derived(entry, received, sequence)
            if entry.kind == "derived"
            else self._call(entry, received, sequence)
        )
        if found is None:
            self.verdict.dispositions[sequence] = "failed"
            return
        name = entry.tenant, found.mark or found.id
        known = self.seen.get(name)
        if known is not None and received - known[0] < 7 * DAY:
            same = known[1] == entry.body
            self.verdict.dispositions[sequence] = "filtered" if same else "failed"
            return
        self.seen[name] = (received, entry.body)
        self._place(found)

    def _call(self, entry: Entry, received: int, sequence: int) -> Arrival | None:
        try:
            body = json.loads(entry.body, parse_constant=_refuse)
        except ValueError:
            return None
        if not isinstance(body, dict):
            return None
        kind = entry.kind
        if kind == "track":
            name = "".join(letter for letter in str(body.get("event", "")).lower() if letter.isalnum())
            kind = KINDS.get(name, "custom")
        happened = self._happened(body, entry, received)
        properties = body.get("properties") or {}
        traits = body.get("traits") or (body.get("context") or {}).get("traits") or {}
        ids = {
            "customer": str(body.get("userId") or ""),
            "email": str(properties.get("email") or traits.get("email") or "").strip().lower(),
            "handle": next(
                (f"{network}:{name}".lower() for network, name in (traits.get("handles") or {}).items()), ""
            ),
            "cookie": str(body.get("anonymousId") or ""),
        }
        fact = None
        if kind == "order" and not 0 <= _value(properties) <= 10**15:
            return None
        if kind == "cuts":
            fact = CutsPublished(
                str(properties["version"]), *(tuple(properties[name]) for name in ("recency", "frequency", "monetary"))
            )
        if kind == "alias":
            fact = Aliased(str(body.get("previousId")))
        ids = {name: value for name, value in ids.items() if value}
        return Arrival(
            received,
            sequence,
            0,
            entry.tenant,
            entry.trust,
            kind,
            body["messageId"],
            happened,
            ids,
            properties | {"traits": traits},
            fact=fact,
        )

    @staticmethod
    def _happened(body: dict[str, Any], entry: Entry, received: int) -> int:
        said = body.get("originalTimestamp") or body.get("timestamp")
        if not said:
            return received
        happened = _micros(said)
        sent = _micros(body["sentAt"]) if body.get("sentAt") else entry.sent_at
        if sent:
            happened += received - sent
        return min(happened, received)

    def _derived(self, entry: Entry, received: int, sequence: int) -> Arrival:
        derived = unpack(entry.body, Derived)
        origin = derived.original
        if origin is not None:  # a forward: the record itself, at another address
            again = next(old for old in self.arrivals if old.sequence == origin.sequence and not old.link)
            return Arrival(
                received, sequence, 0, again.tenant, again.trust, again.kind, again.id, again.happened, again.ids,
                again.body, derived.address, again.fact, past=again.past, hops=derived.hops,
                places=(*again.places, again.sequence), mark=derived.id,
            )  # fmt: skip
        kind = type(derived.fact).kind
        ids = {"handle": derived.ids.handle} if derived.ids.handle else {}
        return Arrival(
            received, sequence, 0, derived.tenant, "own", kind, derived.id, derived.event_time, ids, {},
            derived.address, derived.fact,
        )  # fmt: skip

    def _place(self, found: Arrival) -> None:
        cookie = found.ids.get("cookie", "")
        if found.kind == "cuts":
            self.arrivals.append(found)
            return
        if found.address:
            if cookie:
                self.pointers[found.tenant, cookie] = found.address  # a forward repairs the pointer
        elif isinstance(found.fact, Receipt):
            found.address = address_in(found.fact.key)
        elif isinstance(found.fact, Said):
            found.address = self._address(found.tenant, "handle", found.ids["handle"])
        elif not self._by_name(found, cookie):
            return
        self.arrivals.append(found)

    def _by_name(self, found: Arrival, cookie: str) -> bool:
        strong = [(kind, found.ids[kind]) for kind in STRONG if found.ids.get(kind)]
        if strong:
            addresses = [self._address(found.tenant, kind, value) for kind, value in strong]
            found.address = addresses[0]
            found.sub = len(addresses) - 1
            for sub, weaker in enumerate(addresses[1:]):
                link = Arrival(**{**found.__dict__, "address": weaker, "link": addresses[0], "sub": sub})
                self.arrivals.append(link)
            if cookie:
                self.pointers[found.tenant, cookie] = found.address
                found.past = self.strangers.pop((found.tenant, cookie), None)
            return True
        pointer = self.pointers.get((found.tenant, cookie)) if cookie else None
        if pointer is not None:
            found.address = pointer
            return True
        if cookie:
            past = self.strangers.setdefault(
                (found.tenant, cookie), {"first": found.happened, "cart": {}, "cart_at": 0}
            )
            past["first"] = min(past["first"], found.happened)
        self.verdict.dispositions[found.sequence] = "applied" if cookie else "failed"
        return False

    def _address(self, tenant: str, kind: str, value: str) -> bytes:
        return address_of(self.secret, tenant, kind, value)


def _value(properties: dict[str, Any]) -> int:
    """The money of an order in hundredths; -1 for what is no amount."""
    try:
        return round(float(properties.get("revenue", properties.get("total", 0))) * 100)
    except (TypeError, ValueError, OverflowError):
        return -1


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number in JSON")


def _micros(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


# --- living -----------------------------------------------------------------------------------------------------------


@dataclass
class World:
    """What every life shares."""

    tenants: Mapping[str, Tenant]
    secret: bytes
    verdict: Verdict
    cuts_at: list[tuple[int, str, CutsPublished]] = field(default_factory=list)
    given_away: dict[bytes, list[dict[str, Any]]] = field(default_factory=dict)

    def cuts(self, tenant: str, now: int) -> Any:
        known = [cuts for time, name, cuts in self.cuts_at if name == tenant and time <= now]
        return known[-1] if known else self.tenants[tenant].policy.cuts


@dataclass
class Life:
    """One address: nobody yet, a person, or an alias of a stronger address."""

    address: bytes
    tenant: str
    world: World
    alias: bytes = b""
    person: dict[str, Any] | None = None

    def take(self, arrival: Arrival) -> None:
        self.pass_time(arrival.time, inclusive=False)
        verdict = self.world.verdict
        if arrival.link:
            self._link(arrival)
            return
        if self.alias:
            verdict.dispositions[arrival.sequence] = "forwarded" if arrival.hops < 3 else "failed"
            return
        verdict.dispositions.update(dict.fromkeys((*arrival.places, arrival.sequence), "applied"))
        if isinstance(arrival.fact, Handover):
            self._absorb(self.world.given_away.pop(arrival.fact.origin))
            return
        if self.person is None:
            if isinstance(arrival.fact, Receipt):
                return
            self.person = nobody(self.address.hex(), arrival.happened)
        Step(self, self.person, arrival.time).apply(arrival)

    def pass_time(self, upto: int, *, inclusive: bool) -> None:
        """Ring the person's wakes before (or also at) a time, earliest first."""
        while self.person is not None:
            due = min((time for time, _ in self.person["wakes"]), default=None)
            if due is None or due > upto or (due == upto and not inclusive):
                return
            ring = next(wake for wake in self.person["wakes"] if wake[0] == due)
            self.person["wakes"].remove(ring)
            Step(self, self.person, due).ring(ring[1])

    def _link(self, arrival: Arrival) -> None:
        if self.alias:
            return
        if self.person is None:
            self.alias = arrival.link
        elif arrival.trust == "server":
            self.world.given_away.setdefault(self.address, []).append(self.person)
            self.person, self.alias = None, arrival.link

    def _absorb(self, others: list[dict[str, Any]]) -> None:
        people = [person for person in (self.person, *others) if person is not None]
        people.sort(key=lambda person: (person["first_seen"], person["id"]))
        self.person = merged(people)


def nobody(name: str, first_seen: int) -> dict[str, Any]:
    return {
        "id": name,
        "first_seen": first_seen,
        "emails": {},
        "verified": False,
        "consents": {},
        "suppressed": {},
        "orders": {},
        "cart": {},
        "cart_at": 0,
        "cart_run": None,
        "care": 0,
        "sends": {},
        "life": set(),
        "entries": {},
        "segment": "",
        "cuts": None,
        "candidate": None,
        "wakes": [],
        "reminded": [],
    }


def merged(people: list[dict[str, Any]]) -> dict[str, Any]:
    """The oldest person with everything that the others bring."""
    first, *others = people
    for other in others:
        for name in ("emails", "orders", "sends", "entries"):
            first[name] = {**other[name], **first[name]}
        for name, consent in other["consents"].items():
            mine = first["consents"].get(name)
            if mine is None or (consent[0], not consent[1]) > (mine[0], not mine[1]):
                first["consents"][name] = consent
        for name, time in other["suppressed"].items():
            first["suppressed"][name] = max(time, first["suppressed"].get(name, 0))
        if other["cart_at"] > first["cart_at"]:
            first["cart"], first["cart_at"], first["cart_run"] = other["cart"], other["cart_at"], other["cart_run"]
        first["life"] |= other["life"]
        first["verified"] = first["verified"] or other["verified"]
        first["care"] = max(first["care"], other["care"])
        first["wakes"] += other["wakes"]
    return first


class Step:
    """One person at one moment: a record or a wake, and what follows at once."""

    def __init__(self, life: Life, person: dict[str, Any], now: int) -> None:
        self.life, self.person, self.now = life, person, now
        self.tenant = life.world.tenants[life.tenant]
        self.verdict = life.world.verdict

    # --- learning ---

    def apply(self, arrival: Arrival) -> None:
        person, happened = self.person, arrival.happened
        person["first_seen"] = min(person["first_seen"], happened)
        if arrival.past:
            person["first_seen"] = min(person["first_seen"], arrival.past["first"])
        if email := arrival.ids.get("email"):
            person["emails"][email] = person["emails"].get(email, False) or arrival.trust == "server"
        person["verified"] = person["verified"] or (arrival.trust == "server" and bool(arrival.ids))
        first_permission = self._consents(arrival)
        handler = getattr(self, f"_on_{arrival.kind}", None)
        stale = self.now - happened > 7 * DAY
        if handler is not None:
            handler(arrival, stale)
        if first_permission and arrival.kind != "signup" and not stale:
            self._welcome(arrival)

    def _consents(self, arrival: Arrival) -> bool:
        person = self.person
        before = any(accepted for _, accepted, _ in person["consents"].values())
        given = list(arrival.body.get("consent") or [])
        if arrival.kind == "signup" and "marketing_opt_in" in arrival.body:
            accepted = bool(arrival.body["marketing_opt_in"])
            if accepted:
                given.append({"action": "accept", "category": "marketing", "channel": "email", "unlimited": True})
        for consent in given:
            until = (
                0
                if consent.get("unlimited")
                else _micros(consent["valid_until"])
                if consent.get("valid_until")
                else None
            )
            accepted = consent.get("action") == "accept" and bool(consent.get("category")) and until is not None
            names = [(consent.get("category") or "*", consent.get("channel") or "*")]
            for name in names:
                old = person["consents"].get(name)
                if old is None or (arrival.happened, not accepted) >= (old[0], not old[1]):
                    person["consents"][name] = (arrival.happened, accepted, until or 0)
        after = any(accepted for _, accepted, _ in person["consents"].values())
        return after and not before

    def _on_signup(self, arrival: Arrival, stale: bool) -> None:
        if stale:
            return
        for campaign in self._campaigns("signup_confirmation"):
            self._decide(campaign, arrival.id, arrival.happened)
        self._welcome(arrival)

    def _welcome(self, arrival: Arrival) -> None:
        for campaign in self._campaigns("welcome"):
            if campaign.name not in self.person["life"]:
                self._decide(campaign, arrival.id, arrival.happened)

    def _on_unsubscribed(self, arrival: Arrival, stale: bool) -> None:
        category = "*" if arrival.body.get("all") else arrival.body.get("category") or "marketing"
        self.person["suppressed"][category] = max(self.now, self.person["suppressed"].get(category, 0))

    def _on_add(self, arrival: Arrival, stale: bool) -> None:
        self._touch_cart(arrival, stale, 1)

    def _on_remove(self, arrival: Arrival, stale: bool) -> None:
        self._touch_cart(arrival, stale, -1)

    def _on_empty(self, arrival: Arrival, stale: bool) -> None:
        self._touch_cart(arrival, stale, 0)

    def _touch_cart(self, arrival: Arrival, stale: bool, sign: int) -> None:
        person = self.person
        product, quantity = arrival.body.get("product_id"), int(arrival.body.get("quantity", 1))
        if sign == 0:
            person["cart"] = {}
        else:
            person["cart"][product] = person["cart"].get(product, 0) + sign * quantity
            person["cart"] = {name: count for name, count in person["cart"].items() if count > 0}
        person["cart_at"] = max(person["cart_at"], arrival.happened)
        if not person["cart"]:
            self._cancel_cart()
        elif not stale and self._campaigns("abandoned_cart"):
            campaign = self._campaigns("abandoned_cart")[0]
            person["wakes"] = [wake for wake in person["wakes"] if wake[1] != "cart"]
            person["cart_run"] = (arrival.id, arrival.happened)
            person["wakes"].append((max(arrival.happened + campaign.after[0], self.now), "cart"))

    def _cancel_cart(self) -> None:
        run = self.person["cart_run"]
        if run is None:
            return
        self.person["cart_run"] = None
        self.person["wakes"] = [wake for wake in self.person["wakes"] if wake[1] != "cart"]
        for campaign in self._campaigns("abandoned_cart"):
            self._record(campaign, run[0], "EXCEPTION_EVENT")

    def _on_checkout(self, arrival: Arrival, stale: bool) -> None:
        self._cancel_cart()

    def _on_order(self, arrival: Arrival, stale: bool) -> None:
        person, body = self.person, arrival.body
        order = str(body["order_id"])
        if order in person["orders"]:
            return
        value = _value(body)
        person["orders"][order] = {"at": arrival.happened, "value": value, "refunded": False}
        bought = {found.get("product_id") for found in body.get("products") or []}
        for campaign, trigger, sent_at, products in person["reminded"]:
            if arrival.happened < sent_at and products & bought:
                self.verdict.regretted[person["id"], campaign, trigger] += 1
        if bought & set(person["cart"]):
            self._cancel_cart()
            person["cart"] = {name: count for name, count in person["cart"].items() if name not in bought}
        if not stale:
            for campaign in self._campaigns("order_confirmation"):
                self._decide(campaign, arrival.id, arrival.happened)
        self._score("order", arrival.id, fire=not stale)

    def _on_refunded(self, arrival: Arrival, stale: bool) -> None:
        self._take_back(arrival)
        self.person["care"] = max(self.person["care"], arrival.happened)

    def _on_cancelled(self, arrival: Arrival, stale: bool) -> None:
        self._take_back(arrival)

    def _take_back(self, arrival: Arrival) -> None:
        order = self.person["orders"].get(str(arrival.body.get("order_id")))
        if order is not None:
            order["refunded"] = True

    def _on_opened(self, arrival: Arrival, stale: bool) -> None:
        self.person["care"] = max(self.person["care"], arrival.happened)

    def _on_said(self, arrival: Arrival, stale: bool) -> None:
        if arrival.fact.directed and arrival.fact.sentiment == "negative":
            self.person["care"] = max(self.person["care"], arrival.happened)

    def _on_receipt(self, arrival: Arrival, stale: bool) -> None:
        send = self.person["sends"].get(arrival.fact.key)
        if send is None or send["state"] == "sent":
            return
        if arrival.fact.state == "sent":
            send.update(state="sent", at=arrival.fact.at)
        elif arrival.fact.state == "refused" and send["state"] != "in_doubt":
            send.update(state="refused")
        elif arrival.fact.state == "in_doubt":
            send.update(state="in_doubt")

    # --- wakes ---

    def ring(self, what: str) -> None:
        if what == "cart":
            run, self.person["cart_run"] = self.person["cart_run"], None
            for campaign in self._campaigns("abandoned_cart"):
                self._decide(campaign, run[0], run[1] + campaign.after[0])
        else:
            self._score("decay", what, fire=True)

    # --- segments ---

    def _score(self, cause: str, trigger: str, *, fire: bool) -> None:
        person = self.person
        person["wakes"] = [wake for wake in person["wakes"] if wake[1] == "cart"]
        cuts = self.life.world.cuts(self.life.tenant, self.now)
        new = self._segment(cuts)
        if not new:
            return
        recut = person["cuts"] is not None and cuts.version != person["cuts"].version
        if recut and self._segment(person["cuts"]) == person["segment"] and new != person["segment"]:
            cause = "recut"
        person["cuts"] = cuts
        if new == person["segment"]:
            person["candidate"] = None
        elif cause in ("order", "recut") or (person["candidate"] and person["candidate"][0] == new):
            self.verdict.segments[person["id"], person["segment"], new, cause, self.now] += 1
            old, person["segment"], person["candidate"] = person["segment"], new, None
            for campaign in self._campaigns("rfm_transition"):
                if fire and cause != "recut" and new in campaign.to:
                    name = trigger if cause == "order" else derived_id("segment", person["id"], new, self.now)
                    self._decide(campaign, name, self.now, entry=new)
            del old
        else:
            person["candidate"] = (new, self.now)
            person["wakes"].append((self.now + HOUR, "confirm"))
            return
        following = self._next_change(cuts)
        if following is not None:
            person["wakes"].append((following, "decay"))

    def _counted(self) -> list[dict[str, Any]]:
        return [order for order in self.person["orders"].values() if order["value"] > 0 and not order["refunded"]]

    def _segment(self, cuts: Any) -> str:
        orders = self._counted()
        if not orders:
            return ""
        days = (self.now - max(order["at"] for order in orders)) // DAY
        count = sum(1 for order in orders if self.now - order["at"] < 365 * DAY)
        recency = 5 - sum(1 for bound in cuts.recency if days > bound)
        frequency = 1 + sum(1 for bound in cuts.frequency if count >= bound)
        return GRID[recency][frequency - 1]

    def _next_change(self, cuts: Any) -> int | None:
        orders = self._counted()
        last = max(order["at"] for order in orders)
        moments = [last + (bound + 1) * DAY for bound in cuts.recency]
        moments += [order["at"] + 365 * DAY for order in orders]
        return min((moment for moment in moments if moment > self.now), default=None)

    # --- deciding ---

    def _campaigns(self, trigger: str) -> list[Campaign]:
        return [campaign for campaign in self.tenant.campaigns if campaign.trigger == trigger]

    def _decide(self, campaign: Campaign, trigger: str, created: int, entry: str = "") -> None:
        person = self.person
        cause = "life" if campaign.reentry is None else trigger
        key = send_key(self.tenant.name, campaign.name, 0, person["id"], cause, "email")
        reason = self._refusal(campaign, key, created, entry)
        self._record(campaign, trigger, reason or "SENT")
        if reason:
            return
        self.verdict.messages[key] = (campaign.name, self._to(), self.now)
        person["sends"][key] = {"at": self.now, "state": "reserved", "counts": campaign.counts_to_cap}
        person["entries"][campaign.name, entry] = self.now
        if campaign.trigger == "welcome":
            person["life"].add(campaign.name)
        if campaign.trigger == "abandoned_cart":
            person["reminded"].append((campaign.name, trigger, self.now, set(person["cart"])))

    def _refusal(self, campaign: Campaign, key: str, created: int, entry: str) -> str:
        person, marketing = self.person, campaign.klass == "marketing"
        if key in person["sends"]:
            return "DUPLICATE"
        if not campaign.live:
            return "PAUSED"
        if campaign.trigger == "welcome" and self.now - created > DAY:
            return "TOO_LATE"
        if self.now - created > campaign.expires:
            return "EXPIRED"
        if not person["verified"] and campaign.trigger not in ("signup_confirmation", "welcome"):
            return "IDENTITY_LOW"
        if marketing and ({"*", campaign.category} & set(person["suppressed"])):
            return "SUPPRESSED"
        if marketing and not self._permitted(campaign.category):
            return "NO_CONSENT"
        if not person["emails"]:
            return "UNREACHABLE"
        last = person["entries"].get((campaign.name, entry))
        if campaign.reentry and last is not None and self.now - last < campaign.reentry:
            return "NOT_REENTRANT"
        if not marketing:
            return ""
        if person["care"] and self.now - person["care"] < self.tenant.policy.care_hold:
            return "CARE_HOLD"
        return "CAPPED" if campaign.obeys_cap and self._capped() else ""

    def _permitted(self, category: str) -> bool:
        found = [self.person["consents"].get(name) for name in ((category, "email"), (category, "*"), ("*", "*"))]
        known = [consent for consent in found if consent is not None]
        if not known:
            return False
        _, accepted, until = max(known, key=lambda consent: (consent[0], not consent[1]))
        return accepted and (until == 0 or self.now < until)

    def _capped(self) -> bool:
        sends = [send for send in self.person["sends"].values() if send["counts"] and send["state"] != "refused"]
        for cap in self.tenant.policy.caps:
            if (
                cap.channel in ("*", "email")
                and sum(1 for send in sends if self.now - send["at"] < cap.window) >= cap.count
            ):
                return True
        return False

    def _to(self) -> str:
        return max(self.person["emails"].items(), key=lambda known: known[1])[0]

    def _record(self, campaign: Campaign, trigger: str, reason: str) -> None:
        self.verdict.decisions[self.person["id"], campaign.name, trigger, reason, self.now] += 1
