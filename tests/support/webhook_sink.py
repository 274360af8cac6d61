"""A class A sink that keeps the ground truth: what was accepted under which key, what came again, what contradicted.

It honours keys as a Standard Webhooks receiver should: a repeated key with the same body is answered 200 and counted,
with another body 409. One thread, raw HTTP/1.1 with keep-alive, so that it can stand beside a benchmark.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Sink:
    """`accepted` is key → body, `at` key → seconds (time.time()) of the first acceptance."""

    accepted: dict[str, bytes] = field(default_factory=dict)
    at: dict[str, float] = field(default_factory=dict)
    repeated: int = 0
    contradicted: list[str] = field(default_factory=list)
    port: int = 0
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None

    def __enter__(self) -> Sink:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop
        assert self._thread
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def take(self, key: str, body: bytes) -> int:
        """The status that answers one delivery."""
        known = self.accepted.get(key)
        if known is None:
            self.accepted[key] = body
            self.at[key] = time.time()
            return 200
        if known == body:
            self.repeated += 1
            return 200
        self.contradicted.append(key)
        return 409

    def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.new_event_loop()
        server = self._loop.run_until_complete(asyncio.start_server(self._talk, "127.0.0.1", self.port))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                body = await reader.readexactly(int(fields.get("content-length", "0")))
                status = self.take(fields.get("webhook-id", ""), body)
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % status)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()
