"""The oracle's reading of what callers write: bodies, names, identifiers, products, money and times."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.failures import BAD_JSON, BAD_TIME, Refused
from schemas.records import Entry

EPOCH = datetime.fromtimestamp(0, UTC)
KINDS = {
    "signedup": "signup",
    "accountcreated": "signup",
    "consentupdated": "consent",
    "unsubscribed": "unsubscribed",
    "emailconfirmed": "confirmed",
    "productviewed": "view",
    "productadded": "add",
    "productremoved": "remove",
    "cartupdated": "replace",
    "cartemptied": "empty",
    "checkoutstarted": "checkout",
    "ordercompleted": "order",
    "orderrefunded": "refunded",
    "ordercancelled": "cancelled",
    "orderdelivered": "delivered",
    "caseopened": "opened",
    "caseclosed": "closed",
    "rfmcutspublished": "cuts",
}
NAMING = ("signup", "consent", "confirmed", "unsubscribed", "checkout", "order")
"""Only what is about an address names somebody by its properties."""


def json_of(text: bytes) -> dict[str, Any]:
    """The object in a body."""
    try:
        body = json.loads(text)
    except ValueError as error:
        raise Refused(BAD_JSON) from error
    assert isinstance(body, dict)
    return body


def says(entry: Entry) -> Any:
    """What a record says, whenever it was sent."""
    if entry.kind == "derived" or b'"sentAt"' not in entry.body:
        return entry.body
    return {name: value for name, value in json.loads(entry.body).items() if name not in ("sentAt", "timestamp")}


def kind_of(kind: str, body: dict[str, Any]) -> str:
    """What a call is about, by the name of its event."""
    if kind != "track":
        return kind
    name = "".join(letter for letter in str(body.get("event", "")).lower() if letter.isalnum())
    found = KINDS.get(name, "custom")
    listed = (body.get("properties") or {}).get("products")
    if found in ("add", "remove", "replace") and isinstance(listed, list):
        return "replace" if listed else "empty"
    return found


def ids_of(kind: str, body: dict[str, Any]) -> dict[str, str]:
    """Who it is about."""
    traits = body.get("traits") or {}
    around = (body.get("context") or {}).get("traits") or {}
    named = (body.get("properties") or {}).get("email") if kind in NAMING else ""
    handles = traits.get("handles") or {}
    ids = {
        "customer": str(body.get("userId") or ""),
        "email": str(named or traits.get("email") or around.get("email") or "").strip().lower(),
        "handle": next((f"{network}:{name}".lower() for network, name in handles.items()), ""),
        "cookie": str(body.get("anonymousId") or ""),
    }
    return {name: value for name, value in ids.items() if value}


def products(kind: str, body: dict[str, Any]) -> dict[str, int]:
    """Products in a record and how many of each."""
    listed = body.get("products")
    blocks = listed if isinstance(listed, list) else [body]
    held: dict[str, int] = {}
    for block in blocks if kind != "empty" else ():
        if block.get("product_id"):
            held[block["product_id"]] = held.get(block["product_id"], 0) + int(block.get("quantity", 1))
    return held


def put_in(held: dict[str, int], kind: str, listed: dict[str, int]) -> None:
    """Put things into a cart, or take them out."""
    for product, quantity in listed.items():
        held[product] = held.get(product, 0) + (-quantity if kind == "remove" else quantity)
        if held[product] <= 0:
            del held[product]


def money(properties: dict[str, Any]) -> int:
    """The money of an order in hundredths; -1 for what is no amount."""
    said = next((properties[name] for name in ("revenue", "total", "value") if properties.get(name) is not None), None)
    if said is None:
        return sum(round(each["price"] * 100) * each.get("quantity", 1) for each in properties.get("products", ()))
    try:
        return round(float(str(said).replace(",", ".")) * 100)
    except (ValueError, OverflowError):
        return -1


def micros(text: str) -> int:
    """A time as ISO text."""
    try:
        return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)
    except ValueError as error:
        raise Refused(BAD_TIME) from error
