"""Products in a cart, an order or a view, in the spellings of Segment and of GA4."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from msgspec import Struct

from schemas.records import Item
from transforms.logic.amounts import pieces, price
from transforms.logic.identifiers import opaque
from transforms.logic.wording import visible

MOST = 200
_NAME = 200
_SMALL = 300
"""Characters up to which a product is worth remembering."""


class Product(Struct, gc=False, rename={"camel": "productId"}):
    """The product block."""

    product_id: Any = None
    camel: Any = None
    sku: Any = None
    id: Any = None
    item_id: Any = None
    name: Any = None
    item_name: Any = None
    category: Any = None
    item_category: Any = None
    variant: Any = None
    item_variant: Any = None
    price: Any = None
    quantity: Any = None


def item(block: Product) -> Item | None:
    """The typed product; None if nothing names it or there are none of it."""
    product = block.product_id or block.camel or block.sku or block.id or block.item_id
    name = block.name or block.item_name or ""
    category = block.category or block.item_category or ""
    variant = block.variant or block.item_variant or ""
    try:
        if len(product) + len(name) + len(category) + len(variant) <= _SMALL:
            return _remembered(product, name, category, variant, block.price, block.quantity)
    except TypeError:  # a number, a list or an object where a word is due
        pass
    return _item(product, name, category, variant, block.price, block.quantity)


def _item(product: object, name: object, category: object, variant: object, cost: object, count: object) -> Item | None:
    known, quantity = opaque(product), pieces(count)
    if not known or not quantity:
        return None
    return Item(known, label(name), label(category), label(variant), price(cost), quantity)


_remembered = lru_cache(1 << 14, typed=True)(_item)
"""A shop shows the same products all day: one object each, made once."""


def items(blocks: object) -> tuple[Item, ...]:
    """Those of a list that can be named, at most `MOST`."""
    if not isinstance(blocks, list):
        return ()
    found = [item(block) for block in blocks[:MOST] if isinstance(block, Product)]
    return tuple([each for each in found if each is not None])


def label(value: object, limit: int = _NAME) -> str:
    """Text that may be shown to a person; empty for anything that is no text."""
    if not isinstance(value, str):
        return ""
    return value if len(value) <= limit and value.isascii() and value.isprintable() else visible(value, limit).strip()
