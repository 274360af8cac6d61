"""Plays a world to the door over HTTP, in the shapes that SDKs use, and goes on after a restart where it stopped."""

from __future__ import annotations

import gzip
import http.client
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path

import msgspec

from pipelines.clock import Clock
from pipelines.demo.scene import GZIP, STRANGER, TEXT, Call
from pipelines.demo.world import World
from schemas.records import MINUTE

LATE = MINUTE
"""A call that reaches the journal this much after its time (journal time) moves the rest of its person's story."""

AGAIN = 0.2
SAVE_EVERY = 1.0
PATIENCE = 0.05
TIMEOUT = 10.0


class Place(msgspec.Struct):
    """How far a world has been played: the number of the next call, the time of the last one, what the door took.

    `late` says by how much a person's story has been moved, by number. `again` counts requests that were repeated
    because no answer came, so that the door may have taken more than `records`; an end by kill counts as one.
    """

    world: World
    next: int = 0
    until: int = 0
    records: int = 0
    again: int = 0
    late: dict[int, int] = {}
    surprises: list[str] = []
    clean: bool = True

    @classmethod
    def load(cls, file: Path) -> Place | None:
        """The place of an earlier run, if there is one."""
        if not file.exists():
            return None
        place = msgspec.json.decode(file.read_bytes(), type=cls)
        place.again += not place.clean
        return place

    def save(self, file: Path, *, clean: bool = False) -> None:
        self.clean = clean
        fresh = file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self))
        fresh.replace(file)


class Player(threading.Thread):
    """Posts a world's calls when their time comes. `keys` is the write key of each trust.

    `clock` opens the clock of the data folder: a door that had to start again sets it anew.
    """

    def __init__(
        self, place: Place, file: Path, clock: Callable[[], Clock], address: tuple[str, int], keys: Mapping[str, str]
    ) -> None:
        super().__init__(name="world", daemon=True)
        self.place = place
        self._file = file
        self._open_clock = clock
        self._clock = clock()
        self._door = Line(address, keys)
        self._ended = threading.Event()

    def end(self) -> None:
        """Stop after the call in the air, and keep the place."""
        self._ended.set()
        self.join()

    def run(self) -> None:
        self.place.save(self._file)
        saved = time.monotonic()
        for call in islice(self.place.world.timeline(), self.place.next, None):
            if not self._wait_for(call.at) or not self._post(call):
                break
            if time.monotonic() - saved >= SAVE_EVERY:
                saved = time.monotonic()
                self.place.save(self._file)
        self._door.close()
        self.place.save(self._file, clean=True)

    def _wait_for(self, moment: int) -> bool:
        """Wait until journal time reaches `moment`; False if the end came first."""
        while not self._ended.is_set():
            left = self._clock.real_seconds(moment - self._clock.now())
            if left <= 0:
                return True
            self._ended.wait(min(left, PATIENCE))
        return False

    def _post(self, call: Call) -> bool:
        """Post until the door has answered for good; False if the end came first."""
        wanted, lost = (401 if call.trust == STRANGER else 200), False
        while True:
            status, wait = self._door.post(call)
            if status not in (0, 429, 503):
                break
            self.place.again += 1
            if self._ended.wait(wait):
                return False
            lost = lost or status == 0
        if lost:
            self._clock = self._open_clock()
        if status != wanted and len(self.place.surprises) < 20:
            self.place.surprises.append(f"{call.path} of {call.trust}: expected {wanted}, got {status}")
        self._note(call, taken=status == 200)
        return True

    def _note(self, call: Call, *, taken: bool) -> None:
        place = self.place
        place.next += 1
        place.until = call.at
        place.records += call.records if taken else 0
        delay = self._clock.now() - call.at
        if call.person >= 0 and delay > LATE:
            place.late[call.person] = max(delay, place.late.get(call.person, 0))


class Line:
    """A keep-alive connection to the door."""

    def __init__(self, address: tuple[str, int], keys: Mapping[str, str]) -> None:
        self._address = address
        self._keys = keys
        self._connection: http.client.HTTPConnection | None = None

    def post(self, call: Call) -> tuple[int, float]:
        """The answer's status, 0 if none came, and how many seconds to wait before trying again."""
        body, headers = request(call, self._keys)
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(*self._address, timeout=TIMEOUT)
            self._connection.request("POST", call.path, body, headers)
            answer = self._connection.getresponse()
            answer.read()
            return answer.status, seconds(answer.getheader("Retry-After"))
        except (OSError, http.client.HTTPException):
            self.close()
            return 0, AGAIN

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def request(call: Call, keys: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a call in its SDK's shape; the same bytes whenever the call is repeated."""
    key = keys.get(call.trust, "nobody-knows-this-key")
    headers = {"Authorization": f"Basic {b64encode(f'{key}:'.encode()).decode()}", "Content-Type": "application/json"}
    body = call.body if isinstance(call.body, bytes) else msgspec.json.encode({**call.body, "writeKey": key})
    if call.shape == TEXT:
        return body, {**headers, "Content-Type": "text/plain", "Origin": "https://wanderlodge.example"}
    if call.shape == GZIP:
        return gzip.compress(body, 6, mtime=0), {**headers, "Content-Type": "application/x-www-form-urlencoded"}
    return body, headers


def seconds(retry_after: str | None) -> float:
    """What Retry-After asks for, within reason."""
    try:
        return min(max(float(retry_after or AGAIN), AGAIN), 30.0)
    except ValueError:
        return AGAIN
