"""What discover and identify cost an event: microseconds on one core, on the shared day of a shop.

PYTHONPATH=.:tests/bench python tests/bench/bench_discover.py
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from time import perf_counter

from workload import START, Shoppers, entry

from schemas.records import SECOND, Block, Event
from transforms.logic.discover import PERSON, discover
from transforms.logic.pointers import Pointers
from transforms.logic.repeats import Repeats
from transforms.logic.shard import Outputs, Shard, Stage
from transforms.stores.memory import MemoryRows

EVENTS, BLOCK, PEOPLE = 100_000, 1000, 20_000


def blocks() -> list[Block]:
    """A journal of one commit a second."""
    entries = [entry(body, "shop", "browser") for body in Shoppers(PEOPLE).bodies(EVENTS, START)]
    return [
        Block(START + number * SECOND, 0, first, entries[first : first + BLOCK])
        for number, first in enumerate(range(0, len(entries), BLOCK))
    ]


def main() -> None:
    """Print the median and the best block of each step, for other processes may share the machine."""
    store, repeats, pointers = MemoryRows(), Repeats(), Pointers(b"k" * 32)
    spent: dict[str, list[float]] = {"discover": [], "repeats": [], "pointers": []}
    placed = 0
    for block in blocks():
        begun = perf_counter()
        out = discover([block], PERSON)
        spent["discover"].append(perf_counter() - begun)
        transaction = store.begin()
        fresh = _timed(spent["repeats"], repeats, transaction.shard("repeats", 0), out.events).events
        placed += len(_timed(spent["pointers"], pointers, transaction.shard("pointers", 0), fresh).known)
        transaction.commit(block.received_at, b"")
    for name, seconds in spent.items():
        middle, best = (each / BLOCK * 1e6 for each in (median(seconds), min(seconds)))
        print(f"{name:10} {middle:6.2f} us an event, at best {best:.2f}")
    print(f"{placed} of {EVENTS} events placed")


def _timed(spent: list[float], stage: Stage[Event], shard: Shard, events: Sequence[Event]) -> Outputs:
    begun = perf_counter()
    for event in events:
        stage.key(event)  # the split asks for it, once an event
    out = stage.run(shard, events)
    spent.append(perf_counter() - begun)
    return out


if __name__ == "__main__":
    main()
