"""What one event costs in engage, by type: `python tests/bench/bench_engage.py`.

100,000 people with a filled profile, rows in a dictionary (no disk, no Beam), batches of 1,000, collector frozen.
"""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import process_time

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "support")]

from lives import item  # noqa: E402
from shop import SECRET, shop  # noqa: E402

from schemas.keys import address_of  # noqa: E402
from schemas.records import (  # noqa: E402
    SECOND,
    CartUpdated,
    Event,
    Ids,
    Known,
    OrderPlaced,
    SignedUp,
    Traits,
    Viewed,
)
from transforms.logic.engage import Engage  # noqa: E402

PEOPLE, BATCH, EVENTS = 100_000, 1_000, 100_000
START = 1_790_000_000 * SECOND


class DictShard:
    """The least that a shard can be."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes | None] = {}
        self.wakes: list[tuple[int, bytes]] = []

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.rows.get(key) for key in keys]

    def put_many(self, rows: Mapping[bytes, bytes | None]) -> None:
        self.rows.update(rows)

    def wake_many(self, wakes: Iterable[tuple[int, bytes]]) -> None:
        self.wakes.extend(wakes)

    def due(self, upto: int) -> list[tuple[int, bytes]]:
        return []

    def first_seen(self, ids: Sequence[int], bodies: Sequence[int], now: int) -> list[int]:
        return [0] * len(ids)


def main() -> None:
    """Print microseconds an event by type and the size of a profile."""
    engage, shard = Engage({"shop": shop()}, SECRET), DictShard()
    addresses = [address_of(SECRET, "shop", "customer", f"c{person}") for person in range(PEOPLE)]
    clock = Clock()
    fill(engage, shard, addresses, clock)
    size = sum(len(row) for row in shard.rows.values() if row) // len(shard.rows)
    print(f"{len(shard.rows):,} people, {size} bytes a profile")
    gc.collect()
    gc.freeze()
    for name, fact in FACTS.items():
        events = EVENTS if name != "order_placed" else EVENTS // 10
        knowns = [
            clock.known(addresses, person, fact()) for person in random.Random(1).choices(range(PEOPLE), k=events)
        ]
        print(f"{name:15} {timed(engage, shard, knowns):7.1f} µs an event")


class Clock:
    """Events one after the other."""

    def __init__(self) -> None:
        self.count = 0

    def known(self, addresses: list[bytes], person: int, fact: object, traits: Traits | None = None) -> Known:
        self.count += 1
        now = START + self.count * 1000
        event = Event(
            id=f"3f2b6c1e-{self.count:012d}",
            tenant="shop",
            trust="server",
            source="bench",
            event_time=now - 500,
            received_at=now,
            partition=0,
            sequence=self.count,
            ids=Ids(f"c{person}", f"p{person}@shop.example", cookie=f"a{person}"),
            fact=fact,  # type: ignore[arg-type]
            traits=traits,
            raw=b"x" * 420,
        )
        return Known(addresses[person], event, "verified")


FACTS: dict[str, Callable[[], object]] = {
    "page": lambda: Viewed("page", "https://shop.example/shoes", "Shoes"),
    "product_viewed": lambda: Viewed("product", item=item(f"sku-{random.randrange(5000)}")),
    "cart_updated": lambda: CartUpdated("add", "k", "EUR", (item(f"sku-{random.randrange(5000)}"),)),
    "order_placed": lambda: OrderPlaced(f"o-{random.random()}", 8990, "EUR", (item("sku-1"),)),
}


def fill(engage: Engage, shard: DictShard, addresses: list[bytes], clock: Clock) -> None:
    """Everybody signs up and looks at some products."""
    traits = Traits("Ana", "Nowak", "pl-PL", "Europe/Warsaw")
    facts = (SignedUp(), *(FACTS[name]() for name in ("product_viewed", "product_viewed", "cart_updated")))
    for fact in facts:
        first = isinstance(fact, SignedUp)
        knowns = [clock.known(addresses, person, fact, traits if first else None) for person in range(PEOPLE)]
        timed(engage, shard, knowns)


def timed(engage: Engage, shard: DictShard, knowns: list[Known]) -> float:
    """Microseconds of processor time an event: the median of the batches."""
    spent = []
    for start in range(0, len(knowns), BATCH):
        batch = knowns[start : start + BATCH]
        begun = process_time()
        engage.run(shard, batch)
        spent.append((process_time() - begun) / len(batch))
    return median(spent) * 1e6


if __name__ == "__main__":
    main()
