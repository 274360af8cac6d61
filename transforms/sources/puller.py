"""Pulling ahead: a thread a reader that takes messages from a subscription as long as there is room for them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from heapq import heappop, heappush
from threading import Condition, Thread
from typing import TYPE_CHECKING

from google.api_core import exceptions

from transforms.sources.frontier import Frontier
from transforms.sources.keeper import Lost, connection, sentence
from transforms.sources.leases import Leases
from transforms.sources.parcels import LARGEST, Parcel

if TYPE_CHECKING:
    from google.cloud.pubsub_v1.types import ReceivedMessage

BYTES_AHEAD = 32 * 1024 * 1024
_PER_PULL = 1_000
_REPLY = 3 * 1024 * 1024
"""Bytes that an answer should hold at most: a client may refuse more than four megabytes, and what was in that answer
is lent to nobody until the leases run out."""
_LONGEST_PULL = 90.0
"""Seconds. The server answers an idle pull by itself after some 30; to hang up earlier may lose sight of a message."""
_PAUSES = 0.1, 5.0
"""Seconds between tries while the server cannot be reached: the first and the longest."""
_FORGOTTEN = 10.0
"""Seconds without a poll after which a reader is thought to be forgotten: others shall have its messages."""
_LOOK = 0.5

_log = logging.getLogger(__name__)


class Puller:
    """Messages of one stream, oldest first, and how far time has come with them. Leases of what waits are given back
    when nobody asks for it any more.
    """

    def __init__(self, path: str, leases: Leases, frontier: Frontier, clock: Callable[[], int]) -> None:
        self._path, self._leases, self._frontier, self._clock = path, leases, frontier, clock
        self._client = connection(path)
        self._changed = Condition()
        self._waiting: list[tuple[int, str, str, bytes]] = []
        self._bytes, self._largest = 0, LARGEST
        self._lost: Lost | None = None
        self._closed, self._pulling, self._asked = False, False, time.monotonic()

    def start(self, ahead: int, out: int, ended: Callable[[], None]) -> None:
        """Begin to pull: at most `ahead` messages that wait, and none while more than `out` are not settled.

        `ended` is called once nothing more will be pulled.
        """
        self._most_ahead, self._most_out, self._ended = ahead, out, ended
        Thread(target=self._pull, name=f"pull {self._path}", daemon=True).start()

    def take(self) -> tuple[str, Parcel] | None:
        """The oldest message and its lease, None if none waits."""
        with self._changed:
            self._asked = time.monotonic()
            if not self._waiting:
                return None
            published, name, lease, data = heappop(self._waiting)
            self._bytes -= len(data)
            self._changed.notify()
        return lease, Parcel(name, published, data)

    def check(self) -> None:
        """Raises Lost if nothing will ever come again."""
        if self._lost is not None:
            raise self._lost

    def watermark(self) -> int:
        with self._changed:
            return self._frontier.watermark(self._waiting[0][0] if self._waiting else None)

    def heard(self) -> None:
        """The server gave a sign of life. It tells how far time has come only while it would give us what it has."""
        with self._changed:
            if self._pulling:
                self._frontier.heard(self._clock())

    def forget(self) -> None:
        """Another reader goes on in our place: until somebody asks again nothing is pulled, what waits goes back."""
        with self._changed:
            self._asked = -_FORGOTTEN
            self._give_back()

    def refused(self, error: Exception) -> None:
        """The server will not have us. What waits may still be taken."""
        if said := sentence(self._path, error):
            self._lost = Lost(said)

    def close(self) -> None:
        """Stop; what waits is given back. A pull under way ends by itself: if we hung up, what it brings would be lent
        to nobody until its lease runs out.
        """
        with self._changed:
            self._closed = True
            self._give_back()
            self._changed.notify()

    def _pull(self) -> None:
        pause = _PAUSES[0]
        while self._wait_for_room():
            try:
                most = max(1, min(_PER_PULL, _REPLY // self._largest))
                reply = self._client.pull(subscription=self._path, max_messages=most, retry=None, timeout=_LONGEST_PULL)
            except exceptions.GoogleAPICallError as error:
                pause = self._failed(error, pause)
            else:
                pause = _PAUSES[0]
                self._arrived(reply.received_messages)
        self._client.close()
        self._ended()

    def _wait_for_room(self) -> bool:
        """Wait until more may be pulled; False once there is nothing to pull for or from."""
        with self._changed:
            while not (self._closed or self._lost):
                forgotten = time.monotonic() - self._asked > _FORGOTTEN
                if forgotten:
                    self._give_back()
                elif self._room():
                    self._pulling = True
                    return True
                self._pulling = False
                self._changed.wait(_LOOK)
            return False

    def _room(self) -> bool:
        return len(self._waiting) < self._most_ahead and self._bytes < BYTES_AHEAD and self._leases.out < self._most_out

    def _arrived(self, messages: list[ReceivedMessage]) -> None:
        now = self._clock()
        came = [_waiting(each) for each in messages]
        with self._changed:
            self._leases.take([lease for _, _, lease, _ in came], now)
            self._frontier.heard(now)
            if came:
                self._frontier.came(min(came)[0], now)
                self._largest = max(1, self._largest // 2, *(len(data) for *_, data in came))
            for each in came:
                heappush(self._waiting, each)
                self._bytes += len(each[3])
            if self._closed:
                self._give_back()

    def _failed(self, error: Exception, pause: float) -> float:
        """Give up for good, or wait; gives how long to wait the next time."""
        with self._changed:
            self.refused(error)
            self._largest = max(self._largest, LARGEST)
            if self._closed or self._lost:
                return pause
            if pause == _PAUSES[0]:
                _log.warning("%s: cannot be pulled from now (%s); trying again", self._path, type(error).__name__)
            self._changed.wait_for(lambda: self._closed, pause)
        return min(2 * pause, _PAUSES[1])

    def _give_back(self) -> None:
        self._leases.give_back(lease for _, _, lease, _ in self._waiting)
        self._waiting.clear()
        self._bytes = 0


def _waiting(received: ReceivedMessage) -> tuple[int, str, str, bytes]:
    """A message as it waits: these sort by age."""
    message = received.message
    published = message.publish_time
    micros = int(published.timestamp()) * 1_000_000 + published.microsecond
    return micros, message.message_id, received.ack_id, message.data
