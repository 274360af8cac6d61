"""How one person's doings become calls of SDKs: a scene collects them, each with its time and a name of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from pipelines.demo.people import Person, product
from schemas.records import CLAIMED, DAY, MINUTE, TRUSTED

STRANGER = "stranger"
"""Trust of a caller whose key the door does not know."""

PLAIN, TEXT, GZIP = "json", "text", "gzip"
"""Shapes of a request: JSON, JSON sent as text/plain (browsers), packed JSON under a form's content type (servers)."""

LONG_AGO = 60 * DAY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the door, due at journal time `at` (microseconds). `person` is -1 where it is nobody's story.

    `records` is how many records the door should journal of it; `body` is bytes where it is meant to be broken.
    """

    at: int
    person: int
    path: str
    trust: str
    shape: str
    body: dict[str, Any] | bytes
    records: int = 1


@dataclass(frozen=True, slots=True)
class Planted:
    """What must have become of a person once journal time has passed `due`: messages and refusals, by trigger."""

    person: Person
    story: str
    due: int
    messages: tuple[str, ...]
    refusals: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Scene:
    """One person's part. Offsets are minutes after `start`; `back` is how many microseconds ago it happened."""

    person: Person
    start: int
    chance: Random
    calls: list[Call] = field(default_factory=list)

    # --- who ----------------------------------------------------------------------------------------------------------

    def is_known(self, *, customer_since: int = LONG_AGO) -> None:
        """The shop's own records bring a customer: identity vouched for, consent given long ago."""
        who = self.person
        traits = {"email": who.email, "firstName": who.first, "lastName": who.last, "handles": {"chirp": who.handle}}
        call = self._call("identify", 0, back=customer_since, traits={**traits, "locale": who.locale})
        self._server(0, [call, self._track(0, "Consent Updated", {"consent": [accepted()]}, back=customer_since)])

    def signs_up(self, minutes: float, *, opt_in: bool, back: int = 0) -> None:
        """The sign-up form in the browser."""
        properties = {"email": self.person.email, "marketing_opt_in": opt_in}
        self._browser(minutes, "t", self._track(minutes, "Signed Up", properties, back=back))

    def identified_by_server(self, minutes: float) -> None:
        """The shop's records learn later whose customer number the address has."""
        who = self.person
        traits = {"email": who.email, "firstName": who.first, "lastName": who.last, "locale": who.locale}
        self._server(minutes, [self._call("identify", minutes, traits=traits)])

    # --- what they do -------------------------------------------------------------------------------------------------

    def looks_around(self, minutes: float, views: int = 2) -> None:
        """Product pages, one request each, as browsers send them."""
        for view in range(views):
            at = minutes + view
            self._browser(at, "t", self._track(at, "Product Viewed", product(self.chance)), known=False)

    def fills_cart(self, minutes: float, wanted: dict[str, Any], *, back: int = 0) -> None:
        properties = {"cart_id": f"cart-{self.person.number}", **wanted}
        self._browser(minutes, "t", self._track(minutes, "Product Added", properties, back=back))

    def starts_checkout(self, minutes: float, wanted: dict[str, Any]) -> None:
        properties = {"order_id": self._order(minutes), **money(wanted)}
        self._browser(minutes, "t", self._track(minutes, "Checkout Started", properties))

    def orders(self, minutes: float, wanted: dict[str, Any], *, back: int = 0, times: int = 1) -> None:
        """An order as the shop's server reports it; `times` redelivers the very same bytes."""
        paid = money(wanted)
        properties = {"order_id": self._order(minutes), "total": paid["value"], **paid}
        call = self._track(minutes, "Order Completed", properties, back=back)
        for _ in range(times):
            self._server(minutes, [call])

    def leaves(self, minutes: float) -> None:
        """Takes the address off the list, through the one-click endpoint of the shop."""
        self._server(minutes, [self._track(minutes, "Unsubscribed", {"email": self.person.email})])

    def posts(self, minutes: float, text: str) -> None:
        """Says something to a brand, in public."""
        author = {"network": "chirp", "handle": self.person.handle, "followers": self.chance.randrange(5, 500)}
        at = self._at(minutes)
        self._add(Call(at, self.person.number, "/v1/mentions", TRUSTED, PLAIN, {"mentions": [
            mention(f"post-{self.person.number}-{len(self.calls)}", at, author, text)]}))  # fmt: skip

    # --- how it is sent -----------------------------------------------------------------------------------------------

    def _at(self, minutes: float) -> int:
        return self.start + round(minutes * MINUTE)

    def _order(self, minutes: float) -> str:
        return f"A-{self.person.number}-{round(minutes)}"

    def _call(self, kind: str, minutes: float, *, back: int = 0, **more: Any) -> dict[str, Any]:
        happened = self._at(minutes) - back
        return {"type": kind, "messageId": f"w-{self.person.number}-{len(self.calls)}-{kind}-{more.get('event', '')}",
                "timestamp": iso(happened), **more}  # fmt: skip

    def _track(self, minutes: float, event: str, properties: dict[str, Any], *, back: int = 0) -> dict[str, Any]:
        return self._call("track", minutes, back=back, event=event, properties=properties)

    def _server(self, minutes: float, calls: list[dict[str, Any]]) -> None:
        """A batch with the customer's number, gzip under a form's content type every other time."""
        batch = [{**call, "userId": self.person.customer} for call in calls]
        shape = GZIP if self.person.number % 2 else PLAIN
        body = {"batch": batch, "sentAt": iso(self._at(minutes))}
        self._add(Call(self._at(minutes), self.person.number, "/v1/batch", TRUSTED, shape, body, len(batch)))

    def _browser(self, minutes: float, letter: str, call: dict[str, Any], *, known: bool | None = None) -> None:
        """One event a request, as text; it carries the customer's number once the visitor has logged in."""
        who = self.person
        logged_in = any(earlier.trust == TRUSTED for earlier in self.calls) if known is None else known
        context = {"locale": who.locale, "library": {"name": "analytics.js", "version": "npm:next-1.84.3"}}
        body = {**call, "anonymousId": who.cookie, "userId": who.customer if logged_in else None,
                "context": context, "sentAt": iso(self._at(minutes))}  # fmt: skip
        self._add(Call(self._at(minutes), who.number, f"/v1/{letter}", CLAIMED, TEXT, body))

    def _add(self, call: Call) -> None:
        self.calls.append(call)


def money(wanted: dict[str, Any]) -> dict[str, Any]:
    """The value of one product, as checkouts carry it."""
    return {"value": wanted["price"] * wanted["quantity"], "currency": "EUR", "products": [wanted]}


def accepted() -> dict[str, Any]:
    """Consent as a form would send it."""
    return {"action": "accept", "category": "marketing", "channel": "email", "unlimited": True, "proof": "form-3"}


def mention(name: str, at: int, author: dict[str, Any], text: str) -> dict[str, Any]:
    """One post as `POST /v1/mentions` takes it."""
    return {"id": name, "source_type": "social", "author": author, "text": text, "timestamp": iso(at),
            "url": f"https://chirp.example/{author['handle']}/{name}"}  # fmt: skip


def iso(time: int) -> str:
    """An ISO time of microseconds since 1970."""
    moment = _EPOCH + timedelta(microseconds=time)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
