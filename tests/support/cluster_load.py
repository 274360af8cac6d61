"""Load for a cluster with several doors: planted lives and the synthetic world, told to whichever door answers.

A client keeps what it was told 200 for: the ids of all records in those requests. A door that does not answer, or says
that it cannot now, gets nothing more until the other one has been tried; so records come twice, under the same id.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from chaos_load import KEY, OWED, address, life

from pipelines.demo.play import Line
from pipelines.demo.scene import PLAIN, STRANGER, Call
from pipelines.demo.world import World
from pipelines.workspace import load
from schemas.records import SECOND, TRUSTED

__all__ = ["OWED", "Clients", "address"]

PEOPLE_EVERY, WORLD_EVERY = 0.05, 0.02
"""Seconds between two lives, and between two calls of the world."""

_TEMPORARY = (0, 429, 500, 502, 503, 504)


class Doors:
    """One client of several doors; `again` counts requests that had to be repeated."""

    def __init__(self, ports: Sequence[int], keys: dict[str, str]) -> None:
        self._lines = [Line(("127.0.0.1", port), keys) for port in ports]
        self._at = 0
        self.again = 0

    def post(self, call: Call, wanted: Callable[[], bool]) -> int:
        """The final answer to a call, from whichever door gives one; 0 if it is no longer `wanted` without one."""
        pause = threading.Event()
        while True:
            status, wait = self._lines[self._at].post(call)
            self._at = (self._at + 1) % len(self._lines)
            if status not in _TEMPORARY:
                return status
            self.again += 1
            if not wanted():
                return 0
            pause.wait(min(wait, 1.0))

    def close(self) -> None:
        for line in self._lines:
            line.close()


class Clients:
    """Two threads of load until `over` is set: `people` lives are acknowledged whole, `acknowledged` are the ids of all
    records that were answered 200. Lives wait while `crowded`.
    """

    def __init__(self, ports: Sequence[int], workspace: Any, crowded: Callable[[], bool]) -> None:
        tenant = next(iter(load(workspace).tenants.values()))
        keys = {key.trust: key.key for key in tenant.keys} | {TRUSTED: KEY}
        self._crowded, self._doors = crowded, [Doors(ports, keys), Doors(ports[::-1], keys)]
        self.people = self.requests = 0
        self.acknowledged: set[str] = set()
        self.surprises: list[str] = []
        self.over = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._live, self._play)]

    @property
    def again(self) -> int:
        return sum(doors.again for doors in self._doors)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Stop after what is under way."""
        self.over.set()
        for thread in self._threads:
            thread.join()
        for doors in self._doors:
            doors.close()

    def _live(self) -> None:
        """Somebody's life is told to its end even if the end of the run comes meanwhile: it is owed then."""
        while not self.over.wait(PEOPLE_EVERY):
            if not self._crowded():
                for path, body in life(self.people):
                    self._post(self._doors[0], Call(0, -1, path, TRUSTED, PLAIN, body), lambda: True)
                self.people += 1

    def _play(self) -> None:
        """The world, in its order, as fast as it goes; what it says about time is about its own."""
        now = int(time.time()) * SECOND
        world = World(seed=now % 1_000_000, start=now, newcomer_every=SECOND, post_every=4 * SECOND, noise_every=SECOND)
        for call in world.timeline():
            if self.over.wait(WORLD_EVERY):
                return
            self._post(self._doors[1], call, lambda: not self.over.is_set())

    def _post(self, doors: Doors, call: Call, wanted: Callable[[], bool]) -> None:
        status, right = doors.post(call, wanted), 401 if call.trust == STRANGER else 200
        self.requests += status == 200
        if status == 200:
            self.acknowledged.update(ids_in(call.body))
        elif status not in (0, right):
            self.surprises.append(f"{call.path} of {call.trust}: expected {right}, got {status}")


def ids_in(body: Any) -> Iterator[str]:
    """The ids that a client gave the records of a request."""
    if isinstance(body, dict):
        for part in (*body.get("batch", ()), *body.get("mentions", ()), body):
            if name := part.get("messageId") or part.get("id"):
                yield str(name)


def ids_of(body: bytes) -> Iterator[str]:
    """The ids in a journaled record; none where it cannot be read."""
    try:
        yield from ids_in(msgspec.json.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return
