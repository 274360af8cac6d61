"""Properties of calls as they are sent, one shape a canonical type: what we read, and nothing that we do not use."""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct

from transforms.logic.calls import NOTHING
from transforms.logic.consents import Statement
from transforms.logic.products import Product

Products = list[Product] | dict[str, Any] | str | int | float | bool | None


class Properties(Struct, gc=False):
    """What any call may carry beside its own fields."""

    consent: Raw = NOTHING
    email: Any = None
    phone: Any = None


class PageView(Properties, gc=False):
    """A page or a screen."""

    url: Any = None
    title: Any = None
    path: Any = None


class ProductView(Product, gc=False):
    """A product that was looked at."""

    consent: Raw = NOTHING
    email: Any = None
    phone: Any = None
    url: Any = None
    items: Products = None


class CartChange(ProductView, gc=False):
    """A product that went into a cart or out of it, or the whole cart."""

    cart_id: Any = None
    currency: Any = None
    products: Products = None


class SignUp(Properties, gc=False):
    """A sign-up, or the confirmation of one."""

    marketing_opt_in: Any = None
    token: Any = None


class Permission(Statement, gc=False):
    """A consent record as the properties themselves."""

    consent: Raw = NOTHING
    email: Any = None
    phone: Any = None


class Leaving(Properties, gc=False):
    """What somebody unsubscribes from."""

    category: Any = None
    list: Any = None
    list_id: Any = None
    list_name: Any = None
    all: Any = None


class Purchase(Properties, gc=False):
    """A checkout, an order, or what became of one."""

    order_id: Any = None
    transaction_id: Any = None
    checkout_id: Any = None
    revenue: Any = None
    total: Any = None
    value: Any = None
    refund_amount: Any = None
    currency: Any = None
    products: Products = None
    items: Products = None


class Case(Properties, gc=False):
    """A support case."""

    case_id: Any = None


class Cuts(Properties, gc=False):
    """RFM cut points: days, orders, hundredths."""

    version: Any = None
    recency: tuple[int, int, int, int] = (0, 0, 0, 0)
    frequency: tuple[int, int, int, int] = (0, 0, 0, 0)
    monetary: tuple[int, int, int, int] = (0, 0, 0, 0)


class MailReport(Properties, gc=False):
    """What a mail service reports of a message."""

    email_id: Any = None
    key: Any = None
    code: Any = None
    reason: Any = None
