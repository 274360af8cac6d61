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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec
from chaos_load import OWED, Load, address
from chaos_points import POINTS, RARE, SINGLE
from webhook_sink import Sink

from pipelines.census import census
from pipelines.check import check_data
from pipelines.config import SAMPLE, Config
from pipelines.together import commands

ROOT = Path(__file__).parent.parent.parent
SECRET = "whsec_" + "a2" * 22
CHANNELS = """
email:
  sink: webhook
  url: "http://127.0.0.1:{port}/"
  secret: "secret://chaos"
  allow_private: true
"""
ARMED_FOR = 30.0
"""Seconds after which a process that did not come to its fault point is killed where it stands."""
SPEED = 720.0
"""Days of two minutes: what is a day old is dropped, and a day has enough files to be merged."""
SEGMENT = "8192"
"""Bytes of a log's segment, so that segments end, are dropped and snapshots are taken all the time."""
MOST_OPEN = 200
"""Messages under way at which the load waits."""


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
        passes = 1 if point in SINGLE else self.chaos.random.randint(1, 5)
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
    most_open: int = MOST_OPEN
    over: bool = False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.port = _free_port()
        shutil.copytree(SAMPLE, self.folder / "workspace")
        self.config = Config(self.folder / "data", self.folder / "workspace", port=self.port, speed=SPEED, keep=1)
        (self.config.workspace / "channels.yaml").write_text(CHANNELS.format(port=self.sink.port))
        path = os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support")))
        own = {"PYTHONPATH": path, "RAPPORT_SECRET_CHAOS": SECRET, "RAPPORT_SEGMENT": SEGMENT}
        self.environment = {**os.environ, **own}
        self.load = Load(self.port, lambda: not self.over, lambda: self._open() > self.most_open)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.over = True
        for victim in self.victims:
            victim.kill()

    def run(self, times: int, points: Mapping[str, Sequence[str]] = POINTS, *, wrong_sender: bool = False) -> None:
        """Let every process in `points` die `times` times at each of its points, under load; then let all rest."""
        lines = commands(self.config, "--speed", str(SPEED))
        if wrong_sender:
            script = ROOT / "tests" / "support" / "hasty_sender.py"
            lines["sender"] = [sys.executable, str(script), str(self.config.data), str(self.config.workspace)]
            self.most_open = sys.maxsize  # what it loses stays open for ever
        self.victims = [
            Victim(name, line, self._plan(points.get(name, ()), times), self) for name, line in lines.items()
        ]
        for victim in self.victims:
            victim.start()
        self.load.start()
        self.settle(lambda: self.load.people > 20)
        for victim in self.victims:
            if victim.points:
                victim.stop()
                victim.start(victim.points.pop())
        self.settle(lambda: not any(victim.points or victim.point for victim in self.victims))
        self.over = True
        self.load.join()
        self.settle(self._at_rest, within=120.0)
        for victim in sorted(self.victims, key=lambda victim: victim.name == "tables"):
            victim.stop()

    def died(self, name: str, point: str) -> None:
        """Count a death; one that came while nobody waited for anything proves nothing."""
        self.kills[name, point] += 1
        self.idle_kills += not (self.load.posting or self.lost())

    def lost(self) -> list[str]:
        """Messages that somebody was owed and did not get."""
        owed = {(address(n), kind) for n in range(self.load.people) for kind in OWED}
        return sorted(f"{to} {campaign}" for to, campaign in owed - set(self.delivered()))

    def doubled(self) -> list[str]:
        """Messages that arrived under two keys, or contradicted themselves."""
        twice = [f"{to} {campaign}" for (to, campaign), count in self.delivered().items() if count > 1]
        return twice + self.sink.contradicted

    def delivered(self) -> Counter[tuple[str, str]]:
        found = (msgspec.json.decode(body)["data"] for body in list(self.sink.accepted.values()))
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
            "people": self.load.people,
            "delivered": len(self.sink.accepted),
            "repeated_to_the_sink": self.sink.repeated,
            "lost": len(self.lost()),
            "duplicated": len(self.doubled()),
        }

    def _plan(self, points: Sequence[str], times: int) -> list[str]:
        plan = [point for point in points for _ in range(times)]
        self.random.shuffle(plan)
        return sorted(plan, key=lambda point: point not in RARE)  # taken from the end

    def _open(self) -> int:
        return len(OWED) * self.load.people - len(self.sink.accepted)

    def _at_rest(self) -> bool:
        found = census(self.config)
        waiting = found.unread_external or found.unread_derived or found.unread_intents or found.open
        return not waiting and not self.lost()

    def settle(self, enough: Callable[[], bool], within: float = 1800.0) -> None:
        """Keep the processes alive until `enough`, or until nothing more can be expected."""
        given_up, pause = time.monotonic() + within, threading.Event()
        while not enough() and time.monotonic() < given_up:
            for victim in self.victims:
                victim.look()
            pause.wait(0.05)


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
