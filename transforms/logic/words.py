"""What templates may say of carts and orders: plain values with money written out (8990 -> "89.90").

Objects, not dicts: in a template `cart.items` must mean the items.

Carts, and orders of which only a browser told, may hold what a stranger wrote: the key of a shop's pages is public. Of
such an order the number and the amount are said, and products go by titles that nobody can follow anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from unicodedata import category

from msgspec import Struct

from schemas.records import Item, OrderPlaced

_MOST = 50
_TITLE = 80
_POINTS = frozenset(" .,'’&+()%!°×#/-–_")
_HOST = re.compile(r"(?<!\d)\.(?=\w)|\.(?=[^\W\d])")
"""A dot with something right behind it that is no decimal point."""
_NUMBER = re.compile(r"[A-Za-z0-9#_/-]{1,40}")


@lru_cache(4096)
def title(text: str) -> str:
    """A product's name as anybody may have written it: letters, figures and a few marks, no address of any kind.

    title("Boots 2.0: see https://evil.example")  ->  "Boots 2.0 see //evil. example"
    """
    seen = "".join(each if each in _POINTS or category(each)[0] in "LMN" else " " for each in text[:_TITLE])
    return " ".join(_HOST.sub(". ", seen).split())


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

    @classmethod
    def claimed(cls, item: Item) -> ItemWords:
        """As titles that nobody can follow."""
        name, product = title(item.name or item.product), title(item.product)
        return cls(name, product, title(item.category), title(item.variant), money(item.price), item.quantity)


class CartWords(Struct, frozen=True):
    """A cart: `items` (at most 50) and their `value` together."""

    items: tuple[ItemWords, ...]
    value: str

    @classmethod
    def of(cls, items: Iterable[Item]) -> CartWords:
        found = tuple(items)
        value = money(sum(item.price * item.quantity for item in found))
        return cls(tuple(ItemWords.claimed(item) for item in found[:_MOST]), value)


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

    @classmethod
    def claimed(cls, fact: OrderPlaced) -> OrderWords:
        """Its amount, and its number if it looks like one."""
        number = fact.order if _NUMBER.fullmatch(fact.order) else ""
        return cls(number, number, money(fact.value), fact.currency, ())


def money(hundredths: int) -> str:
    """Hundredths of a unit, written out."""
    sign = "-" if hundredths < 0 else ""
    return f"{sign}{abs(hundredths) // 100}.{abs(hundredths) % 100:02d}"
