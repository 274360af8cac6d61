"""How fast the job pulls from a Kafka broker and hands over to it, in records a second of this process's CPU time.

python tests/bench/bench_kafka.py [RECORDS]       needs java, and mvn once; figures in build/bench-kafka.json
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS.parent), str(TESTS / "support"), str(TESTS / "servers")]

from intents import SECRET  # noqa: E402
from kafka_server import KafkaServer, missing  # noqa: E402
from logs import event  # noqa: E402

from schemas.records import Derived, Entry, Ids, Viewed  # noqa: E402
from schemas.single_object import decode, encode  # noqa: E402
from transforms.sources.kafka import KafkaSource, close_all  # noqa: E402
from transforms.stores.journal import Draft  # noqa: E402
from transforms.topics.client import ensure  # noqa: E402
from transforms.topics.journal import KafkaJournal  # noqa: E402
from transforms.topics.kafka import KafkaTopics  # noqa: E402

RECORDS = 100_000
GROUP = 1_000
BODY = 455
FIGURES = Path("build/bench-kafka.json")


def rate(count: int, work: Callable[[], object]) -> dict[str, int]:
    """How many of `count` records a second of CPU time, and of real time."""
    cpu, real = time.process_time(), time.perf_counter()
    work()
    return {
        "per_cpu_s": round(count / (time.process_time() - cpu)),
        "per_s": round(count / (time.perf_counter() - real)),
    }


def entries(count: int) -> list[Entry]:
    """Calls of as many people, of a usual size."""
    names = (json.dumps({"type": "track", "event": "Product Viewed", "userId": f"u{n}"}) for n in range(count))
    return [Entry("track", "shop", "server", "bench", 0, f"{name[:-1]},".encode().ljust(BODY) + b"}") for name in names]


def journaled(journal: KafkaJournal, records: list[Entry]) -> None:
    """What a door does, a group commit after the other."""
    for first in range(0, len(records), GROUP):
        journal.write(Draft(records[first : first + GROUP]), 0)


def pulled(source: KafkaSource, limit: int) -> int:
    """Everything, in pulls of `limit`; how many pulls brought nothing."""
    reader, empty = source.open(None), 0
    while not reader.done():
        if reader.poll(limit) is None:
            empty += 1
            time.sleep(0.001)
    return empty


def latencies(journal: KafkaJournal, source: KafkaSource, count: int = 500) -> list[float]:
    """Milliseconds from before a write to the pull that brings it, sorted."""
    reader, found = source.open(None), []
    while not reader.done():
        reader.poll(10_000)
    live = KafkaSource(source.servers, source.topic, patience=0).open(reader.position())
    entry = entries(1)
    for _ in range(count):
        began = time.perf_counter()
        journal.write(Draft(list(entry)), 0)
        while live.poll(1_000) is None:
            pass
        found.append((time.perf_counter() - began) * 1e3)
    return sorted(found)


def main() -> None:
    """Measure and print."""
    if why := missing():
        sys.exit(why)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS
    figures: dict[str, object] = {"records": count}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, KafkaServer(Path(folder)) as server:
        ensure(server.address, "bench")
        journal = KafkaJournal(server.address, "bench", Path(folder) / "door", SECRET, lambda entry: ())
        records = entries(count)
        figures["door writes"] = rate(count, lambda: journaled(journal, records))
        source = KafkaSource(server.address, "bench.records", end=True, patience=0)
        figures["one reader pulls"] = rate(count, lambda: pulled(source, GROUP))
        part = source.parts()[0]
        figures["a quarter of it, one partition"] = rate(count // 4, lambda: pulled(part, GROUP))
        waits = latencies(journal, source)
        figures["door to pull ms"] = {"p50": round(waits[len(waits) // 2], 2), "p99": round(waits[-5], 2)}
        out = KafkaTopics(server.address, "bench", SECRET).open()
        rows = [event(number) for number in range(count // 4)]
        figures["rows leave"] = rate(len(rows), lambda: (out.publish("rows", rows), out.flush()))
        journal.close()
        close_all()
    back = [Derived(f"d{n}", "shop", 1, Ids(cookie=f"c{n}"), Viewed("page")) for n in range(count // 10)]
    figures["row to Avro"] = rate(len(rows), lambda: [encode(row) for row in rows])
    figures["feedback to Avro"] = rate(len(back), lambda: [encode(each) for each in back])
    sent = [encode(each) for each in back]
    figures["feedback from Avro"] = rate(len(back), lambda: [decode(each) for each in sent])
    for name, figure in figures.items():
        print(f"{name:32} {figure}")
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
