"""A whole installation on Kafka and Redis, all real, whose every process is killed under load, servers included.

Two doors, two senders, both lanes, one table writer; a class A sink keeps the truth. A process that dies unplanned ends
the run with its last words; whatever ends it, no process of it is left.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Self

import msgspec
from chaos import CHANNELS, SECRET
from cluster_load import OWED, Clients, address
from kafka_server import KafkaServer, free_port
from redis_server import RedisServer
from webhook_sink import Sink

from pipelines.census import census
from pipelines.config import SAMPLE, Config
from transforms.sources.kafka import close_all
from transforms.topics.client import ensure

ROOT = Path(__file__).parent.parent.parent
PARTITIONS = 4
MOST_OPEN = 300
"""Messages under way at which the planted lives wait."""
LOOK = 0.5
DOWN = 2.0
"""Seconds that a killed server stays away."""
UP_WITHIN, REST_WITHIN = 400.0, 400.0


@dataclass
class Process:
    """One of our commands; `status` is the file in which it says how it is."""

    name: str
    command: list[str]
    log: Path
    status: Path
    environment: dict[str, str]
    started: float = 0.0
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.started = time.time()
        with self.log.open("ab") as out:
            self.running = subprocess.Popen(
                self.command, env=self.environment, cwd=ROOT, stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )

    def look(self) -> None:
        """Raises RuntimeError if it has died of its own."""
        assert self.running
        if self.running.poll() is not None:
            words = "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-15:])
            raise RuntimeError(f"{self.name} ended with {self.running.returncode} of its own:\n{words}")

    @property
    def up(self) -> bool:
        """Whether it has told how it is since it was started."""
        return self.status.exists() and self.status.stat().st_mtime > self.started

    def kill(self) -> None:
        if self.running:
            self.running.kill()
            self.running.wait()

    def stop(self) -> None:
        assert self.running
        self.running.send_signal(signal.SIGTERM)
        self.running.wait(90)


@dataclass
class Cluster:
    """The installation in `folder`; a context. `config` is how `rapport check` sees it."""

    folder: Path
    seed: int = 1
    kills: Counter[str] = field(default_factory=Counter)
    processes: dict[str, Process] = field(default_factory=dict)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.sink = stack.enter_context(Sink())
            self.kafka = stack.enter_context(KafkaServer(self.folder / "kafka"))
            self.redis = stack.enter_context(RedisServer(self.folder / "redis"))
            stack.callback(self._end)
            stack.callback(close_all)
            ensure(self.kafka.address, "soak")
            self._prepare()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _end(self) -> None:
        self.clients.over.set()
        for process in self.processes.values():
            process.kill()

    def _prepare(self) -> None:
        """Two data folders with one secret: a door and a sender have one each, lanes and tables live in the first."""
        self.random, self.ports = random.Random(self.seed), [free_port(), free_port()]
        workspace = self.folder / "workspace"
        shutil.copytree(SAMPLE, workspace)
        (workspace / "channels.yaml").write_text(CHANNELS.format(port=self.sink.port))
        kafka = {"kafka": self.kafka.address, "topics": "soak"}
        self.config = Config(self.folder / "one", workspace, redis=self.redis.url, **kafka)  # type: ignore[arg-type]
        self.config.secret()
        (self.folder / "two").mkdir()
        shutil.copy(self.config.secret_file, self.folder / "two")
        self.clients = Clients(self.ports, workspace, self.crowded)
        self._add("door-1", "one", "door", "--redis", "--port", str(self.ports[0]))
        self._add("door-2", "two", "door", "--redis", "--port", str(self.ports[1]))
        self._add("person", "one", "run", "--lane", "person")
        self._add("listen", "one", "run", "--lane", "listen")
        self._add("sender-1", "one", "send", "--redis")
        self._add("sender-2", "two", "send", "--redis")
        self._add("tables", "one", "record")

    def _add(self, name: str, data: str, command: str, *options: str) -> None:
        said = {"run": options[-1] if options else "", "record": "tables", "send": "sender"}.get(command, command)
        folder = self.folder / data
        words = [part for word in options for part in ((word, self.redis.url) if word == "--redis" else (word,))]
        where = ["--data", str(folder), "--workspace", str(self.config.workspace)]
        where += ["--kafka", self.config.kafka, "--topics", self.config.topics]
        line = [sys.executable, "-m", "pipelines", command, *where, *words]
        own = {"PYTHONPATH": str(ROOT), "RAPPORT_SECRET_CHAOS": SECRET}
        status = folder / "status" / f"{said}.json"
        self.processes[name] = Process(name, line, self.folder / f"{name}.log", status, {**os.environ, **own})

    # --- the run ------------------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Load for so long, a kill whenever the last one is over, and then rest until nothing is under way."""
        for process in self.processes.values():
            process.start()
        self._until(lambda: all(process.up for process in self.processes.values()), UP_WITHIN, "everything is up")
        self.clients.start()
        end = time.monotonic() + seconds
        targets = [*self.processes, "kafka", "redis"]
        pace = max(1.0, seconds / len(targets) / 4)
        while time.monotonic() < end or not all(self.kills[name] for name in targets):
            least = min(self.kills[name] for name in targets)
            name = self.random.choice([name for name in targets if self.kills[name] == least])
            self._rest(pace)
            self._kill(name)
        self.clients.join()
        self._until(self.at_rest, REST_WITHIN, "nothing is under way", every=2.0)
        for process in sorted(self.processes.values(), key=lambda process: process.name == "tables"):
            process.stop()

    def _kill(self, name: str) -> None:
        self.kills[name] += 1
        if name in ("kafka", "redis"):
            server: Any = getattr(self, name)
            server.kill()
            self._rest(DOWN)
            server.start()
            return
        process = self.processes[name]
        process.kill()
        process.start()
        self._until(lambda: process.up, UP_WITHIN, f"{name} is up again")

    def _rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._until(lambda: time.monotonic() > end, seconds + 60, "")

    def _until(self, true: Callable[[], bool], within: float, what: str, every: float = 0.1) -> None:
        """Watch over all processes until something is true. Raises TimeoutError, RuntimeError."""
        given_up, pause = time.monotonic() + within, threading.Event()
        while not true():
            if time.monotonic() > given_up:
                raise TimeoutError(f"expected within {within:.0f} s that {what}: {self.standing()}")
            for process in self.processes.values():
                process.look()
            pause.wait(every)

    def at_rest(self) -> bool:
        found = census(self.config)
        waiting = found.unread_external, found.unread_derived, found.unread_intents, found.open
        underway = sum(found.emitted.values()) - sum(found.pulled.values())
        self._standing = f"{found}"
        return not any(waiting) and not underway and not self.lost()

    # --- the truth ----------------------------------------------------------------------------------------------------

    _standing: str = ""
    _looked: float = 0.0
    _crowded: bool = False
    _found: Counter[tuple[str, str]] = field(default_factory=Counter)
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def standing(self) -> str:
        """How things are, for somebody who waits."""
        return f"{self.clients.people} lives told, {len(self.lost())} owed, first {self.lost()[:5]}; {self._standing}"

    def figures(self) -> dict[str, Any]:
        """What happened, for people."""
        clients = self.clients
        return {
            "kills": sum(self.kills.values()),
            "by_process": dict(self.kills),
            "lives": clients.people,
            "requests_answered_200": clients.requests,
            "requests_repeated": clients.again,
            "messages_at_the_sink": len(self.sink.accepted),
            "repeated_to_the_sink": self.sink.repeated,
            "lost": len(self.lost()),
            "doubled": len(self.doubled()),
        }

    def crowded(self) -> bool:
        """Whether the planted lives should wait; looked at twice a second."""
        if time.monotonic() > self._looked + LOOK:
            self._looked, self._crowded = time.monotonic(), len(self.lost()) > MOST_OPEN
        return self._crowded

    def delivered(self) -> Counter[tuple[str, str]]:
        """How many messages of each campaign everybody got, by address and campaign."""
        with self._counting:
            for body in islice(list(self.sink.accepted.values()), self._found.total(), None):
                data = msgspec.json.decode(body)["data"]
                self._found[data["to"], data["campaign"]] += 1
            return self._found

    def lost(self) -> list[str]:
        """Messages that somebody was owed and did not get."""
        owed = {(address(number), kind) for number in range(self.clients.people) for kind in OWED}
        return sorted(f"{to} {campaign}" for to, campaign in owed - set(self.delivered()))

    def doubled(self) -> list[str]:
        """Planted messages that arrived under two keys, and any that contradicted themselves."""
        owed = {address(number) for number in range(self.clients.people + 1)}
        twice = [f"{to} {kind}" for (to, kind), count in self.delivered().items() if count > 1 and to in owed]
        return twice + self.sink.contradicted
