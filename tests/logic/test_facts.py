"""Each event type, from the spellings in which shops send it to one fact."""

from __future__ import annotations

from typing import Any

import pytest
from support_calls import BROWSER, NOON, event, refused, track

from schemas.failures import BAD_VALUE, MISSING_FIELD, NOT_TRUSTED, WRONG_TYPE
from schemas.records import (
    AnyFact,
    CartUpdated,
    CaseChanged,
    CheckoutStarted,
    Confirmed,
    Custom,
    CutsPublished,
    Item,
    OrderChanged,
    OrderPlaced,
    Receipt,
    SignedUp,
    Unsubscribed,
    Viewed,
)

SHOE = {"product_id": "sku-1", "name": "Trail shoe", "category": "shoes", "variant": "42", "price": 89.9, "quantity": 2}
ITEM = Item("sku-1", "Trail shoe", "shoes", "42", 8990, 2)
KEY = "a" * 32 + "-" + "b" * 32
CUTS = {"version": "v1", "recency": [7, 30, 90, 180], "frequency": [1, 2, 4, 8], "monetary": [0, 1000, 5000, 10000]}

FACTS: list[tuple[str, dict[str, Any], AnyFact]] = [
    ("Signed Up", {"email": "ana@shop.example"}, SignedUp()),
    ("account_created", {}, SignedUp()),
    ("Email Confirmed", {"token": "t-1"}, Confirmed("t-1")),
    ("Email Confirmed", {}, Confirmed("")),
    ("Unsubscribed", {}, Unsubscribed("marketing")),
    ("Unsubscribed", {"category": "News"}, Unsubscribed("news")),
    ("Unsubscribed", {"list_id": "weekly"}, Unsubscribed("weekly")),
    ("Unsubscribed", {"all": True}, Unsubscribed("marketing", True)),
    ("Unsubscribed", {"category": "all"}, Unsubscribed("all", True)),
    ("Unsubscribed", {"category": 7, "all": 0}, Unsubscribed("", True)),
    ("Unsubscribed", {"list_name": "Weekly"}, Unsubscribed("weekly")),
    ("Product Viewed", SHOE, Viewed("product", item=ITEM)),
    ("view_item", SHOE, Viewed("product", item=ITEM)),
    ("Product Viewed", {"productId": 7}, Viewed("product", item=Item("7"))),
    ("Product Viewed", {"sku": "s"}, Viewed("product", item=Item("s"))),
    ("Product Viewed", {"id": "s", "price": "12,50"}, Viewed("product", item=Item("s", price=1250))),
    ("Product Viewed", {"id": "s", "price": -1, "quantity": "x"}, Viewed("product", item=Item("s"))),
    ("Product Viewed", {"id": "s", "name": ["odd"], "category": {}}, Viewed("product", item=Item("s"))),
    ("Product Viewed", {}, Viewed("product")),
    ("Product Viewed", {"id": "s", "url": "https://s.example"}, Viewed("product", "https://s.example", "", Item("s"))),
    ("Product Viewed", {"id": "s", "url": "javascript:alert(1)"}, Viewed("product", item=Item("s"))),
    ("Page Viewed", {"url": "/shoes", "title": "Shoes"}, Viewed("page", "/shoes", "Shoes")),
    ("Product Added", SHOE | {"cart_id": "k"}, CartUpdated("add", "k", "", (ITEM,))),
    ("add_to_cart", SHOE | {"currency": "eur"}, CartUpdated("add", "", "EUR", (ITEM,))),
    ("Product Removed", SHOE, CartUpdated("remove", "", "", (ITEM,))),
    ("Product Added", {"products": [SHOE]}, CartUpdated("replace", "", "", (ITEM,))),
    ("Product Added", {"items": [SHOE]}, CartUpdated("add", "", "", (ITEM,))),
    ("Product Added", {"products": []}, CartUpdated("empty")),
    ("Product Added", {"products": [SHOE | {"quantity": 0}]}, CartUpdated("empty")),
    ("Cart Updated", {"products": [SHOE, {"name": "nameless"}]}, CartUpdated("replace", items=(ITEM,))),
    ("Cart Emptied", {"cart_id": "k"}, CartUpdated("empty", "k")),
    ("Cart Emptied", {"products": [SHOE]}, CartUpdated("empty")),
    ("Checkout Started", {"order_id": "o", "value": 10, "products": [SHOE]}, CheckoutStarted("o", 1000, "", (ITEM,))),
    ("Checkout Step Viewed", {"checkout_id": 5, "value": "lots"}, CheckoutStarted("5")),
    ("Order Completed", {"order_id": "o", "total": 20, "revenue": 15}, OrderPlaced("o", 1500)),
    ("Order Completed", {"order_id": "o", "total": "20.50", "currency": "usd"}, OrderPlaced("o", 2050, "USD")),
    ("purchase", {"transaction_id": 1, "value": 3, "items": [{"item_id": 2}]}, OrderPlaced("1", 300, "", (Item("2"),))),
    ("Order Completed", {"order_id": 77, "products": [SHOE]}, OrderPlaced("77", 17980, "", (ITEM,))),
    ("Order Completed", {"order_id": "o"}, OrderPlaced("o", 0)),
    ("Order Refunded", {"order_id": "o", "total": 5}, OrderChanged("o", "refunded", 500)),
    ("Order Refunded", {"order_id": "o"}, OrderChanged("o", "refunded")),
    ("Order Cancelled", {"order_id": "o", "total": 5}, OrderChanged("o", "cancelled")),
    ("Order Delivered", {"order_id": "o"}, OrderChanged("o", "delivered")),
    ("Case Opened", {"case_id": 12}, CaseChanged("12", True)),
    ("Case Closed", {"case_id": "12"}, CaseChanged("12", False)),
    ("RFM Cuts Published", CUTS, CutsPublished("v1", (7, 30, 90, 180), (1, 2, 4, 8), (0, 1000, 5000, 10000))),
    ("Email Opened", {"email_id": KEY}, Receipt(KEY, "opened", NOON, "email")),
    ("Email Bounced", {"email_id": KEY, "code": "5.1.1"}, Receipt(KEY, "bounced", NOON, "email", "5.1.1")),
    ("Email Marked as Spam", {"email_id": KEY}, Receipt(KEY, "complained", NOON, "email")),
    ("Email Opened", {"email_id": "of-another-system"}, Custom("Email Opened")),
    ("Tea Brewed", {"strength": 5}, Custom("Tea Brewed")),
    ("Tea\u202e Brewed\u200b", {}, Custom("Tea Brewed")),
    ("x" * 5000, {}, Custom("x" * 100)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "properties", "fact"), FACTS, ids=lambda value: str(value)[:50])
