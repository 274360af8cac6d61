"""What Snowplow's e-commerce plug-in says, in the names and properties of Segment's vocabulary. Pure.

    {"type":"add_to_cart"} with entities product, cart  ->  Product Added {product_id, …, cart_id, currency}

An action says only its type; what it is about rides beside it as entities, one a product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from transforms.logic.consents import is_true

Told = dict[str, Any]
Entities = dict[str, list[Told]]

_PRODUCT = {"id": "product_id", "creative_id": "creative"}
_OPT_IN = {
    "action": "accept",
    "category": "marketing",
    "channel": "email",
    "unlimited": True,
    "proof": "marketing_opt_in",
}
"""What a ticked box at a checkout says, as at a sign-up."""


def action(said: Told, entities: Entities) -> tuple[Any, Told]:
    """The name of the event and its properties; a type that is none of the plug-in's keeps its name."""
    kind = said.get("type")
    name, find = _ACTIONS.get(kind, (kind, _listed)) if isinstance(kind, str) else (kind, _listed)
    properties = find(entities)
    return (_step(entities) if kind == "checkout_step" else name), properties


def _one(entities: Entities) -> Told:
    return next(iter(_products(entities)), {})


def _change(entities: Entities) -> Told:
    """One product as itself, several as a list of what changed."""
    cart, found = _cart(entities), _products(entities)
    return {**found[0], **cart} if len(found) == 1 else {"items": found, **cart}


def _listed(entities: Entities) -> Told:
    return {"products": _products(entities)}


def _promotion(entities: Entities) -> Told:
    found = _first(entities, "promotion")
    return {"promotion_id": found.get("id"), "name": found.get("name"), "position": found.get("position")}


def _checkout(entities: Entities) -> Told:
    step, cart = _first(entities, "checkout_step"), _first(entities, "cart")
    opted = {"consent": [_OPT_IN]} if is_true(step.get("marketing_opt_in")) else {}
    worth = {"value": cart.get("total_value"), "currency": cart.get("currency")}
    return {"step": step.get("step"), **worth, **_listed(entities), **opted}


def _order(entities: Entities) -> Told:
    found = _first(entities, "transaction")
    money = {name: found.get(name) for name in ("revenue", "currency", "tax", "shipping")}
    return {"order_id": found.get("transaction_id"), **money, **_listed(entities)}


def _refund(entities: Entities) -> Told:
    found = _first(entities, "refund")
    return {
        "order_id": found.get("transaction_id"),
        "refund_amount": found.get("refund_amount"),
        "currency": found.get("currency"),
    }


_ACTIONS: Mapping[str, tuple[str, Callable[[Entities], Told]]] = {
    "product_view": ("Product Viewed", _one),
    "add_to_cart": ("Product Added", _change),
    "remove_from_cart": ("Product Removed", _change),
    "list_view": ("Product List Viewed", _listed),
    "list_click": ("Product Clicked", _one),
    "promo_view": ("Promotion Viewed", _promotion),
    "promo_click": ("Promotion Clicked", _promotion),
    "checkout_step": ("Checkout Step Viewed", _checkout),
    "transaction": ("Order Completed", _order),
    "refund": ("Order Refunded", _refund),
    "trns_error": ("Transaction Error", lambda _: {}),
}


def _step(entities: Entities) -> str:
    return "Checkout Started" if _first(entities, "checkout_step").get("step") in (1, "1") else "Checkout Step Viewed"


def _products(entities: Entities) -> list[Told]:
    return [{_PRODUCT.get(name, name): value for name, value in each.items()} for each in entities.get("product", ())]


def _cart(entities: Entities) -> Told:
    found = _first(entities, "cart")
    return {"cart_id": found.get("cart_id"), **({"currency": found["currency"]} if "currency" in found else {})}


def _first(entities: Entities, name: str) -> Told:
    return next(iter(entities.get(name, ())), {})
