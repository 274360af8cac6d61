"""What templates may say of carts and orders: plain values with money written out (8990 -> "89.90").

Objects, not dicts: in a template `cart.items` must mean the items.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from schemas.records import Item, OrderPlaced

_MOST = 50


class ItemWords(Struct, frozen=True):
    """One product."""

    name: str
    product: str
    category: str
    variant: str
    price: str
    quantity: int

    @classmethod
    def of(cls, item: Item) -> ItemWords:
        name = item.name or item.product
        return cls(name, item.product, item.category, item.variant, money(item.price), item.quantity)


class CartWords(Struct, frozen=True):
    """A cart: `items` (at most 50) and their `value` together."""

    items: tuple[ItemWords, ...]
    value: str

    @classmethod
    def of(cls, items: Iterable[Item]) -> CartWords:
        found = tuple(items)
        value = money(sum(item.price * item.quantity for item in found))
        return cls(tuple(ItemWords.of(item) for item in found[:_MOST]), value)


class OrderWords(Struct, frozen=True):
    """An order: its number (`id`, also `order`), `value`, `currency`, `items`."""

    id: str
    order: str
    value: str
    currency: str
    items: tuple[ItemWords, ...]

    @classmethod
    def of(cls, fact: OrderPlaced) -> OrderWords:
        items = tuple(ItemWords.of(item) for item in fact.items[:_MOST])
        return cls(fact.order, fact.order, money(fact.value), fact.currency, items)


def money(hundredths: int) -> str:
    """Hundredths of a unit, written out."""
    sign = "-" if hundredths < 0 else ""
    return f"{sign}{abs(hundredths) // 100}.{abs(hundredths) % 100:02d}"
