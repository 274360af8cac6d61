"""A door's customer that never gives up: keep-alive HTTP, and the same body again until it is acknowledged."""

from __future__ import annotations

import base64
import http.client
import json
import select
from typing import Any


class Client:
    """Posts to one door; `acknowledged` counts 200s, `again` counts requests that had to be repeated."""

    def __init__(self, port: int, key: str, *, wait: float = 0.1) -> None:
        self._port = port
        self._wait = wait
        self._fields = {
            "Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode(),
            "Content-Type": "application/json",
        }
        self._connection: http.client.HTTPConnection | None = None
        self.acknowledged = 0
        self.again = 0

    def post(self, path: str, body: Any, *, patience: int = 600) -> None:
        """Post until the door says 200. Raises TimeoutError after `patience` tries."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        for _ in range(patience):
            if self._try(path, data) == 200:
                self.acknowledged += 1
                return
            self.again += 1
            select.select([], [], [], self._wait)
        raise TimeoutError(f"the door on port {self._port} did not acknowledge {path} after {patience} tries")

    def _try(self, path: str, data: bytes) -> int:
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            self._connection.request("POST", path, data, self._fields)
            answer = self._connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            self.close()
            return 0

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
