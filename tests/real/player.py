"""Posts calls to the door when their time has come on its clock: in batches, again where the door asks for it."""

from __future__ import annotations

import base64
import http.client
import json
import threading
from collections.abc import Sequence
from itertools import groupby

from pipelines.clock import open_clock
from pipelines.config import Config
from pipelines.demo.play import seconds
from pipelines.workspace import load
from schemas.records import TRUSTED
from tests.real.history import IDENTIFY, MENTION, TRACK, Call

MOST = 500
PATIENCE = 0.01
AGAIN = frozenset((429, 503))
PLACES = {TRACK: ("/v1/batch", "batch"), IDENTIFY: ("/v1/batch", "batch"), MENTION: ("/v1/mentions", "mentions")}


def rest(seconds: float) -> None:
    """Leave the machine to the processes before the next look; nothing depends on how long it takes."""
    threading.Event().wait(seconds)


class Player:
    """Plays `calls`, which are in the order of time. `again` counts what had to be repeated."""

    def __init__(self, config: Config, calls: Sequence[Call]) -> None:
        tenant = next(iter(load(config.workspace).tenants.values()))
        key = next(each.key for each in tenant.keys if each.trust == TRUSTED)
        basic = base64.b64encode(f"{key}:".encode()).decode()
        self._headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
        self._config = config
        self._calls = calls
        self._next = 0
        self.again = 0

    def play_until(self, until: int) -> int:
        """Post what is due before journal time `until`; returns when that time has come.

        Gives the longest delay of a call, from its time to the door's answer, in journal time.
        """
        latest = 0
        clock = open_clock(self._config.clock_file)
        connection = http.client.HTTPConnection(self._config.host, self._config.port, timeout=30)
        while (now := clock.now()) < until or self._is_due(until):
            due = self._due(min(now, until))
            if not due:
                rest(PATIENCE)
                continue
            for place, group in groupby(due, lambda call: PLACES[call.kind]):
                self._post(connection, place, list(group))
            latest = max(latest, clock.now() - due[0].at)
        connection.close()
        return latest

    def _is_due(self, until: int) -> bool:
        return self._next < len(self._calls) and self._calls[self._next].at < until

    def _due(self, now: int) -> Sequence[Call]:
        """The next calls whose time has come, at most a batch."""
        end = self._next
        while end < min(len(self._calls), self._next + MOST) and self._calls[end].at < now:
            end += 1
        due, self._next = self._calls[self._next : end], end
        return due

    def _post(self, connection: http.client.HTTPConnection, place: tuple[str, str], calls: Sequence[Call]) -> None:
        """Post until the door has taken it. Raises RuntimeError for an answer that repeating does not help."""
        path, name = place
        body = json.dumps({name: [call.body for call in calls]}).encode()
        while True:
            connection.request("POST", path, body, self._headers)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status == 200:
                return
            if answer.status not in AGAIN:
                raise RuntimeError(f"expected the door to take {path}, it said {answer.status}: {said!r}")
            self.again += 1
            rest(seconds(answer.getheader("Retry-After")))
