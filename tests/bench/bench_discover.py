"""What discover and identify cost an event: microseconds on one core, on the shared day of a shop.

    PYTHONPATH=.:tests/bench python tests/bench/bench_discover.py
"""

from __future__ import annotations

from time import perf_counter

from workload import START, Shoppers, entry

from schemas.records import SECOND, Block, Event
from transforms.logic.discover import PERSON, discover
from transforms.logic.pointers import Pointers
from transforms.logic.repeats import Repeats
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
    """Print the three figures."""
    journal, store = blocks(), MemoryRows()
    repeats, pointers = Repeats(), Pointers(b"k" * 32)
    spent = {"discover": 0.0, "repeats": 0.0, "pointers": 0.0}
    placed = 0
    for block in journal:
        begun = perf_counter()
        out = discover([block], PERSON)
        spent["discover"] += perf_counter() - begun
        transaction = store.begin()
        fresh: list[Event] = _timed(spent, "repeats", repeats, transaction.shard("repeats", 0), out.events).events
        placed += len(_timed(spent, "pointers", pointers, transaction.shard("pointers", 0), fresh).known)
        transaction.commit(block.received_at, b"")
    for name, seconds in spent.items():
        print(f"{name:10} {seconds / EVENTS * 1e6:6.2f} us an event")
    print(f"{placed} of {EVENTS} events placed")


def _timed(spent: dict[str, float], name: str, stage: Repeats | Pointers, shard: object, items: list[Event]):
    begun = perf_counter()
    for item in items:
        stage.key(item)  # the split asks for it, once an event
    out = stage.run(shard, items)  # type: ignore[arg-type]
    spent[name] += perf_counter() - begun
    return out


if __name__ == "__main__":
    main()
