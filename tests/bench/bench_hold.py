"""What holding intents costs: from the decision to the sender, by the interval of the job's checkpoints.

A stand-in for the job commits offsets behind each checkpoint; broker, topics, doors' ticks and the sender's reader are
real. Prints a table.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS.parent), str(TESTS / "support"), str(TESTS / "servers")]

from confluent_kafka import Consumer, Producer, TopicPartition  # noqa: E402
from intents import SECRET, intent  # noqa: E402
from kafka_server import KafkaServer  # noqa: E402
from msgspec.structs import replace  # noqa: E402

from pipelines.brokers import intents_topic  # noqa: E402
from pipelines.config import Config  # noqa: E402
from transforms.topics.client import ends_of, ensure  # noqa: E402
from transforms.topics.kafka import KafkaTopics  # noqa: E402

SECONDS, EVERY, TICK, PARTITIONS = 20.0, 0.02, 0.08, 4
CHECKPOINTS = (0.0, 0.5, 1.0, 3.0)


def measure(config: Config, interval: float) -> list[float]:
    """Seconds from decision to release of each intent; interval 0 holds nothing."""
    over = threading.Event()
    works = [threading.Thread(target=doors, args=(config, over))]
    if interval:
        works.append(threading.Thread(target=job, args=(config, interval, over)))
    works.append(threading.Thread(target=decide, args=(config, over)))
    for work in works:
        work.start()
    intents, waited, end = intents_topic(config, b""), list[float](), time.monotonic() + SECONDS
    while time.monotonic() < end:
        waited += [time.time() - message.decided_at / 1e6 for message in intents.read()]
        time.sleep(0.002)
    over.set()
    for work in works:
        work.join()
    intents.close()
    return sorted(waited)


def doors(config: Config, over: threading.Event) -> None:
    """Ticks to every partition, as idle doors send them."""
    producer = Producer({"bootstrap.servers": config.kafka})
    while not over.wait(TICK):
        for number in range(PARTITIONS):
            producer.produce(f"{config.topics}.records", b"", partition=number, headers=[("tick", b"")])
        producer.poll(0)
    producer.flush(10)


def job(config: Config, interval: float, over: threading.Event) -> None:
    """A checkpoint now and then; what was read when it began is committed."""
    client = Consumer({"bootstrap.servers": config.kafka, "group.id": f"{config.topics}.job"})
    places = [TopicPartition(f"{config.topics}.records", number) for number in range(PARTITIONS)]
    while not over.wait(interval):
        ends = [ends_of(client, place.topic, place.partition)[1] for place in places]
        found = [TopicPartition(place.topic, place.partition, end) for place, end in zip(places, ends, strict=True)]
        client.commit(offsets=found, asynchronous=False)
    client.close()


def decide(config: Config, over: threading.Event) -> None:
    """Intents, each decided now."""
    out, number = KafkaTopics(config.kafka, config.topics, SECRET).open(), 0
    while not over.wait(EVERY):
        now, number = time.time_ns() // 1000, number + 1
        out.publish("intents", [replace(intent(f"p{number}"), decided_at=now, caused_at=now)])
        out.flush()


def main() -> None:
    with tempfile.TemporaryDirectory() as name, KafkaServer(Path(name) / "kafka") as server:
        print("checkpoint every   intents   p50 ms   p99 ms")
        for interval in CHECKPOINTS:
            prefix = f"hold{interval:g}".replace(".", "-")
            ensure(server.address, prefix)
            config = Config(Path(name), kafka=server.address, topics=prefix, hold=interval > 0)
            waited = measure(config, interval)
            what = f"{interval:g} s" if interval else "not held"
            middle, late = waited[len(waited) // 2], waited[len(waited) * 99 // 100]
            print(f"{what:16} {len(waited):9} {middle * 1000:8.0f} {late * 1000:8.0f}", flush=True)


if __name__ == "__main__":
    main()
