"""`make servers`: start what this machine has, print the addresses, stop everything on Ctrl-C."""

from __future__ import annotations

import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from shutil import which
from threading import Event

from kafka_server import KafkaServer, missing

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS.parent), str(TESTS / "support")]


def main() -> None:
    """Start, say so, wait, stop."""
    over = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        for start in (kafka, redis, pubsub):
            print(start(stack, folder), flush=True)
        print("Ctrl-C stops them", flush=True)
        over.wait()


def kafka(stack: ExitStack, folder: Path) -> str:
    """A broker."""
    if why := missing():
        return why
    server = stack.enter_context(KafkaServer(folder / "kafka"))
    return f"Kafka    {server.address}    rapport topics --kafka {server.address}"


def redis(stack: ExitStack, folder: Path) -> str:
    """A Redis."""
    if not which("redis-server"):
        return "Redis is not started: redis-server not installed (apt-get install redis-server)"
    from redis_server import RedisServer

    return f"Redis    {stack.enter_context(RedisServer(folder / 'redis')).url}"


def pubsub(stack: ExitStack, folder: Path) -> str:
    """A Pub/Sub emulator."""
    if not which("gcloud"):
        return "Pub/Sub is not started: gcloud not installed"
    from pubsub_emulator import Emulator

    emulator = Emulator()
    stack.callback(emulator.kill)
    return f"Pub/Sub  PUBSUB_EMULATOR_HOST={emulator.address}"


if __name__ == "__main__":
    main()
