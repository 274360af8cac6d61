"""Pub/Sub against the emulator of this machine: what is published, and what is pulled, settled and acknowledged.

PYTHONPATH=.:tests/support:tests/bench python tests/bench/bench_pubsub.py

The emulator is one Java process that shares the cores with us: the figures say what our side costs and that batches
pay, not what the service can do. The table goes to build/bench-pubsub.json, too.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from pubsub_emulator import PROJECT, Channel, shared
from workload import START, Shoppers, entry

from schemas.records import Entry
from transforms.sources.pubsub import PubSubReader, PubSubSource
from transforms.topics.pubsub import PubSubPublisher, PubSubTopics

RECORDS, PEOPLE = 100_000, 20_000
SIZES = {1: 5_000, 10: 20_000, 100: RECORDS, 500: RECORDS}
"""Records a message, and how many records are sent so."""
TRICKLE = 200


@dataclass(frozen=True)
class Rates:
    """One size of messages: records a second, and CPU microseconds a record of this process alone."""

    records_a_message: int
    published_s: int
    publish_cpu_us: float
    pulled_s: int
    pull_cpu_us: float


def main() -> None:
    """Print the table and write it."""
    entries = [entry(body, "shop", "browser") for body in Shoppers(PEOPLE).bodies(RECORDS, START)]
    with closing(Channel(shared(), "bench.records")) as channel:
        topics = PubSubTopics(PROJECT, "bench")
        source = PubSubSource(PROJECT, channel.name)
        publisher, rates = topics.open(), []
        for size, count in SIZES.items():
            rates.append(measured(publisher, source, entries[:count], size))
            print(_line(rates[-1]), flush=True)
        waits = sorted(trickle(publisher, source, entries[:TRICKLE]))
    middle, most = waits[len(waits) // 2] * 1e3, waits[len(waits) * 99 // 100] * 1e3
    print(f"one record at a time, published to pulled: p50 {middle:.1f} ms, p99 {most:.1f} ms")
    found = {"rates": [asdict(each) for each in rates], "p50_ms": round(middle, 1), "p99_ms": round(most, 1)}
    file = Path("build/bench-pubsub.json")
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(found, indent=1), encoding="utf-8")


def measured(publisher: PubSubPublisher, source: PubSubSource, entries: Sequence[Entry], size: int) -> Rates:
    """Publish all of it, then pull and settle all of it."""
    published, publish_cpu = _timed(lambda: _publish(publisher, entries, size))
    with closing(source.open(None)) as reader:
        pulled, pull_cpu = _timed(lambda: _pull(reader, source, len(entries)))
    count = len(entries)
    return Rates(size, int(count / published), publish_cpu / count * 1e6, int(count / pulled), pull_cpu / count * 1e6)


def trickle(publisher: PubSubPublisher, source: PubSubSource, entries: Sequence[Entry]) -> Iterator[float]:
    """Seconds from publishing to pulling, one record after the other."""
    with closing(source.open(None)) as reader:
        for each in entries:
            begun = time.perf_counter()
            publisher.publish("records", [each])
            _pull(reader, source, 1)
            yield time.perf_counter() - begun


def _publish(publisher: PubSubPublisher, entries: Sequence[Entry], size: int) -> None:
    for start in range(0, len(entries), size):
        publisher.publish("records", entries[start : start + size])
    publisher.flush()


def _pull(reader: PubSubReader, source: PubSubSource, count: int) -> None:
    """Until `count` records came; what came is settled as a checkpoint would, and all of it is acknowledged."""
    while count > 0:
        pull = reader.poll(1_000)
        if pull is None:
            time.sleep(0.001)
            continue
        count -= sum(len(block.entries) for block in pull.items)
        source.acknowledge(reader.position())


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds on the wall and of this process's CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _line(rates: Rates) -> str:
    return (
        f"{rates.records_a_message:5} records a message: published {rates.published_s:7,}/s "
        f"({rates.publish_cpu_us:6.1f} us CPU each), pulled {rates.pulled_s:7,}/s ({rates.pull_cpu_us:6.1f} us)"
    )


if __name__ == "__main__":
    os.environ["PUBSUB_EMULATOR_HOST"] = shared().address
    main()
