"""Lives of named people as engage sees them: records that already have an address, played over rows in memory.

    lives = Lives()
    lives.at("09:00").signs_up("ana")
    lives.at("10:00").fills_cart("ana", "boots").until("16:00")
    assert lives.play().sent("ana") == [...]

`play` cuts the records into batches of the given sizes and lets wakes ring behind each batch, as every engine does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from msgspec.structs import replace as changed
from shop import SECRET, shop
from story import DAY_ZERO, at, email

from schemas.codec import pack
from schemas.keys import address_in, address_of
from schemas.records import (
    DAY,
    Block,
    CartUpdated,
    CaseChanged,
    CheckoutStarted,
    Confirmed,
    Consent,
    ConsentChanged,
    CutsPublished,
    Decision,
    Derived,
    Entry,
    Event,
    EventRow,
    Fact,
    Identified,
    Ids,
    Item,
    Known,
    Message,
    OrderChanged,
    OrderPlaced,
    Past,
    Receipt,
    Said,
    SegmentChange,
    SignedUp,
    Traits,
    Unsubscribed,
    Viewed,
)
from schemas.workspace import Tenant
from transforms.logic.engage import Engage
from transforms.logic.profile import Person, unpack_row
from transforms.logic.returns import derived_of
from transforms.logic.shard import Outputs
from transforms.stores.memory import MemoryRows

TENANT = "shop"
YES = Consent(True, "marketing", "email", 0, "form-3")
NO = Consent(False, "marketing", "email", 0, "form-3")


def address(who: str, kind: str = "customer") -> bytes:
    """Where somebody lives: by default the address of their customer id."""
    value = email(who) if kind == "email" else f"c-{who}"
    return address_of(SECRET, TENANT, kind, value)


@dataclass
class Result:
    """What came of it."""

    out: Outputs
    rows: dict[bytes, bytes]

    def person(self, who: str, kind: str = "customer") -> Person:
        found = unpack_row(self.rows[b"engage/" + address(who, kind)])
        assert isinstance(found, Person)
        return found

    def messages(self, who: str = "", campaign: str = "") -> list[Message]:
        mine = {address(who).hex(), address(who, "email").hex()}
        return [
            message
            for message in self.out.intents
            if (not who or message.person in mine) and campaign in ("", message.campaign)
        ]

    def sent(self, who: str) -> list[tuple[str, int]]:
        """Campaign and time of each message."""
        return [(message.campaign, message.decided_at) for message in self.messages(who)]

    def reasons(self, who: str) -> list[tuple[str, str]]:
        """Campaign and reason of each final decision."""
        mine = {address(who).hex(), address(who, "email").hex()}
        return [
            (row.campaign, row.reason)
            for row in self.out.rows
            if isinstance(row, Decision) and row.final and row.person in mine
        ]

    def lines(self, kind: type[Any]) -> list[Any]:
        return [row for row in self.out.rows if isinstance(row, kind)]

    @property
    def decisions(self) -> list[Decision]:
        return self.lines(Decision)

    @property
    def moves(self) -> list[SegmentChange]:
        return self.lines(SegmentChange)

    @property
    def applied(self) -> list[EventRow]:
        return [row for row in self.lines(EventRow) if row.disposition == "applied"]


def words(message: Message) -> dict[str, str]:
    """The rendered parts of a message."""
    found: dict[str, str] = json.loads(message.body)
    return found


@dataclass
class Lives:
    """What happens to whom, in order of arrival."""

    tenant: Tenant = field(default_factory=shop)
    records: list[Known] = field(default_factory=list)
    end: int = DAY_ZERO
    _now: int = DAY_ZERO

    def at(self, time: str) -> Lives:
        self._now = at(time)
        self.end = max(self.end, self._now)
        return self

    def until(self, time: str) -> Lives:
        self.end = max(self.end, at(time))
        return self

    def customer(self, who: str) -> Lives:
        """Somebody who bought and gave consent eight days ago, which the shop tells us now: history starts nothing."""
        before = self._now - 8 * DAY
        return self.orders(who, f"{who}-0", "tent", happened=before).consents(who, YES, happened=before)

    # --- what people do -----------------------------------------------------------------------------------------------

    def signs_up(self, who: str, consent: Consent | None = YES, **more: Any) -> Lives:
        return self.add(who, SignedUp(), consents=(consent,) if consent else (), **more)

    def consents(self, who: str, *consents: Consent, **more: Any) -> Lives:
        return self.add(who, ConsentChanged(), consents=consents, **more)

    def confirms(self, who: str, token: str = "", **more: Any) -> Lives:
        return self.add(who, Confirmed(token), **more)

    def unsubscribes(self, who: str, **more: Any) -> Lives:
        return self.add(who, Unsubscribed(), **more)

    def opens_page(self, who: str, **more: Any) -> Lives:
        return self.add(who, Viewed("page", "https://shop.example/"), **more)

    def views(self, who: str, product: str, **more: Any) -> Lives:
        return self.add(who, Viewed("product", item=item(product)), **more)

    def fills_cart(self, who: str, *products: str, change: str = "add", **more: Any) -> Lives:
        return self.add(who, CartUpdated(change, f"cart-{who}", "EUR", items(products)), **more)

    def empties_cart(self, who: str, **more: Any) -> Lives:
        return self.add(who, CartUpdated("empty", f"cart-{who}"), **more)

    def starts_checkout(self, who: str, *products: str, **more: Any) -> Lives:
        return self.add(who, CheckoutStarted("", 5_000, "EUR", items(products)), **more)

    def orders(self, who: str, order: str, *products: str, value: int = 6_000, **more: Any) -> Lives:
        return self.add(who, OrderPlaced(order, value, "EUR", items(products)), **more)

    def gets_back(self, who: str, order: str, value: int = 0, change: str = "refunded", **more: Any) -> Lives:
        return self.add(who, OrderChanged(order, change, value), **more)

    def opens_case(self, who: str, **more: Any) -> Lives:
        return self.add(who, CaseChanged("case-1", True), **more)

    def is_known_as(self, who: str, traits: Traits, **more: Any) -> Lives:
        return self.add(who, Identified(), traits=traits, **more)

    def says(self, who: str, sentiment: str = "negative", *, directed: bool = True) -> Lives:
        said = Said("post", ("Fernweh",), directed, sentiment, 0.9, "en", "…")
        return self.add(who, said, trust="own", derived=True)

    def reports(self, key: str, state: str = "sent", code: str = "250") -> Lives:
        receipt = Receipt(key, state, self._now, "email", code)
        return self.put(address_in(key), receipt, ids=Ids(), trust="own", derived=True)

    def publishes_cuts(self, cuts: CutsPublished) -> Lives:
        return self.put(b"\x00" * 16, cuts, ids=Ids())

    # --- how it arrives -----------------------------------------------------------------------------------------------

    def add(self, who: str, fact: Fact, *, kind: str = "customer", **more: Any) -> Lives:
        ids = Ids(f"c-{who}" if kind == "customer" else "", email(who))
        return self.put(address(who, kind), fact, **{"ids": ids, **more})

    def put(
        self,
        where: bytes,
        fact: Fact,
        *,
        trust: str = "server",
        happened: str | int = "",
        past: Past | None = None,
        link: bytes = b"",
        confidence: str = "",
        hops: int = 0,
        **more: Any,
    ) -> Lives:
        sequence = len(self.records)
        event = Event(
            id=f"m-{sequence}",
            tenant=self.tenant.name,
            trust=trust,
            source="test",
            event_time=at(happened) if isinstance(happened, str) and happened else happened or self._now,
            received_at=self._now,
            partition=0,
            sequence=sequence,
            fact=fact,  # type: ignore[arg-type]
            **more,
        )
        sure = confidence or ("claimed" if trust == "browser" else "verified")
        self.records.append(Known(where, event, sure, link, past, hops))
        return self

    def joins(self, who: str, trust: str = "server") -> Lives:
        """The e-mail address turns out to belong to the customer."""
        ids = Ids(f"c-{who}", email(who))
        return self.put(address(who, "email"), Identified(), ids=ids, trust=trust, link=address(who))

    def permuted(self, order: Sequence[int]) -> Lives:
        """The same records, having happened when they did, arriving in another order at the same times."""
        arrivals = [known.event.received_at for known in self.records]
        moved = []
        for place, index in enumerate(order):
            known = self.records[index]
            event = changed(known.event, received_at=arrivals[place], sequence=place)
            moved.append(changed(known, event=event))
        return replace(self, records=moved)

    # --- how it ends --------------------------------------------------------------------------------------------------

    def play(self, sizes: Sequence[int] = (1,), *, returns: bool = True) -> Result:
        """Everything that comes of it; what the stage gives back comes in again right behind its batch."""
        stage, store, total = Engage({self.tenant.name: self.tenant}, SECRET), MemoryRows(), Outputs()
        now = 0
        for batch in cut(sorted(self.records, key=lambda known: known.order), sizes):
            now, done = batch[-1].event.received_at, len(total.feedback)
            _step(store, stage, total, batch, now)
            while returns and done < len(total.feedback):
                now += 1
                back = [returned(derived, now, number) for number, derived in enumerate(total.feedback[done:], done)]
                done = len(total.feedback)
                _step(store, stage, total, back, now)
        _step(store, stage, total, [], max(self.end + 1, now))
        return Result(total, dict(store.items()))


def _step(store: MemoryRows, stage: Engage, total: Outputs, batch: Sequence[Known], upto: int) -> None:
    work = store.begin()
    shard = work.shard("engage", 0)
    if batch:
        collect(total, stage.run(shard, batch))
    collect(total, stage.wake(shard, upto - 1))
    work.commit(upto, b"")


def collect(total: Outputs, more: Outputs) -> None:
    """Add outputs to outputs."""
    for name in ("intents", "feedback", "rows", "failures"):
        getattr(total, name).extend(getattr(more, name))


def returned(derived: Derived, now: int, sequence: int) -> Known:
    """What discover and identify make of a record of ours that comes back."""
    entry = Entry("derived", derived.tenant, "own", "engage", 0, pack(derived))
    event, _ = derived_of(entry, Block(now, 1, sequence, [entry]), sequence)
    sure = "claimed" if event.trust == "browser" else "verified"
    return Known(derived.address, event, sure, past=derived.past, hops=derived.hops)


def cut(records: Sequence[Known], sizes: Iterable[int]) -> list[Sequence[Known]]:
    """The same records in batches of the given sizes, the last size repeated."""
    wanted, start, batches = list(sizes), 0, []
    while start < len(records):
        size = wanted.pop(0) if len(wanted) > 1 else wanted[0]
        batches.append(records[start : start + size])
        start += size
    return batches


def item(product: str, price: int = 5_000) -> Item:
    return Item(product, product.title(), "gear", "", price, 1)


def items(products: Iterable[str]) -> tuple[Item, ...]:
    return tuple(item(product) for product in products)
