"""What an event costs in the whole person lane: the embedded engine against a loop over the same rules in memory.

Run as a script it measures one case in a process of its own and prints a JSON object:
    lane.py embedded|loop|minimal|resume FOLDER PEOPLE EVENTS
Costs are CPU seconds of that process (all its threads); people sign up first, only what follows is measured.
"""

from __future__ import annotations

import gc
import io
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "support"), str(Path(__file__).parent)]

import minimal  # noqa: E402
from shop import SECRET, shop  # noqa: E402
from workload import LANGUAGES, START, Shoppers, entry, sign_up  # noqa: E402

from schemas.codec import pack_many  # noqa: E402
from schemas.records import SECOND, Block  # noqa: E402
from transforms.logic.discover import PERSON, discover  # noqa: E402
from transforms.logic.engage import Engage  # noqa: E402
from transforms.logic.pointers import Pointers  # noqa: E402
from transforms.logic.repeats import Repeats  # noqa: E402
from transforms.logic.shard import CONFLICT, NEW, REPEATED  # noqa: E402

FRAME, BUNDLE, RATE = 100, 1000, 12
"""Records a group commit and a bundle; events a second of journal time: a million a day."""


def blocks(people: int, events: int) -> Iterator[Block]:
    """Everybody's sign-up, then what they do."""
    first = sequence = 0
    bodies = (sign_up(person, START) for person in range(people))
    yield from _blocks(bodies, START, first)
    sequence = people
    later = START + people * SECOND // RATE + 3600 * SECOND
    yield from _blocks(Shoppers(people).bodies(events, later, RATE), later, sequence)


