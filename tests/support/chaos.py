"""Real kill -9 of real processes with work in flight, against a class A sink that keeps the truth.

`Chaos` runs door, lanes, sender and table writer of one shop as processes, posts sign-ups, orders and posts all the
while, and lets each process die again and again: at every named fault point as often as asked, and at random. At the
end everything is started whole, drained, and held against what was acknowledged.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec
from client import Client
from webhook_sink import Sink

from pipelines.census import census
from pipelines.check import check_data
from pipelines.config import SAMPLE, Config
from pipelines.together import commands

ROOT = Path(__file__).parent.parent.parent
SECRET = "whsec_" + "a2" * 22
LOG = ("log.before_write", "log.after_write", "log.after_sync", "log.after_publish")
POINTS: dict[str, tuple[str, ...]] = {
    "door": (*LOG, "door.before_commit", "door.after_commit", "door.after_suppression"),
    "person": (*LOG, "rows.after_commit", "engine.before_commit", "engine.after_commit"),
    "listen": ("engine.before_commit", "engine.after_commit"),
    "sender": (*LOG, "sender.before_claim", "sender.after_claim", "sender.after_send", "sender.after_outcome"),
    "tables": ("tables.after_file", "tables.before_manifest", "tables.after_manifest"),
}
CHANNELS = """
email:
  sink: webhook
  url: "http://127.0.0.1:{port}/"
  secret: "secret://chaos"
  allow_private: true
"""
ARMED_FOR = 20.0
"""Seconds after which a process that did not come to its fault point is killed where it stands."""


@dataclass
class Victim:
    """One process that dies and is started again."""

    name: str
    command: list[str]
    points: list[str]
    chaos: Chaos
    process: subprocess.Popen[bytes] | None = None
    point: str = ""
    since: float = 0.0

    @property
    def log(self) -> Path:
        return self.chaos.folder / f"{self.name}.log"

    def last_lines(self, count: int = 10) -> str:
        """The end of what it said."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-count:])

    def start(self, point: str = "") -> None:
        self.point, self.since = point, time.monotonic()
        passes = self.chaos.random.randint(1, 5) if self.name != "tables" else 1
        fault = {"RAPPORT_FAULT": f"{point}:{passes}"} if point else {}
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command, env=self.chaos.environment | fault, cwd=ROOT, stdout=out, stderr=out
            )

    def look(self) -> None:
        """Note a death, and start again with the next thing to die of."""
        assert self.process
        if self.process.poll() is None:
            if self.point and time.monotonic() - self.since > ARMED_FOR:
                self.process.kill()
                self.process.wait()
                self.points.insert(0, self.point)
                self.point = "random"
            else:
                return
        if self.process.returncode != -signal.SIGKILL:
            raise RuntimeError(f"{self.name} ended with {self.process.returncode} of its own:\n{self.last_lines()}")
        self.chaos.died(self.name, self.point)
        self.start(self.points.pop() if self.points and not self.chaos.over else "")

    def stop(self) -> None:
        assert self.process
        self.process.terminate()
        self.process.wait(60)

    def kill(self) -> None:
        """End it, whatever it does."""
        if self.process:
            self.process.kill()
            self.process.wait()


