"""Seeded journals in which anything may happen to a few people: what the planted stories of the demo avoid on purpose.

Six people share browsers, change their minds, order twice within a minute, complain, confirm, unsubscribe, are joined
by the shop's records, and live weeks in a few dozen records. Calls come late, twice, broken, or with another body under
the same id. The shop's cut points lie days apart, so that segments decay within a story.

    journal, told = live(WILD, wild(seed), answers(seed))
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from msgspec.structs import replace
from shop import POLICY, campaign, shop
from story import DAY_ZERO, consent, email, iso, item
from told import Answer, Answers, receipt_of

from schemas.codec import pack
from schemas.keys import derived_id
from schemas.records import DAY, HOUR, MINUTE, SECOND, Block, Derived, Entry, Ids, Message, Said
from schemas.workspace import Cuts

WILD = shop(
    campaign("cart", control=2_000),
    replace(campaign("cart"), name="cart-later", after=(DAY,), reentry=2 * DAY),
    replace(campaign("receipt"), name="receipt-paused", live=False),
    campaign("segments", reentry=3 * DAY, to=("Promising", "Potential loyalist", "Loyal", "About to sleep", "At risk")),
    policy=replace(POLICY, cuts=Cuts("fixed-1", (1, 3, 5, 9), (2, 3, 4, 6), (5_000, 10_000, 20_000, 50_000))),
)
PEOPLE = ("ana", "ben", "cleo", "dan", "eva", "finn")
PRODUCTS = ("boots", "tent", "stove", "hat")
GAPS = (SECOND, SECOND, MINUTE, 10 * MINUTE, HOUR, 3 * HOUR, 5 * HOUR, 20 * HOUR)
LATENESS = (0,) * 12 + (MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 30 * HOUR, 4 * DAY, 8 * DAY)
KIOSK = "k-kiosk"

Properties = dict[str, Any]


@dataclass
class Wild:
    """One journal as it grows. `told` are the records so far, from which repeats and conflicts are made."""

    chance: Random
    now: int = DAY_ZERO
    count: int = 0
    told: list[tuple[int, Entry]] = field(default_factory=list)

    # --- calls --------------------------------------------------------------------------------------------------------

    def track(self, who: str, event: str, properties: Properties, **more: Any) -> Entry:
        return self.call("track", who, {"event": event, "properties": properties}, **more)

    def call(self, kind: str, who: str, body: Properties, *, trust: str = "", ids: str = "") -> Entry:
        """A call about somebody; `ids` says which identifiers it carries: c(ustomer), k (cookie)."""
        trust = trust or self.chance.choice(("server", "browser", "browser"))
        ids = ids or (self.chance.choice(("c", "c", "ck")) if trust == "server" else self.chance.choice(("k", "ck")))
        self.count += 1
        happened = self.now - self.chance.choice(LATENESS)
        whole: Properties = {"type": kind, "messageId": f"m-{self.count}", "timestamp": iso(happened), **body}
        if "c" in ids:
            whole["userId"] = f"c-{who}"
        if "k" in ids:
            whole["anonymousId"] = self.chance.choice((f"k-{who}",) * 6 + (f"k2-{who}", KIOSK))
        if self.chance.random() < 0.1:  # a clock that is wrong; by more than a day nobody believes it
            skew = self.chance.choice((-HOUR, 7 * MINUTE, 3 * DAY))
            whole |= {"sentAt": iso(self.now - skew), "timestamp": body.get("timestamp") or iso(happened - skew)}
        return Entry(kind, WILD.name, trust, "wild", 0, json.dumps(whole).encode())

    # --- what happens -------------------------------------------------------------------------------------------------

    def something(self) -> Entry:
        """One record of somebody."""
        acts = {
            self.signs_up: 6, self.consents: 5, self.leaves: 2, self.confirms: 2, self.cart: 12, self.checkout: 3,
            self.orders: 9, self.takes_back: 4, self.case: 2, self.says: 2, self.looks: 6, self.is_known: 7,
            self.aliases: 1, self.cuts: 1, self.again: 5, self.trouble: 3,
        }  # fmt: skip
        act = self.chance.choices(list(acts), list(acts.values()))[0]
        return act(self.chance.choice(PEOPLE))

    def permissions(self) -> list[Properties]:
        return [self._permission() for _ in range(self.chance.choice((1, 1, 2)))]

    def _permission(self) -> Properties:
        category = self.chance.choice(("marketing",) * 8 + ("orders", None))
        said = consent(self.chance.random() < 0.8, category, self.chance.choice(("email", "email", "any", "sms")))
        if self.chance.random() < 0.2:
            said = {**said, "unlimited": False, "valid_until": iso(self.now + self.chance.choice((HOUR, 2 * DAY)))}
        if self.chance.random() < 0.1:
            said.pop("unlimited")
        return said

    def signs_up(self, who: str) -> Entry:
        properties: Properties = {"email": email(who)}
        if self.chance.random() < 0.8:
            properties["marketing_opt_in"] = self.chance.random() < 0.7
        return self.track(who, "Signed Up", properties)

    def consents(self, who: str) -> Entry:
        name = self.chance.choice(("Consent Updated", "Consent Updated", "Newsletter Read", "Email Confirmed"))
        trust = "server" if name == "Email Confirmed" else ""
        return self.track(who, name, {"consent": self.permissions()}, trust=trust)

    def leaves(self, who: str) -> Entry:
        what = self.chance.choice(({}, {"category": "orders"}, {"all": True}))
        return self.track(who, "Unsubscribed", {"email": email(who), **what})

    def confirms(self, who: str) -> Entry:
        return self.track(
            who, "Email Confirmed", {"email": email(who)}, trust=self.chance.choice(("server", "browser"))
        )

    def cart(self, who: str) -> Entry:
        name = self.chance.choice(("Product Added",) * 3 + ("Product Removed", "Cart Emptied", "Cart Updated"))
        if name == "Cart Updated":
            return self.track(who, name, {"products": self._some()})
        one = {**item(self.chance.choice(PRODUCTS)), "quantity": self.chance.choice((1, 1, 2))}
        return self.track(who, name, one)

    def _some(self) -> list[Properties]:
        return [item(product) for product in self.chance.sample(PRODUCTS, self.chance.randint(0, 3))]

    def checkout(self, who: str) -> Entry:
        return self.track(who, "Checkout Started", {"value": 9, "currency": "EUR", "products": self._some()})

    def orders(self, who: str) -> Entry:
        total = self.chance.choice((0, 20, 60, "150,50", 700))
        properties = {"order_id": self._order(who), "total": total, "currency": "EUR", "products": self._some()}
        if self.chance.random() < 0.1:
            properties["email"] = email(self.chance.choice(PEOPLE))
        return self.track(who, "Order Completed", properties)

    def _order(self, who: str) -> str:
        return f"{who}-{self.chance.randint(1, 8)}"

    def takes_back(self, who: str) -> Entry:
        name = self.chance.choice(("Order Refunded", "Order Refunded", "Order Cancelled", "Order Delivered"))
        part = {"total": self.chance.choice((10, 60))} if self.chance.random() < 0.5 else {}
        return self.track(who, name, {"order_id": self._order(who), **part})

    def case(self, who: str) -> Entry:
        return self.track(who, self.chance.choice(("Case Opened", "Case Closed")), {"case_id": "case-1"})

    def says(self, who: str) -> Entry:
        """A mention that the listen lane has classified and given back."""
        mood = self.chance.choice(("negative", "negative", "positive"))
        self.count += 1
        fact = Said(f"post-{self.count}", ("Fernweh",), self.chance.random() < 0.7, mood, 0.9, "en", "…")
        derived = Derived(derived_id("said", self.count), WILD.name, self.now, Ids(handle=f"chirp:{who}"), fact)
        return Entry("derived", WILD.name, "own", "listen", 0, pack(derived), ("listen", self.count))

    def looks(self, who: str) -> Entry:
        if self.chance.random() < 0.5:
            return self.track(who, "Product Viewed", item(self.chance.choice(PRODUCTS)))
        known = {"context": {"traits": {"email": f"{who}@home.example"}}} if self.chance.random() < 0.3 else {}
        return self.call("page", who, {"name": "home", **known})

    def is_known(self, who: str) -> Entry:
        traits: Properties = {"email": email(self.chance.choice((who,) * 9 + PEOPLE))}
        if self.chance.random() < 0.4:
            traits["handles"] = {"chirp": who}
        if self.chance.random() < 0.2:
            traits |= self.chance.choice(({"marketing_opt_in": True}, {"consent": self.permissions()}))
        return self.call("identify", who, {"traits": traits}, ids=self.chance.choice(("c", "c", "k", "ck")))

    def aliases(self, who: str) -> Entry:
        previous = self.chance.choice((f"c-{self.chance.choice(PEOPLE)}", f"k-{who}", f"old-{who}"))
        return self.call("alias", who, {"previousId": previous}, ids="c")

    def cuts(self, who: str) -> Entry:
        days = sorted(self.chance.sample(range(1, 12), 4))
        properties = {"version": f"v{self.chance.randint(1, 4)}", "recency": days, "frequency": [2, 3, 4, 5]}
        trust = self.chance.choice(("server",) * 3 + ("browser",))
        return self.track(who, "RFM Cuts Published", {**properties, "monetary": [1, 2_000, 3_000, 4_000]}, trust=trust)

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    def again(self, who: str) -> Entry:
        """A record of the last days once more: the same bytes, sent anew, or another body under its id."""
        young = [entry for time, entry in self.told if self.now - time < 6 * DAY and entry.kind != "derived"]
        if not young:
            return self.looks(who)
        entry, fate = self.chance.choice(young), self.chance.random()
        if not entry.body.endswith(b"}"):
            return entry
        body = json.loads(entry.body)
        if fate < 0.3 and "sentAt" in body:
            return replace(entry, body=json.dumps({**body, "sentAt": iso(self.now)}).encode())
        return entry if fate > 0.2 else replace(entry, body=json.dumps({**body, "userId": "c-else"}).encode())

    def trouble(self, who: str) -> Entry:
        order: Properties = {"order_id": "bad", "total": 5}
        troubles = (
            lambda: Entry("track", WILD.name, "browser", "wild", 0, b'{"event": "Signed Up", "prop'),
            lambda: Entry("unreadable", WILD.name, "browser", "wild", 0, b"???"),
            lambda: self.track(who, "Order Completed", {**order, "total": "NaN"}),
            lambda: self.track(who, "Order Completed", {"total": 5}),
            lambda: self.track(who, "Signed Up", {"marketing_opt_in": True}, ids="-"),
            lambda: self.call("track", who, {"event": "Order Completed", "properties": order, "timestamp": "soon"}),
        )
        return self.chance.choice(troubles)()


def wild(seed: int, length: int = 90) -> list[Block]:
    """About `length` records over some two weeks, several to a block now and then."""
    world, blocks, sequence = Wild(Random(f"wild/{seed}")), list[Block](), 0
    while sequence < length:
        world.now += world.chance.choice(GAPS)
        entries = [world.something() for _ in range(world.chance.choice((1, 1, 1, 2, 4)))]
        world.told += [(world.now, entry) for entry in entries]
        blocks.append(Block(world.now, 0, sequence, entries))
        sequence += len(entries)
    blocks.append(Block(world.now + 3 * DAY, 0, sequence, []))
    return blocks


# --- what people and channels answer ----------------------------------------------------------------------------------

_TOKEN = re.compile(r"token=([0-9a-f-]+)")
_LATER = (("delivered", "250"), ("bounced", "550"), ("bounced", "452"), ("complained", ""))


def answers(seed: int) -> Answers:
    """A sender that sometimes refuses or doubts, mail that bounces, people who complain or confirm by their token."""

    def answer(message: Message) -> Iterator[Answer]:
        chance = Random(f"{seed}/{message.key}")
        state = chance.choice(("sent",) * 6 + ("refused", "refused", "in_doubt", ""))
        if state:
            yield chance.choice((0, 0, MINUTE, 5 * HOUR)), receipt_of(message, state)
        if state == "sent" and chance.random() < 0.2:
            yield chance.choice((0, SECOND, 10 * HOUR)), receipt_of(message, *chance.choice(_LATER))
        if message.campaign == "confirm" and chance.random() < 0.5:
            yield chance.choice((MINUTE, 8 * HOUR, 8 * DAY)), _click(message, chance)

    return answer


def _click(message: Message, chance: Random) -> Entry:
    """Somebody follows the link: on the browser of the sign-up, or on another that nobody knows."""
    found = _TOKEN.search(json.loads(message.body)["text"])
    assert found
    who = message.to.partition("@")[0]
    names = {"messageId": f"click-{message.key}", "anonymousId": chance.choice((f"k-{who}", f"new-{who}"))}
    body = {"type": "track", "event": "Email Confirmed", **names, "properties": {"token": found[1]}}
    return Entry("track", WILD.name, "browser", "wild", 0, json.dumps(body).encode())
