"""How many durable requests a second the door takes: one process, one event a request, over keep-alive connections.

The load comes from a process of its own that speaks raw HTTP/1.1 and measures each answer.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from pipelines.config import SAMPLE
from pipelines.workspace import load

ROOT = Path(__file__).parent.parent.parent
ANSWER = b'{"success":true}'
SECONDS = 4.0
CONNECTIONS = (1, 8, 32, 64)


def request(key: str) -> bytes:
    """One page view as analytics.js sends it, about 800 bytes."""
    event = {
        "type": "track",
        "event": "Product Viewed",
        "messageId": "ajs-next-1795507200000-6f0d3c5e-2b1f-4d7a-9c3e-8a1b2c3d4e5f",
        "userId": None,
        "anonymousId": "5d0c0f6e-7a3b-4c1d-9e8f-0a1b2c3d4e5f",
        "timestamp": "2026-11-24T08:00:00.000Z",
        "sentAt": "2026-11-24T08:00:00.012Z",
        "writeKey": key,
        "properties": {"product_id": "boots-41", "name": "Boots", "category": "gear", "price": 89.5, "currency": "EUR"},
        "context": {
            "page": {
                "path": "/boots",
                "referrer": "",
                "search": "",
                "title": "Boots",
                "url": "https://shop.example/boots",
            },
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
            "locale": "en-GB",
            "timezone": "Europe/Warsaw",
            "library": {"name": "analytics.js", "version": "npm:next-1.84.3"},
        },
        "integrations": {},
    }
    body = json.dumps(event, separators=(",", ":")).encode()
    head = (
        "POST /v1/t HTTP/1.1\r\nHost: door\r\nOrigin: https://shop.example\r\nContent-Type: text/plain\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def drive(port: int, sent: bytes, connections: int, seconds: float) -> list[float]:
    """Keep `connections` busy for a while; gives the latency of each answer in seconds, sorted."""
    poll = select.epoll()
    sockets, began, heard = {}, {}, {}
    latencies: list[float] = []
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = connection.fileno()
        poll.register(number, select.EPOLLIN)
        sockets[number], began[number], heard[number] = connection, time.perf_counter(), b""
        connection.sendall(sent)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for number, _ in poll.poll(1):
            heard[number] += sockets[number].recv(65536)
            if not heard[number].endswith(ANSWER):
                continue
            now = time.perf_counter()
            latencies.append(now - began[number])
            began[number], heard[number] = now, b""
            sockets[number].sendall(sent)
    for connection in sockets.values():
        connection.close()
    return sorted(latencies)


def _drive(pipe: Connection, port: int, sent: bytes, connections: int) -> None:
    pipe.send(drive(port, sent, connections, SECONDS))


def cpu_seconds(process: int) -> float:
    """Processor time that a process has used; unlike the rate, it does not depend on who else is busy."""
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def measure(door: int, port: int, sent: bytes, connections: int) -> dict[str, float]:
    """Figures of one run against the door with this process id, driven from another process."""
    before = cpu_seconds(door)
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_drive, args=(theirs, port, sent, connections))
    process.start()
    latencies = ours.recv()
    process.join()
    used = cpu_seconds(door) - before
    count = len(latencies)
    return {
        "connections": connections,
        "requests_per_second": round(count / SECONDS),
        "p50_ms": round(latencies[count // 2] * 1e3, 2),
        "p99_ms": round(latencies[count * 99 // 100] * 1e3, 2),
        "cpu_us_per_request": round(used / count * 1e6, 1),
    }


def main() -> list[dict[str, float]]:
    """Start a real door on an empty folder and measure it."""
    (tenant,) = load(SAMPLE).tenants.values()
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as folder:
        command = [sys.executable, "-m", "pipelines", "door", "--data", folder, "--port", "0"]
        door = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert door.stdout is not None
            port = int(re.findall(r":(\d+)", door.stdout.readline())[-1])
            rows = [measure(door.pid, port, request(tenant.keys[-1].key), connections) for connections in CONNECTIONS]
        finally:
            door.send_signal(signal.SIGTERM)
            door.wait(20)
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    return rows


if __name__ == "__main__":
    main()