@dataclass
class Chaos:
    """One installation, its load, its deaths, its truth; a context, at whose end no process of it is left."""

    folder: Path
    sink: Sink
    seed: int = 1
    random: random.Random = field(init=False)
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    idle_kills: int = 0
    victims: list[Victim] = field(default_factory=list)
    people: int = 0
    over: bool = False
    posting: bool = False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.port = _free_port()
        shutil.copytree(SAMPLE, self.folder / "workspace")
        self.config = Config(self.folder / "data", self.folder / "workspace", port=self.port)
        (self.config.workspace / "channels.yaml").write_text(CHANNELS.format(port=self.sink.port))
        path = os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support")))
        self.environment = {**os.environ, "PYTHONPATH": path, "RAPPORT_SECRET_CHAOS": SECRET}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.over = True
        for victim in self.victims:
            victim.kill()

    def run(self, times: int, *, wrong_sender: bool = False, only: tuple[str, ...] = tuple(POINTS)) -> None:
        """Let every process in `only` die `times` times at each of its points, under load; then let all rest."""
        lines = commands(self.config)
        if wrong_sender:
            script = ROOT / "tests" / "support" / "hasty_sender.py"
            lines["sender"] = [sys.executable, str(script), str(self.config.data), str(self.config.workspace)]
        self.victims = [Victim(name, line, self._plan(name, times, only), self) for name, line in lines.items()]
        for victim in self.victims:
            victim.start()
        loading = threading.Thread(target=self._load, daemon=True)
        loading.start()
        self.settle(lambda: self.people > 20)
        for victim in self.victims:
            if victim.points:
                victim.stop()
                victim.start(victim.points.pop())
        self.settle(lambda: not any(victim.points or victim.point for victim in self.victims))
        self.over = True
        loading.join()
        self.settle(self._at_rest)
        for victim in sorted(self.victims, key=lambda victim: victim.name == "tables"):
            victim.stop()

    def died(self, name: str, point: str) -> None:
        """Count a death. A fault point is passed with work in hand; only the door also passes some on idle ticks."""
        self.kills[name, point] += 1
        busy = (name != "door" and point in POINTS[name]) or self.posting or self._in_flight()
        self.idle_kills += not busy

    def lost(self) -> list[str]:
        """Messages that somebody was owed and did not get."""
        owed = {
            (address(n), kind)
            for n in range(self.people)
            for kind in ("confirm-address", "welcome", "order-confirmation")
        }
        return sorted(f"{to} {campaign}" for to, campaign in owed - set(self.delivered()))

    def doubled(self) -> list[str]:
        """Messages that arrived under two keys, or contradicted themselves."""
        twice = [f"{to} {campaign}" for (to, campaign), count in self.delivered().items() if count > 1]
        return twice + self.sink.contradicted

    def delivered(self) -> Counter[tuple[str, str]]:
        found = (msgspec.json.decode(body)["data"] for body in self.sink.accepted.values())
        return Counter((data["to"], data["campaign"]) for data in found)

    def ledger(self) -> list[str]:
        """What does not add up."""
        return check_data(self.config).problems

    def figures(self) -> dict[str, Any]:
        """For build/chaos.json."""
        return {
            "kills": sum(self.kills.values()),
            "kills_with_nothing_in_flight": self.idle_kills,
            "by_point": {f"{name} {point}": count for (name, point), count in sorted(self.kills.items())},
            "people": self.people,
            "delivered": len(self.sink.accepted),
            "repeated_to_the_sink": self.sink.repeated,
            "lost": len(self.lost()),
            "duplicated": len(self.doubled()),
        }

    def _plan(self, name: str, times: int, only: tuple[str, ...]) -> list[str]:
        plan = [point for point in POINTS[name] for _ in range(times)] if name in only else []
        self.random.shuffle(plan)
        return plan

    def _in_flight(self) -> bool:
        return 3 * self.people > len(self.sink.accepted)

    def _load(self) -> None:
        client = Client(self.port, "sample-server-key-not-secret")
        pause = threading.Event()
        while not self.over:
            number = self.people
            self.posting = True
            for path, body in life(number):
                client.post(path, body)
            self.people += 1
            self.posting = False
            pause.wait(0.02)
        client.close()

    def _at_rest(self) -> bool:
        found = census(self.config)
        waiting = found.unread_external or found.unread_derived or found.unread_intents or found.open
        return not waiting and not self._in_flight()

    def settle(self, enough: Callable[[], bool], within: float = 900.0) -> None:
        """Keep the processes alive until `enough`, or until nothing more can be expected."""
        given_up, pause = time.monotonic() + within, threading.Event()
        patience = 60.0 if self.over else within
        given_up = min(given_up, time.monotonic() + patience)
        while not enough() and time.monotonic() < given_up:
            for victim in self.victims:
                victim.look()
            pause.wait(0.05)


def address(number: int) -> str:
    return f"p{number}@chaos.example"


def life(number: int) -> list[tuple[str, dict[str, Any]]]:
    """What one person does: signs up, orders, and now and then says something about a brand."""
    who = {"userId": f"c{number}"}
    item = {"product_id": f"sku-{number % 50}", "name": "Tent", "price": 99.0, "quantity": 1}
    order = {"order_id": f"o{number}", "total": 99.0, "currency": "EUR", "products": [item]}
    calls: list[tuple[str, dict[str, Any]]] = [
        (
            "/v1/track",
            {
                **who,
                "messageId": f"s{number}",
                "event": "Signed Up",
                "properties": {"email": address(number), "marketing_opt_in": True},
            },
        ),
        ("/v1/track", {**who, "messageId": f"o{number}", "event": "Order Completed", "properties": order}),
    ]
    if number % 5 == 0:
        post = {"id": f"post-{number}", "text": "I love my new Fernweh tent", "source_type": "social"}
        calls.append(("/v1/mentions", {**post, "author": {"network": "chirp", "handle": f"fan{number}"}}))
    return calls


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
