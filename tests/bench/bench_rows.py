"""What the row store costs: µs a row, restart, memory and bytes written, at 10,000, 100,000 and a million people.

    python tests/bench/bench_rows.py [PEOPLE …]

Bundles of 1,000 rows of 500 bytes, drawn evenly (the worst case for caches), each read, changed, armed with a wake and
committed with one fdatasync.
"""

from __future__ import annotations

import gc
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from transforms.stores.rows import RowStore

BUNDLE = 1000
ROW = random.Random(1).randbytes(500)
HOUR = 3_600_000_000


def key(person: int) -> bytes:
    return b"engage/%016d" % person


def anonymous() -> float:
    """Megabytes of memory that no file backs."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) / 1024


def fill(store: RowStore, people: int) -> None:
    for first in range(0, people, BUNDLE):
        bundle = store.begin()
        keys = [key(person) for person in range(first, min(people, first + BUNDLE))]
        bundle.put_many(dict.fromkeys(keys, ROW))
        bundle.wake_many([(store.stamp + HOUR + random.randrange(HOUR), each) for each in keys])
        bundle.commit(store.stamp + 1, b"position")


def measure(store: RowStore, people: int, bundles: int) -> dict[str, float]:
    """CPU a row of reading and of committing, worst and middle wall time of a whole bundle, bytes written a row."""
    chance, reading, committing, walls, start = random.Random(2), 0.0, 0.0, [], store.end
    for _ in range(bundles):
        keys = [key(chance.randrange(people)) for _ in range(BUNDLE)]
        wall, cpu = time.perf_counter(), time.process_time()
        bundle = store.begin()
        rows = bundle.get_many(keys)
        reading += time.process_time() - cpu
        assert None not in rows
        cpu = time.process_time()
        bundle.put_many(dict(zip(keys, rows, strict=True)))
        bundle.commit(store.stamp + 1, b"position")
        committing += time.process_time() - cpu
        walls.append(time.perf_counter() - wall)
    walls.sort()
    each = 1e6 / (bundles * BUNDLE)
    return {
        "get µs": reading * each,
        "commit µs": committing * each,
        "bundle p50 ms": walls[len(walls) // 2] * 1e3,
        "p99 ms": walls[int(len(walls) * 0.99)] * 1e3,
        "worst ms": walls[-1] * 1e3,
        "written B": (store.end - start) / (bundles * BUNDLE),
    }


def recognise(store: RowStore, bundles: int) -> float:
    """CPU µs an id of asking and remembering what was seen, all ids new, the worst case."""
    chance, cpu = random.Random(3), time.process_time()
    for _ in range(bundles):
        bundle = store.begin()
        bundle.first_seen([chance.getrandbits(64) for _ in range(BUNDLE)], [7] * BUNDLE, store.stamp)
        bundle.commit(store.stamp + 1, b"position")
    return (time.process_time() - cpu) * 1e6 / (bundles * BUNDLE)


def report(people: int, folder: Path) -> dict[str, float]:
    before = anonymous()
    store = RowStore(folder, graph="bench")
    fill(store, people)
    figures = measure(store, people, 600)
    gc.collect()
    figures["memory MB"] = anonymous() - before
    figures["log × live"] = sum(file.stat().st_size for file in folder.glob("*.log")) / (people * len(ROW))
    figures["seen µs"] = recognise(store, 200)
    begun = time.perf_counter()
    store.close()
    figures["close s"] = time.perf_counter() - begun
    begun = time.perf_counter()
    RowStore(folder, graph="bench").close()
    figures["restart s"] = time.perf_counter() - begun
    for snapshot in folder.glob("*.snapshot"):
        snapshot.unlink()
    return figures


def main() -> None:
    sizes = [int(size) for size in sys.argv[1:]] or [10_000, 100_000, 1_000_000]
    folder = Path(tempfile.mkdtemp(prefix="bench-rows-"))
    try:
        for people in sizes:
            figures = report(people, folder / str(people))
            print(f"{people:>9,} people  " + "  ".join(f"{name} {value:,.2f}" for name, value in figures.items()))
            shutil.rmtree(folder / str(people))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
