"""All processes of a small shop under one roof: started together, watched, started again if one dies.

A process that dies is named with its last words and started again after a pause that doubles each time. One that keeps
dying as soon as it is up ends the whole household: somebody has to look.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.config import Config
from pipelines.orphans import child

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0
"""Seconds before a process is started again: after its first quick death, and at the most."""
RAN_WELL = 30.0
"""Seconds after which a death is no longer a quick one."""
MOST_QUICK = 6
"""So many quick deaths one after the other, and the household gives up."""
STOP_WITHIN = 30.0

Commands = Mapping[str, list[str]]


class GaveUp(RuntimeError):
    """A process died again and again; says which, and what it said last."""


def commands(config: Config, *door_options: str) -> dict[str, list[str]]:
    """The command line of each process, by its name, in the order in which they start."""
    place = ["--data", str(config.data), "--workspace", str(config.workspace)]
    sync = [] if config.sync else ["--no-sync"]
    if config.kafka:
        place += ["--kafka", config.kafka, "--topics", config.topics]
    shared = ["--redis", config.redis] if config.redis else []
    kept = [*place, "--keep", str(config.keep), *sync]
    start = [sys.executable, "-m", "pipelines"]
    lane = [*start, "run", *kept, "--shards", str(config.shards), "--lane"]
    return {
        "door": [*start, "door", *kept, *shared, "--port", str(config.port), *door_options],
        "person": [*lane, "person"],
        "listen": [*lane, "listen"],
        "sender": [*start, "send", *place, *shared, *sync],
        "tables": [*start, "record", *place],
    }


def complain(line: str) -> None:
    """Tell the person at the terminal."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


@dataclass(slots=True)
class Life:
    """How a process fares: when it was started, how often in a row it died soon, when a dead one is started again."""

    started: float
    quick: int = 0
    due: float = 0.0

    def died(self, now: float) -> float:
        """Note a death; the pause before the next start."""
        self.quick = self.quick + 1 if now - self.started < RAN_WELL else 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (self.quick - 1))
        self.due = now + pause
        return pause


@dataclass
class Household:
    """Running processes by name; one that dies is told of and started again.

    `tell` takes a line for people, `now` gives seconds that only rise.
    """

    commands: Commands
    log: Path
    tell: Callable[[str], None] = complain
    now: Callable[[], float] = time.monotonic
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    lives: dict[str, Life] = field(default_factory=dict)

    def start(self, *names: str) -> None:
        """Start `names` (default: all)."""
        self.log.mkdir(parents=True, exist_ok=True)
        for name in names or tuple(self.commands):
            self.lives[name] = Life(self.now())
            self._start(name)

    def _start(self, name: str) -> None:
        with (self.log / f"{name}.log").open("ab") as out:
            self.running[name] = subprocess.Popen(
                self.commands[name],
                env=child(),
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def look(self) -> None:
        """Tell of each new death, and start again what died a while ago. Raises GaveUp."""
        for name, process in list(self.running.items()):
            if process.poll() is not None:
                self._mourn(name, process.returncode)

    def _mourn(self, name: str, status: int) -> None:
        life, now = self.lives[name], self.now()
        if not life.due:
            pause = life.died(now)
            words = f"{name} {ending(status)}: {last_words(self.log, name)}"
            if life.quick >= MOST_QUICK:
                raise GaveUp(f"{words}, {life.quick} times in a row; see {self.log / name}.log")
            self.tell(f"{words}; it is started again in {pause:.0f} s")
        elif now >= life.due:
            life.started, life.due = now, 0.0
            self._start(name)

    def stop(self, *names: str) -> None:
        """Ask `names` (default: all, in starting order) to end cleanly, and insist after half a minute."""
        for name in names or tuple(self.commands):
            process = self.running.pop(name, None)
            if process is None or process.poll() is not None:
                continue
            process.terminate()
            try:
                process.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def ending(status: int) -> str:
    """How a process ended, from its exit status."""
    return f"ended with status {status}" if status >= 0 else f"was ended by {signal.Signals(-status).name}"


def last_words(log: Path, name: str) -> str:
    """The last line that a process wrote, which says what is wrong; our name or an error's dotted one is left out."""
    lines = (log / f"{name}.log").read_text("utf-8", "replace").strip().splitlines()
    return re.sub(r"^(rapport|\w+(\.\w+)+): ", "", lines[-1]) if lines else "it said nothing"


def run_all(config: Config, stop: Callable[[], bool]) -> int:
    """Run everything until told to stop; returns the exit status.

    Raises GaveUp, and before anything is started what `ready.probe` raises.
    """
    from pipelines.ready import probe

    probe(config)
    household = Household(commands(config), config.data / "log")
    household.start()
    print(f"door on http://127.0.0.1:{config.port} · logs in {household.log} · Ctrl-C ends", flush=True)  # noqa: T201
    try:
        while not stop():
            household.look()
            time.sleep(0.2)
    finally:
        household.stop()
    return 0
