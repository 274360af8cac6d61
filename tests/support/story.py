"""Stories with named people: what they do when, as the journal would hold it.

    story = Story()
    story.at("09:00").signs_up("ana")
    story.at("10:00").fills_cart("ana", "boots")
    story.until("16:00")

Times are wall-clock times of day 0 (UTC); "2d 09:00" is the third day. Each call is one record in one block, so that
every engine can cut the input as it likes. `happened` gives an event time other than the arrival.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from schemas.codec import pack
from schemas.keys import address_in, derived_id
from schemas.records import DAY, HOUR, MINUTE, SECOND, Block, Derived, Entry, Ids, Receipt, Said

DAY_ZERO = 20_500 * DAY
TENANT = "shop"


def at(time: str) -> int:
    """Microseconds of a time like "09:00", "11:19:59" or "2d 09:00"."""
    day, _, clock = time.rpartition(" ")
    hours, minutes, *seconds = (int(part) for part in clock.split(":"))
    days = int(day.removesuffix("d")) if day else 0
    return DAY_ZERO + days * DAY + hours * HOUR + minutes * MINUTE + (seconds[0] if seconds else 0) * SECOND


def iso(time: int) -> str:
    """An ISO time with microseconds."""
    import datetime

    moment = datetime.datetime.fromtimestamp(0, datetime.UTC) + datetime.timedelta(microseconds=time)
    return moment.isoformat().replace("+00:00", "Z")


@dataclass
class Story:
    """What happens, in order of arrival."""

    tenant: str = TENANT
    arrivals: list[tuple[int, Entry]] = field(default_factory=list)
    end: int = DAY_ZERO
    _now: int = DAY_ZERO
    _count: int = 0

    def at(self, time: str) -> Story:
        self._now = at(time)
        self.end = max(self.end, self._now)
        return self

    def until(self, time: str) -> Story:
        """Let time pass with nothing more said or done."""
        self.end = max(self.end, at(time))
        return self

    # --- what people do -----------------------------------------------------------------------------------------------

    def signs_up(self, who: str, *, consent: bool | None = True, **more: Any) -> Story:
        properties: dict[str, Any] = {"email": email(who)}
        if consent is not None:
            properties["marketing_opt_in"] = consent
        return self.tracks(who, "Signed Up", properties, **more)

    def consents(self, who: str, *consents: dict[str, Any], **more: Any) -> Story:
        return self.tracks(who, "Consent Updated", {"consent": list(consents)}, **more)

    def views(self, who: str, product: str, **more: Any) -> Story:
        return self.tracks(who, "Product Viewed", item(product), **more)

    def fills_cart(self, who: str, product: str, **more: Any) -> Story:
        return self.tracks(who, "Product Added", {"cart_id": f"cart-{who}", **item(product)}, **more)

    def empties_cart(self, who: str, **more: Any) -> Story:
        return self.tracks(who, "Cart Emptied", {"cart_id": f"cart-{who}"}, **more)

    def starts_checkout(self, who: str, *products: str, **more: Any) -> Story:
        found = [item(product) for product in products]
        return self.tracks(who, "Checkout Started", {"value": 10, "currency": "EUR", "products": found}, **more)

    def orders(self, who: str, order: str, *products: str, total: float = 50.0, **more: Any) -> Story:
        found = [item(product) for product in products]
        properties = {"order_id": order, "total": total, "currency": "EUR", "products": found}
        return self.tracks(who, "Order Completed", properties, **more)

    def is_known_as(self, who: str, *, trust: str = "server", **traits: Any) -> Story:
        """A people record: customer id, e-mail and traits."""
        body = {"type": "identify", "userId": f"c-{who}", "traits": {"email": email(who), **traits}}
        return self.add("identify", body, trust)

    def says(self, who: str, sentiment: str, *, brand: str = "Fernweh", directed: bool = True) -> Story:
        """A mention that the listen lane has classified and given back."""
        self._count += 1
        name = f"post-{self._count}"
        fact = Said(name, (brand,), directed, sentiment, 0.9, "en", f"{brand}: {sentiment}")
        derived = Derived(derived_id("said", name), self.tenant, self._now, Ids(handle=f"chirp:{who}"), fact)
        return self.derive(derived, "listen")

    def reports(self, key: str, state: str = "sent") -> Story:
        """The sender's receipt for a send."""
        fact = Receipt(key, state, self._now, "email", "250")
        derived = Derived(
            derived_id("receipt", key, state), self.tenant, self._now, Ids(), fact, address=address_in(key)
        )
        return self.derive(derived, "sender")

    def tracks(
        self,
        who: str,
        name: str,
        properties: dict[str, Any],
        *,
        trust: str = "server",
        known: bool = True,
        cookie: str = "",
        happened: str = "",
    ) -> Story:
        """A track call; `known` adds the customer id, `cookie` an anonymous id."""
        body: dict[str, Any] = {"type": "track", "event": name, "properties": properties}
        if known:
            body["userId"] = f"c-{who}"
        if cookie:
            body["anonymousId"] = cookie
        body["timestamp"] = iso(at(happened) if happened else self._now)
        return self.add("track", body, trust)

    # --- how it is kept -----------------------------------------------------------------------------------------------

    def add(self, kind: str, body: dict[str, Any], trust: str = "server") -> Story:
        self._count += 1
        body = {"messageId": f"m-{self._count}", "timestamp": iso(self._now), **body}
        self.arrivals.append((self._now, Entry(kind, self.tenant, trust, "test", 0, json.dumps(body).encode())))
        return self

    def derive(self, derived: Derived, source: str) -> Story:
        entry = Entry("derived", derived.tenant, "own", source, 0, pack(derived), (source, self._count))
        self.arrivals.append((self._now, entry))
        return self

    def doubled(self) -> Story:
        """The same story with every record delivered twice, the second time a minute later at the most."""
        twice = [(time + late, entry) for time, entry in self.arrivals for late in (0, 1)]
        return replace(self, arrivals=sorted(twice, key=lambda arrival: arrival[0]))

    def blocks(self) -> Iterator[Block]:
        """One block a record, stamped strictly rising, and an empty one at the end of time."""
        stamp = 0
        for sequence, (time, entry) in enumerate(sorted(self.arrivals, key=lambda arrival: arrival[0])):
            stamp = max(time, stamp + 1000)
            yield Block(stamp, 0, sequence, [entry])
        yield Block(max(self.end, stamp + 1000), 0, len(self.arrivals), [])


def email(who: str) -> str:
    return f"{who}@people.example"


def item(product: str, price: float = 50.0) -> dict[str, Any]:
    return {"product_id": product, "name": product.title(), "category": "gear", "price": price, "quantity": 1}


def consent(accept: bool = True, category: str | None = "marketing", channel: str = "email") -> dict[str, Any]:
    """A consent as a site's form would send it; without a category it is invalid."""
    found = {"action": "accept" if accept else "reject", "channel": channel, "unlimited": True, "proof": "form-3"}
    return found if category is None else {**found, "category": category}


def cut(blocks: Sequence[Block], sizes: Sequence[int]) -> Iterator[list[Block]]:
    """The same blocks in pulls of the given sizes, the last size repeated."""
    start, index = 0, 0
    while start < len(blocks):
        size = sizes[min(index, len(sizes) - 1)]
        yield list(blocks[start : start + size])
        start, index = start + size, index + 1
