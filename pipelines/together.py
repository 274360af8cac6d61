"""All processes of a small shop under one roof: started together, watched, started again if one dies."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.config import Config

RESTART_AFTER = 1.0
STOP_WITHIN = 30.0

Commands = Mapping[str, list[str]]


def commands(config: Config, *door_options: str) -> dict[str, list[str]]:
    """The command line of each process, by its name, in the order in which they start."""
    place = ["--data", str(config.data), "--workspace", str(config.workspace)]
    sync = [] if config.sync else ["--no-sync"]
    kept = [*place, "--keep", str(config.keep), *sync]
    start = [sys.executable, "-m", "pipelines"]
    lane = [*start, "run", *kept, "--shards", str(config.shards), "--lane"]
    return {
        "door": [*start, "door", *kept, "--port", str(config.port), *door_options],
        "person": [*lane, "person"],
        "listen": [*lane, "listen"],
        "sender": [*start, "send", *place, *sync],
        "tables": [*start, "record", *place],
    }


@dataclass
class Household:
    """Running processes by name; one that dies is started again a second later."""

    commands: Commands
    log: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    died: dict[str, float] = field(default_factory=dict)
    restarts: int = 0

    def start(self, *names: str) -> None:
        """Start `names` (default: all)."""
        self.log.mkdir(parents=True, exist_ok=True)
        for name in names or tuple(self.commands):
            self._start(name)

    def _start(self, name: str) -> None:
        with (self.log / f"{name}.log").open("ab") as out:
            self.running[name] = subprocess.Popen(
                self.commands[name], stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def look(self) -> None:
        """Start again what has died a while ago."""
        now = time.monotonic()
        for name, process in self.running.items():
            if process.poll() is None:
                continue
            if now - self.died.setdefault(name, now) >= RESTART_AFTER:
                del self.died[name]
                self.restarts += 1
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


def run_all(config: Config, stop: Callable[[], bool]) -> int:
    """Run everything until told to stop; returns the exit status."""
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
