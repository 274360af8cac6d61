"""The events that all benchmarks share: a shop's day as Segment calls, seeded, with a fixed population.

About 420 bytes an event; customers drawn by a Zipf-like law (exponent 0.75); 0.2 % broken bodies; 1 % redelivered.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec
import numpy as np

from schemas.records import SECOND, Entry

START = 1_790_000_000 * SECOND
LANGUAGES = ("en", "pl", "de", "ru")
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/147.0 Safari/537.36"
_encode = msgspec.json.encode


def when(time: int) -> str:
    """Microseconds as an ISO time with milliseconds."""
    return f"{np.datetime64(time // 1000, 'ms')}Z"


def sign_up(person: int, time: int) -> bytes:
    """The first event of a customer: a sign-up with an address and permission."""
    return _encode(
        {
            "type": "track",
            "event": "Signed Up",
            "messageId": f"signup-{person}",
            "userId": f"c{person}",
            "anonymousId": f"a{person}",
            "timestamp": when(time),
            "context": {"locale": LANGUAGES[person % 4], "traits": {"email": f"p{person}@shop.example"}},
            "properties": {"email": f"p{person}@shop.example", "marketing_opt_in": person % 3 > 0},
        }
    )


class Shoppers:
    """An endless, seeded stream of what `people` customers do; every call draws the same for the same seed."""

    def __init__(self, people: int, seed: int = 1) -> None:
        self._random = random.Random(seed)
        ranks = np.arange(1, people + 1, dtype=np.float64) ** -0.75
        self._share = np.cumsum(ranks / ranks.sum())
        self._draw = np.random.default_rng(seed)
        self.people = people
        self.count = 0

    def bodies(self, count: int, start: int, rate: int = 1000) -> Iterator[bytes]:
        """`count` events from journal time `start` on, `rate` a second."""
        drawn = np.searchsorted(self._share, self._draw.random(count))
        for index, person in enumerate(drawn):
            self.count += 1
            yield self._body(int(person), self.count, start + index * SECOND // rate)

    def _body(self, person: int, number: int, time: int) -> bytes:
        chance = self._random.random()
        if chance < 0.002:
            return b'{"type":"track","event":"Product Viewed","messageId":"broken-%d","properties":{"pri' % number
        product = {
            "product_id": f"sku-{self._random.randrange(5000)}",
            "name": "Trail shoe Fernweh 3",
            "category": "shoes",
            "price": 89.9,
            "quantity": 1,
        }
        call = {
            "messageId": f"m-{number if chance > 0.01 else number - 7}",
            "userId": f"c{person}",
            "anonymousId": f"a{person}",
            "timestamp": when(time),
            "context": {"userAgent": AGENT, "library": {"name": "analytics-node", "version": "3.1.0"}},
        }
        if chance < 0.45:
            return _encode(
                call | {"type": "page", "name": "Shoes", "properties": {"url": "https://shop.example/shoes"}}
            )
        if chance < 0.75:
            return _encode(call | {"type": "track", "event": "Product Viewed", "properties": product})
        if chance < 0.90:
            return _encode(
                call | {"type": "track", "event": "Product Added", "properties": product | {"cart_id": f"k{person}"}}
            )
        if chance < 0.94:
            order = {"order_id": f"o-{number}", "total": 89.9, "currency": "EUR", "products": [product]}
            return _encode(call | {"type": "track", "event": "Order Completed", "properties": order})
        return _encode(call | {"type": "identify", "traits": {"firstName": "Ana", "lastName": "Nowak"}})


def entry(body: bytes, tenant: str, trust: str = "server") -> Entry:
    """The journal's form of one call (its path is told by the body's `type`)."""
    kind = msgspec.json.decode(body, type=_Kind).type if body.endswith(b"}") else "track"
    return Entry(kind, tenant, trust, "bench", 0, body)


class _Kind(msgspec.Struct):
    type: str