def test_a_fact(name: str, properties: dict[str, Any], fact: AnyFact) -> None:
    assert event(track(name, **properties)).fact == fact


@pytest.mark.parametrize(
    ("name", "properties", "reason"),
    [
        ("Product Added", {}, MISSING_FIELD),
        ("Product Added", {"product_id": "null"}, MISSING_FIELD),
        ("Product Added", {"products": "many"}, MISSING_FIELD),
        ("Cart Updated", {}, MISSING_FIELD),
        ("Order Completed", {}, MISSING_FIELD),
        ("Order Completed", {"order_id": []}, MISSING_FIELD),
        ("Order Completed", {"order_id": "o", "total": -5}, BAD_VALUE),
        ("Order Completed", {"order_id": "o", "total": "NaN"}, BAD_VALUE),
        ("Order Completed", {"order_id": "o", "total": 1e308}, BAD_VALUE),
        ("Order Completed", {"order_id": "o", "revenue": "a lot", "total": 5}, BAD_VALUE),
        ("Order Completed", {"order_id": "o", "total": {}}, BAD_VALUE),
        ("Order Completed", {"order_id": "o", "products": [7]}, WRONG_TYPE),
        ("Order Refunded", {"total": 5}, MISSING_FIELD),
        ("Order Refunded", {"order_id": "o", "total": -1}, BAD_VALUE),
        ("Case Opened", {}, MISSING_FIELD),
        ("RFM Cuts Published", {}, MISSING_FIELD),
        ("RFM Cuts Published", CUTS | {"version": None}, MISSING_FIELD),
        ("RFM Cuts Published", CUTS | {"recency": [7, 30]}, WRONG_TYPE),
        ("RFM Cuts Published", CUTS | {"recency": [30, 7, 90, 180]}, WRONG_TYPE),
        ("RFM Cuts Published", CUTS | {"monetary": [-1, 0, 1, 2]}, WRONG_TYPE),
        ("RFM Cuts Published", CUTS | {"frequency": [1, 2, 3, 2.5]}, WRONG_TYPE),
        ("", {}, MISSING_FIELD),
        ("\u200b\u202e", {}, MISSING_FIELD),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_fact_that_a_decision_would_hang_on(name: str, properties: dict[str, Any], reason: str) -> None:
    assert refused(track(name, **properties)).reason == reason


@pytest.mark.parametrize(
    ("name", "properties"), [("RFM Cuts Published", CUTS), ("Email Opened", {"email_id": KEY}), ("Email Confirmed", {})]
)
def test_what_only_a_server_may_say(name: str, properties: dict[str, Any]) -> None:
    assert refused(track(name, **properties), trust=BROWSER).reason == NOT_TRUSTED


def test_a_browser_may_bring_the_token_that_we_sent() -> None:
    assert event(track("Email Confirmed", token="t"), trust=BROWSER).fact == Confirmed("t")


def test_at_most_two_hundred_products() -> None:
    found = event(track("Cart Updated", products=[SHOE] * 1000)).fact
    assert isinstance(found, CartUpdated) and len(found.items) == 200


def test_a_page_names_itself_or_its_context_does() -> None:
    call = {"type": "page", "messageId": "m", "anonymousId": "k", "name": "Shoes", "properties": {"path": "/shoes"}}
    assert event(call, "page").fact == Viewed("page", "/shoes", "Shoes")
    around = {"page": {"url": "https://shop.example/", "title": "Home"}}
    assert event({"messageId": "m", "context": around}, "page").fact == Viewed("page", "https://shop.example/", "Home")
    assert event({"messageId": "m", "name": "Cart"}, "screen").fact == Viewed("screen", "", "Cart")


@pytest.mark.parametrize("properties", [None, [], {}])
def test_no_properties_in_any_spelling(properties: object) -> None:
    assert event({"event": "Cart Emptied", "messageId": "m", "properties": properties}).fact == CartUpdated("empty")
