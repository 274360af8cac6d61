"""Stands between an SDK and a door, and writes down what passes: the bodies of `tests/golden`."""

from __future__ import annotations

import gzip
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEPT = ("content-type", "content-encoding", "authorization", "x-write-key", "origin", "anonymousid")


class Recording:
    """What an SDK sent (`requests`, as golden files hold them) and what it was answered (`statuses`)."""

    def __init__(self, port: int) -> None:
        self.port, self.url = port, ""
        self.requests: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self._lock = threading.Lock()

    def keep(self, method: str, path: str, headers: dict[str, str], body: bytes, status: int) -> None:
        """Write one request down; a body that was packed is kept unpacked."""
        packed = body[:2] == b"\x1f\x8b"
        plain = gzip.decompress(body) if packed else body
        kept = {name: value for name, value in headers.items() if name in KEPT}
        with self._lock:
            self.statuses.append(status)
            asked = {"method": method, "path": path, "headers": kept, "gzip": packed}
            self.requests.append({**asked, "body": plain.decode()})


@contextmanager
def recording(port: int) -> Iterator[Recording]:
    """An address that passes everything on to the door on `port`."""
    kept = Recording(port)

    class Passing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            door = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            door.request(self.command, self.path, body, {k: v for k, v in headers.items() if k != "host"})
            answer = door.getresponse()
            said = answer.read()
            door.close()
            kept.keep(self.command, self.path, headers, body, answer.status)
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_OPTIONS = _pass  # noqa: N815 (the names that the library calls)

        def log_message(self, *_: Any) -> None:
            """Nothing: the test prints what it needs."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Passing)
    kept.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
