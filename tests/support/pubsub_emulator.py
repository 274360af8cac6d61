"""The Pub/Sub emulator of the Google Cloud CLI: started on loopback, waited for, stopped by its process group."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import threading
from dataclasses import dataclass
from functools import cache
from uuid import uuid4

import pytest
from google.api_core import exceptions
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient

from transforms.batches import Pull
from transforms.sources.pubsub import PubSubReader, PubSubSource

PROJECT = "rapport-test"
_READY = "Server started"
_PATIENCE = 30.0


class Emulator:
    """One running emulator. Its memory is its store: whoever kills it forgets all topics."""

    def __init__(self, port: int = 0) -> None:
        self.port = port or _free_port()
        command = ["gcloud", "beta", "emulators", "pubsub", "start", f"--host-port=localhost:{self.port}", "--quiet"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        self._ready = threading.Event()
        self._said: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()
        atexit.register(self.kill)
        if not self._ready.wait(_PATIENCE) or self._process.poll() is not None:
            self.kill()
            raise RuntimeError(f"the emulator did not start: {''.join(self._said[-5:])}")

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"

    def send(self, sign: signal.Signals) -> None:
        """A signal to the emulator and its children."""
        os.killpg(self._process.pid, sign)

    def kill(self) -> None:
        """End it without a farewell; again does nothing."""
        if self._process.poll() is None:
            self.send(signal.SIGKILL)
            self._process.wait()
        atexit.unregister(self.kill)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.append(line)
            if _READY in line:
                self._ready.set()
        self._process.stdout.close()
        self._ready.set()


@cache
def shared() -> Emulator:
    """The emulator of this test run."""
    return Emulator()


def needed() -> None:
    """Skip, by name, where there is none."""
    if shutil.which("gcloud") is None:
        pytest.skip("the Pub/Sub emulator is absent: no `gcloud` on the path")


class Channel:
    """A topic and a subscription of its own on an emulator, and a test's hands on both."""

    def __init__(self, emulator: Emulator, name: str = "") -> None:
        self.name = name or f"test-{uuid4().hex[:12]}"
        self.publisher, self.subscriber = PublisherClient(), SubscriberClient()
        self.topic = f"projects/{PROJECT}/topics/{self.name}"
        self.path = f"projects/{PROJECT}/subscriptions/{self.name}"
        self.make()

    def make(self) -> None:
        self.publisher.create_topic(name=self.topic)
        self.subscriber.create_subscription(name=self.path, topic=self.topic, ack_deadline_seconds=10)

    def publish(self, *messages: bytes) -> list[str]:
        """Message ids, once the server has them."""
        return [future.result() for future in [self.publisher.publish(self.topic, each) for each in messages]]

    def left(self, seconds: float = 1.0) -> list[bytes]:
        """What the subscription hands out to somebody new within some seconds; taken off it."""
        try:
            reply = self.subscriber.pull(subscription=self.path, max_messages=1_000, retry=None, timeout=seconds)
        except exceptions.DeadlineExceeded:
            return []
        if found := reply.received_messages:
            self.subscriber.acknowledge(subscription=self.path, ack_ids=[each.ack_id for each in found])
        return [each.message.data for each in found]

    def close(self) -> None:
        self.publisher.stop()
        self.publisher.transport.close()
        self.subscriber.close()


@dataclass(frozen=True)
class Ending:
    """A source that is done once `count` records came of it, so that a runner comes to an end with it."""

    source: PubSubSource
    count: int

    def open(self, position: bytes | None) -> EndingReader:
        return EndingReader(self.source.open(position), self.count)

    def acknowledge(self, position: bytes) -> None:
        self.source.acknowledge(position)


class EndingReader:
    """A reader that counts; the runner here keeps one for all of its bundles."""

    def __init__(self, reader: PubSubReader, left: int) -> None:
        self._reader, self._left = reader, left
        self.position, self.watermark, self.close = reader.position, reader.watermark, reader.close

    def poll(self, limit: int) -> Pull | None:
        pull = self._reader.poll(limit)
        self._left -= sum(len(block.entries) for block in pull.items) if pull else 0
        return pull

    def done(self) -> bool:
        return self._left <= 0


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
