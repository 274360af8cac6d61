"""What a call says, typed: one reader a canonical type, from the properties that its rules use.

What a decision hangs on is demanded (an order has an id and an amount); what only decorates a message may be missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import msgspec
from msgspec import Struct

from schemas.failures import MISSING_FIELD, WRONG_TYPE, Refused, form_of
from schemas.records import (
    AnyFact,
    CartUpdated,
    CaseChanged,
    CheckoutStarted,
    Confirmed,
    ConsentChanged,
    Custom,
    CutsPublished,
    OrderChanged,
    OrderPlaced,
    Receipt,
    SignedUp,
    Unsubscribed,
    Viewed,
)
from transforms.logic.amounts import currency, demand, hundredths
from transforms.logic.bodies import decode
from transforms.logic.calls import Call, Page
from transforms.logic.consents import is_true
from transforms.logic.identifiers import opaque
from transforms.logic.products import item, items, label
from transforms.logic.properties import (
    CartChange,
    Case,
    Cuts,
    Leaving,
    MailReport,
    PageView,
    Permission,
    ProductView,
    Properties,
    Purchase,
    SignUp,
)
from transforms.logic.vocabulary import Meaning

_URL = 2000
_NONE = (b"[]", b"null")  # PHP writes an empty object as a list
_WEB = ("https://", "http://", "/")


class Reader(NamedTuple):
    """How the properties of one type are decoded and what fact they make, as one of its variants."""

    decoder: msgspec.json.Decoder[Any]
    empty: Any
    read: Callable[[Any, str, Call], AnyFact]
    variant: str = ""


def reader_of(meaning: Meaning) -> Reader:
    """Who reads the calls that mean this."""
    return READERS[meaning.kind]._replace(variant=meaning.variant)


def fact_of(reader: Reader, call: Call) -> tuple[AnyFact, Properties]:
    """The fact of a call and its properties (consent, address). Raises Refused (any reason of a field)."""
    decoder, properties, read, variant = reader
    raw = call.properties
    if raw:
        try:
            properties = decode(decoder, raw)
        except Refused:
            if bytes(raw) not in _NONE:
                raise
    return read(properties, variant, call), properties


def _viewed(said: ProductView, what: str, _call: Call) -> AnyFact:
    return Viewed(what, _url(said.url) if said.url else "", "", item(said) or next(iter(items(said.items)), None))


def _page(said: PageView, what: str, call: Call) -> AnyFact:
    url, title = said.url, said.title or call.name
    if not url or not title:
        page = call.around.page
        page = page if isinstance(page, Page) else _NO_PAGE
        url, title = url or page.url or said.path, title or page.title
    return Viewed(what, _url(url), label(title) if title else "")


def _cart(said: CartChange, change: str, _call: Call) -> AnyFact:
    cart, money = opaque(said.cart_id), currency(said.currency)
    if change == "empty":
        return CartUpdated(change, cart, money)
    whole = said.products if said.products is not None or change != "replace" else said.items
    if isinstance(whole, list):
        held = items(whole)
        return CartUpdated("replace" if held else "empty", cart, money, held)
    one = item(said)
    changed = (one,) if one else items(said.items)  # GA4 lists what went in or out, not what is in the cart
    if not changed or change == "replace":
        raise Refused(MISSING_FIELD, "expected product_id, sku or a list of products")
    return CartUpdated(change, cart, money, changed)


def _checkout(said: Purchase, _variant: str, _call: Call) -> AnyFact:
    name = opaque(said.checkout_id or said.order_id)
    worth = _first(said.value, said.revenue, said.total)
    return CheckoutStarted(name, hundredths(worth) or 0, currency(said.currency), _bought(said))


def _order(said: Purchase, _variant: str, _call: Call) -> AnyFact:
    worth, bought = _first(said.revenue, said.total, said.value), _bought(said)
    amount = sum(each.price * each.quantity for each in bought) if worth is None else demand(worth, "revenue, total")
    return OrderPlaced(_order_id(said), amount, currency(said.currency), bought)


def _order_change(said: Purchase, change: str, _call: Call) -> AnyFact:
    taken = _first(said.refund_amount, said.total, said.value) if change == "refunded" else None
    return OrderChanged(_order_id(said), change, 0 if taken is None else demand(taken, "total"))


def _case(said: Case, variant: str, _call: Call) -> AnyFact:
    return CaseChanged(_demanded(said.case_id, "case_id"), variant == "opened")


def _unsubscribed(said: Leaving, _variant: str, _call: Call) -> AnyFact:
    named = said.category or said.list or said.list_id or said.list_name
    category = label(named, 60).lower() if named else "marketing"
    return Unsubscribed(category, is_true(said.all) or category in ("", "all", "*"))


def _cuts(said: Cuts, _variant: str, _call: Call) -> AnyFact:
    bounds = said.recency, said.frequency, said.monetary
    if any(list(each) != sorted(each) or not 0 <= each[0] <= each[3] <= 10**12 for each in bounds):
        raise Refused(WRONG_TYPE, "recency, frequency, monetary: expected four rising whole numbers each")
    if not any(said.recency):
        raise Refused(MISSING_FIELD, "expected recency, frequency and monetary")
    return CutsPublished(_demanded(said.version, "version"), *bounds)


def _report(said: MailReport, state: str, call: Call) -> AnyFact:
    key = opaque(said.key or said.email_id)
    if len(key) != 65:
        return Custom(label(call.event))  # a message of somebody else's
    return Receipt(key, state, 0, "email", label(said.code or said.reason, 60))


def _custom(_said: Properties, known: str, call: Call) -> AnyFact:
    name = known or label(call.event if isinstance(call.event, str) else str(call.event or ""), 100)
    if not name:
        raise Refused(MISSING_FIELD, "event: expected the name of what happened")
    return Custom(name)


def _bought(said: Purchase) -> tuple[Any, ...]:
    return items(said.products if said.products is not None else said.items)


def _order_id(said: Purchase) -> str:
    return _demanded(said.order_id or said.transaction_id, "order_id")


def _demanded(value: object, field: str) -> str:
    text = opaque(value)
    if not text:
        raise Refused(MISSING_FIELD, f"{field}: expected text or a number, got {form_of(value)}")
    return text


def _first(*values: object) -> object:
    for value in values:
        if value is not None:
            return value
    return None


def _url(value: object) -> str:
    text = label(value, _URL)
    return text if text.startswith(_WEB) else ""


_NO_PAGE = Page()
_READ: dict[str, tuple[type[Struct], Callable[[Any, str, Call], AnyFact]]] = {
    "signup": (SignUp, lambda _said, _variant, _call: SignedUp()),
    "consent": (Permission, lambda _said, _variant, _call: ConsentChanged()),
    "confirmed": (SignUp, lambda said, _variant, _call: Confirmed(opaque(said.token))),
    "unsubscribed": (Leaving, _unsubscribed),
    "viewed": (ProductView, _viewed),
    "page": (PageView, _page),
    "cart_updated": (CartChange, _cart),
    "checkout_started": (Purchase, _checkout),
    "order_placed": (Purchase, _order),
    "order_changed": (Purchase, _order_change),
    "case_changed": (Case, _case),
    "cuts_published": (Cuts, _cuts),
    "receipt": (MailReport, _report),
    "custom": (Properties, _custom),
}
READERS = {kind: Reader(msgspec.json.Decoder(cast(Any, given)), given(), read) for kind, (given, read) in _READ.items()}
