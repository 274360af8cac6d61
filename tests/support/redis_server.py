"""A real redis-server of the test's own on a free port, which can be killed, frozen, filled and emptied.

    with RedisServer(folder) as server: ...

A machine without `redis-server` skips, by name.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

SETTINGS = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "save": ""}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class RedisServer:
    """One server over one folder; `start` after `kill` finds what the append-only file kept."""

    def __init__(self, folder: Path, **settings: str) -> None:
        if not shutil.which("redis-server"):
            pytest.skip("redis-server is not installed (apt-get install redis-server): its tests are not run")
        self.folder = folder
        self.port = free_port()
        self.settings = SETTINGS | {name.replace("_", "-"): value for name, value in settings.items()}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        options = [part for name, value in self.settings.items() for part in (f"--{name}", value)]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder), *options],
            stdout=subprocess.DEVNULL,
        )
        self._wait()

    def kill(self) -> None:
        """As power gone from this process only: SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self, *, empty: bool = False) -> None:
        self.kill()
        if empty:
            shutil.rmtree(self.folder)
        self.start()

    def freeze(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def ask(self, *command: Any) -> Any:
        """The answer to a command, past everything that is tested."""
        client = redis.Redis(port=self.port, socket_timeout=5, retry=Retry(NoBackoff(), 0))
        try:
            return client.execute_command(*command)
        finally:
            client.close()

    def _wait(self) -> None:
        end = time.monotonic() + 10
        while True:
            try:
                self.ask("PING")
                return
            except redis.RedisError:
                assert self._process
                assert self._process.poll() is None, "redis-server ended"
                assert time.monotonic() < end, "redis-server does not answer"