def _blocks(bodies: Iterable[bytes], start: int, first: int) -> Iterator[Block]:
    entries: list[Any] = []
    sequence = first
    for body in bodies:
        entries.append(entry(body, "shop"))
        if len(entries) == FRAME:
            yield Block(start + (sequence - first + FRAME) * SECOND // RATE, 0, sequence, entries)
            sequence, entries = sequence + FRAME, []
    if entries:
        yield Block(start + (sequence - first + FRAME) * SECOND // RATE, 0, sequence, entries)


def write_journal(folder: Path, people: int, events: int) -> None:
    """The journal that `embedded` reads."""
    from transforms.stores.log import LogWriter

    log = LogWriter(folder / "journal", sync=False)
    for block in blocks(people, events):
        log.append(block.received_at, {"records": (pack_many(block.entries), len(block.entries))})
        log.commit()
    log.close()


def open_engine(folder: Path) -> tuple[Any, Any]:
    """The engine over FOLDER as a shop would run it, and its store."""
    from apache_beam import Pipeline
    from apache_beam.options.pipeline_options import PipelineOptions

    from models.registry import Models
    from pipelines.local.runner import EmbeddedRunner, Limits
    from pipelines.stream import Job, build
    from transforms.sources.journal import JournalSource
    from transforms.stores.rows import RowStore

    stores: list[RowStore] = []

    def open_store(graph: str) -> RowStore:
        stores.append(RowStore(folder / "person", graph=graph))
        return stores[0]

    pipeline = Pipeline(options=PipelineOptions([]))
    job = Job({"shop": shop()}, SECRET, Models(), shards=1)
    build(pipeline, JournalSource(folder / "journal", end=True), job, ("person",))
    return EmbeddedRunner(open_store, Limits(bundle=BUNDLE)).open(pipeline), stores[0]


def embedded(folder: Path, people: int, events: int) -> dict[str, float]:
    """The engine with everything on: rows on disk, repeats, identity, tables handed over, every bundle synced."""
    engine, store = open_engine(folder)
    empty = anonymous()
    gc.collect()
    gc.freeze()
    while engine.figures.events < people:
        engine.turn()
    gc.collect()
    settled, seen = anonymous(), memory_of_seen(store)
    seeded, written = engine.figures.events, store.end
    cpu, wall = time.process_time(), time.perf_counter()
    engine.run_until_done()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    count = engine.figures.events - seeded
    found = {
        "events": count,
        "events_per_cpu_s": count / cpu,
        "events_per_s": count / wall,
        "bytes_per_event": (store.end - written) / count,
        "mb_of_people": settled - empty - seen,
        "mb_of_seen": seen,
        "stages": engine.figures.stages,
    }
    engine.close()
    store.close()
    return found


def memory_of_seen(store: Any) -> float:
    """Megabytes that the memory of seen ids takes, by its own count."""
    return store.memory()["seen"] / 1e6 if hasattr(store, "memory") else 0.0


def one_more(folder: Path, people: int) -> None:
    """Journal one order, so that there is something to decide."""
    from transforms.stores.log import LogWriter

    log = LogWriter(folder / "journal", sync=False)
    item = {"product_id": "sku-1", "name": "Trail shoe", "price": 89.9, "quantity": 1}
    order = {"order_id": f"last-{log.stamp}", "total": 89.9, "currency": "EUR", "products": [item]}
    call = {"type": "track", "event": "Order Completed", "messageId": f"last-{log.stamp}", "userId": f"c{people // 2}"}
    body = json.dumps(call | {"properties": order}).encode()
    log.append(log.stamp + SECOND, {"records": (pack_many([entry(body, "shop")]), 1)})
    log.commit()
    log.close()


def resume(folder: Path) -> dict[str, float]:
    """Start on what is there and work off the journal's end: the parent takes the time."""
    engine, store = open_engine(folder)
    before = store.end
    engine.run_until_done()
    decided = store.end > before
    print(json.dumps({"decided": decided}), flush=True)
    engine.close()
    store.close()
    return {"decided": decided}


def anonymous() -> float:
    """Megabytes of anonymous memory of this process."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) / 1000
    return 0.0


class MemoryShard:
    """The least that a shard can be: dictionaries and a heap, for everything, for ever."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes | None] = {}
        self.wakes: list[tuple[int, bytes]] = []
        self.seen: dict[int, int] = {}

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.rows.get(key) for key in keys]

    def put_many(self, rows: Mapping[bytes, bytes | None]) -> None:
        self.rows.update(rows)

    def wake_many(self, wakes: Iterable[tuple[int, bytes]]) -> None:
        for wake in wakes:
            heappush(self.wakes, wake)

    def due(self, upto: int) -> list[tuple[int, bytes]]:
        found = []
        while self.wakes and self.wakes[0][0] <= upto:
            found.append(heappop(self.wakes))
        return found

    def first_seen(self, ids: Sequence[int], bodies: Sequence[int], now: int) -> list[int]:
        verdicts = []
        for number, body in zip(ids, bodies, strict=True):
            known = self.seen.setdefault(number, -1)
            if known == -1:
                self.seen[number] = body
            verdicts.append(NEW if known == -1 else REPEATED if known == body else CONFLICT)
        return verdicts


def loop(people: int, events: int) -> dict[str, float]:
    """The same rules called one after the other; nothing is kept but the rows."""
    stages = (Repeats(), Pointers(SECRET), Engage({"shop": shop()}, SECRET))
    shards = tuple(MemoryShard() for _ in stages)
    given = list(blocks(people, events))
    step = BUNDLE // FRAME
    pulls = [given[at : at + step] for at in range(0, len(given), step)]
    seeding = sum(1 for pull in pulls if pull[0].first < people)
    for pull in pulls[:seeding]:
        run_loop(stages, shards, pull)
    gc.collect()
    gc.freeze()
    count = sum(len(block.entries) for pull in pulls[seeding:] for block in pull)
    cpu = time.process_time()
    for pull in pulls[seeding:]:
        run_loop(stages, shards, pull)
    cpu = time.process_time() - cpu
    return {"events": count, "events_per_cpu_s": count / cpu}


def run_loop(stages: Any, shards: Any, pull: list[Block]) -> int:
    """One batch through all rules; gives how many lines came out."""
    (repeats, pointers, engage), (seen, trails, lives) = stages, shards
    found = discover(pull, PERSON)
    fresh = repeats.run(seen, found.events)
    known = pointers.run(trails, fresh.events)
    done = engage.run(lives, known.known)
    rung = engage.wake(lives, pull[-1].received_at)
    return sum(len(out.rows) + len(out.intents) for out in (found, fresh, known, done, rung))


def reference(people: int, events: int) -> dict[str, float]:
    """The hand-written loop of `minimal.py`."""
    profiles = {
        f"c{person}": {
            "consent": person % 3 > 0,
            "language": LANGUAGES[person % 4],
            "name": "Ana",
            "email": f"p{person}@shop.example",
        }
        for person in range(people)
    }
    lines = list(Shoppers(people).bodies(events, START, RATE))
    gc.collect()
    gc.freeze()
    cpu = time.process_time()
    sent, refused = minimal.run(lines, profiles, io.BytesIO())
    cpu = time.process_time() - cpu
    return {"events": events, "events_per_cpu_s": events / cpu, "sent": sent, "refused": refused}


def main(what: str, folder: str, people: int, events: int) -> dict[str, float]:
    if what == "embedded":
        if not (Path(folder) / "journal").exists():
            write_journal(Path(folder), people, events)
        return embedded(Path(folder), people, events)
    if what == "resume":
        return resume(Path(folder))
    return loop(people, events) if what == "loop" else reference(people, events)


if __name__ == "__main__":
    result = main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    print(json.dumps(result))
