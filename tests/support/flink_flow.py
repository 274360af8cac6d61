"""What a job on Flink does in real time: doors that commit a hundred times a second, and what Flink tells of it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from story import iso

from deploy.flink.rest import Rest
from schemas.codec import pack_many
from schemas.records import SECOND, Entry
from transforms.stores.log import LogWriter

STEP = 0.01
"""Seconds between two commits."""


def now() -> int:
    return int(time.time() * SECOND)


class Door(threading.Thread):
    """Commits what `due` gives for the present moment, or a tick; `newest` is the last stamp. A context."""

    def __init__(self, folder: Path, due: Callable[[int], Sequence[Entry]] = lambda _: ()) -> None:
        super().__init__(daemon=True)
        self.newest = 0
        self._folder, self._due, self._over = folder, due, threading.Event()

    def run(self) -> None:
        with closing(LogWriter(self._folder, sync=False)) as log:
            while not self._over.wait(STEP):
                self.newest = max(log.stamp + 1, now())
                entries = self._due(self.newest)
                log.append(self.newest, {"records": (pack_many(entries), len(entries))} if entries else {})
                log.commit()

    def __enter__(self) -> Door:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


class Shoppers:
    """People who sign up, put something into a cart and leave, `rate` a second from the first question on."""

    def __init__(self, rate: int, people: int, name: str = "p") -> None:
        self.people, self.name = people, name
        self._rate, self._began, self._next = rate, 0, 0

    def due(self, at: int) -> list[Entry]:
        """What has been said by now."""
        self._began = self._began or at
        come = min(self.people, (at - self._began) * self._rate // SECOND)
        fresh, self._next = range(self._next, come), max(self._next, come)
        return [entry for number in fresh for entry in (self._signed_up(number, at), self._added(number, at))]

    def _signed_up(self, number: int, at: int) -> Entry:
        said = {"email": f"{self.name}{number}@people.example", "marketing_opt_in": True}
        return self._call(number, "Signed Up", at, said)

    def _added(self, number: int, at: int) -> Entry:
        return self._call(number, "Product Added", at, {"product_id": "sku", "name": "Boot", "price": 9.0})

    def _call(self, number: int, event: str, at: int, properties: dict[str, object]) -> Entry:
        call = {"type": "track", "event": event, "messageId": f"{event}-{self.name}{number}"}
        call["userId"] = f"{self.name}{number}"
        body = json.dumps({**call, "timestamp": iso(at), "properties": properties}).encode()
        return Entry("track", "shop", "server", "flow", 0, body)


def checkpoint_sizes(rest: Rest, seconds: float) -> list[tuple[float, int]]:
    """When each checkpoint of some time was taken (seconds) and how large all of it was (bytes)."""
    job, sizes, until = rest.only_job(), dict[int, tuple[float, int]](), time.monotonic() + seconds
    while time.monotonic() < until:
        for each in rest.checkpoints(job)["history"]:
            if each["status"] == "COMPLETED":
                sizes[each["id"]] = (each["trigger_timestamp"] / 1000, each["state_size"])
        threading.Event().wait(1)
    return [sizes[number] for number in sorted(sizes)]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """By how much the second grows for each one of the first: least squares."""
    count = len(points)
    x, y = (sum(point[axis] for point in points) / count for axis in (0, 1))
    return sum((at - x) * (size - y) for at, size in points) / sum((at - x) ** 2 for at, _ in points)


def crowding() -> float:
    """How many processes want each core of this machine, at least 1: times are longer by that."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
