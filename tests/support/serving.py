"""A door of this process over real HTTP, journaling wherever its configuration says."""

from __future__ import annotations

import http.client
import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from doorway import SERVER

from pipelines.config import Config
from pipelines.door import serve

PATIENCE = 20.0


@dataclass(frozen=True)
class Serving:
    """A running door."""

    port: int

    def post(self, path: str, body: Any) -> tuple[int, dict[str, str]]:
        """Status and headers of the answer."""
        return self.ask("POST", path, json.dumps(body).encode())

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            allowed = {"Authorization": "Basic " + b64encode(f"{SERVER}:".encode()).decode()}
            connection.request(method, path, body, allowed)
            answer = connection.getresponse()
            answer.read()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()


@contextmanager
def serving(config: Config, **more: Any) -> Iterator[Serving]:
    """A door in a thread, until the context ends."""
    stop, up, lines = threading.Event(), threading.Event(), list[str]()

    def ready(line: str) -> None:
        lines.append(line)
        up.set()

    thread = threading.Thread(target=serve, args=(config, stop.is_set), kwargs={"ready": ready, **more})
    thread.start()
    try:
        assert up.wait(PATIENCE)
        yield Serving(int(lines[0].rpartition(":")[2]))
    finally:
        stop.set()
        thread.join(PATIENCE)
    assert not thread.is_alive()
