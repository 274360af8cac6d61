"""The demo: a made-up shop, the real job, a live view, and at the end everything held against what was planted."""

from __future__ import annotations

import http.client
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from pipelines import panels
from pipelines.census import census
from pipelines.clock import open_clock
from pipelines.config import Config
from pipelines.console import View, show
from pipelines.demo.ending import conclude
from pipelines.demo.play import LATE, Place, Player
from pipelines.demo.world import BATCH, World
from pipelines.figures import Figures
from pipelines.ready import probe
from pipelines.together import Household, commands, last_words
from pipelines.workspace import load
from schemas.records import SECOND
from schemas.workspace import Tenant

READY_WITHIN = 60.0
SETTLE = 1.5
DRAIN_WITHIN = 60.0
LOOK = 0.1

PEOPLE_EVERY, POSTS_EVERY, TROUBLE_EVERY = 0.4, 0.8, 2.0
"""Real seconds between two people, posts and broken requests."""


class NotReady(RuntimeError):
    """A process did not start; says which, and what it said last."""


def demo(config: Config, *, seconds: float = 0.0, plain: bool = False, rate: int = 300) -> int:
    """Run the demo until Ctrl-C, or for `seconds`; 0 if every count and every planted story adds up, else 1.

    Raises GaveUp if a process dies again and again, and before anything is started what `ready.probe` raises.
    """
    config = replace(config, port=free_port(config))
    probe(config)
    tenant = next(iter(load(config.workspace).tenants.values()))
    view = View(config, "Ctrl-C ends it and adds everything up")
    try:
        place = Performance(config, tenant, view, told()).run(seconds or float("inf"), rate, plain=plain)
    except NotReady as error:
        say(str(error))
        return 1
    finally:
        view.close()
    if plain or not sys.stdout.isatty():
        say(examples(view.figures))
    words, good = conclude(config, tenant, view.figures, place)
    say(words)
    return 0 if good else 1


@dataclass(frozen=True, slots=True)
class Performance:
    """One run: the processes, the world that is played to them, the view on both."""

    config: Config
    tenant: Tenant
    view: View
    stop: Callable[[], bool]

    def run(self, seconds: float, rate: int, *, plain: bool) -> Place:
        """Everything from the first process to the last; gives how far the world was played. Raises NotReady."""
        with household(self.config) as running:
            running.tell = self.note
            say(f"starting the shop {self.tenant.name} in {self.config.data} …")
            wait_until_ready(self.config, running, self.stop)
            player = self._player(rate)
            player.start()
            self._show(running, player, time.monotonic() + seconds, plain=plain)
            say("the world stops; what is under way comes to its end …")
            player.end()
            drain(self.config, running, self.view)
        while self.view.refresh():
            pass
        return player.place

    def note(self, line: str) -> None:
        """Show a line below the figures, from now on."""
        self.view.note = line

    def _player(self, rate: int) -> Player:
        """The world at the place where an earlier run left it, or a new one."""
        file = self.config.data / "world.json"
        clock = open_clock(self.config.clock_file)
        place = Place.load(file) or Place(begin(clock.now(), clock.speed, rate))
        if place.next and clock.now() - place.until > LATE:
            say("this shop goes on where it stopped: first it posts what it missed, faster than its world runs …")
        keys = {key.trust: key.key for key in self.tenant.keys}
        opened = partial(open_clock, self.config.clock_file)
        return Player(place, file, opened, (self.config.host, self.config.port), keys)

    def _show(self, running: Household, player: Player, deadline: float, *, plain: bool) -> None:
        def over() -> bool:
            running.look()
            return self.stop() or time.monotonic() >= deadline or not player.is_alive()

        show(self.view, over, plain=plain)


def examples(figures: Figures) -> str:
    """One message of each campaign, as its person gets it."""
    return "\n".join(["", *(panels.example(name, found).plain for name, found in sorted(figures.examples.items()))])


def begin(now: int, speed: float, rate: int) -> World:
    """A new world from journal time `now` on: about `rate` events a real second, whatever the speed."""
    second = speed * SECOND
    return World(
        seed=now % 1_000_000,
        start=now,
        newcomer_every=int(PEOPLE_EVERY * second),
        post_every=int(POSTS_EVERY * second),
        noise_every=max(1, int(BATCH / max(rate, 1) * second)),
        trouble_every=int(TROUBLE_EVERY * second),
    )


def drain(config: Config, running: Household, view: View) -> None:
    """Let what was posted come to its end: first everything, then without the door, so that time stands still."""
    settled = time.monotonic() + SETTLE
    while time.monotonic() < settled:
        view.refresh()
        time.sleep(LOOK)
    running.stop("door")
    given_up = time.monotonic() + DRAIN_WITHIN
    while time.monotonic() < given_up:
        view.refresh()
        found = census(config)
        if not (found.unread_external or found.unread_derived or found.unread_intents or found.open):
            return
        time.sleep(LOOK)
    say(f"expected everything to end within {DRAIN_WITHIN:.0f} s, but something is still under way; see {running.log}")


# --- processes --------------------------------------------------------------------------------------------------------


@contextmanager
def household(config: Config) -> Iterator[Household]:
    """The five processes, stopped cleanly at the end: the table writer last, so that nothing is missed."""
    found = Household(commands(config, "--speed", str(config.speed)), config.data / "log")
    found.start()
    try:
        yield found
    finally:
        found.stop()


def wait_until_ready(config: Config, running: Household, stop: Callable[[], bool]) -> None:
    """Return once the door answers and every process has told its figures. Raises NotReady."""
    began, given_up = time.time(), time.monotonic() + READY_WITHIN
    while not (healthy(config) and all(_fresh(config, name, began) for name in running.commands)):
        dead = [name for name, process in running.running.items() if process.poll() is not None]
        if dead:
            raise NotReady("\n".join(f"{name} ended at once: {last_words(running.log, name)}" for name in dead))
        if stop() or time.monotonic() > given_up:
            raise NotReady(f"expected all processes to be up within {READY_WITHIN:.0f} s; see {running.log}")
        time.sleep(LOOK)


def healthy(config: Config) -> bool:
    """Whether the door says that it is well."""
    connection = http.client.HTTPConnection(config.host, config.port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _fresh(config: Config, name: str, since: float) -> bool:
    file = config.folder("status") / f"{name}.json"
    return file.exists() and file.stat().st_mtime >= since - 1


def free_port(config: Config) -> int:
    """The configured port, or another one if that is taken."""
    for port in (config.port, 0):
        try:
            with socket.create_server((config.host, port)) as server:
                return int(server.getsockname()[1])
        except OSError:
            continue
    return config.port


def told() -> Callable[[], bool]:
    """True from the first Ctrl-C on, and when the terminal closes or somebody asks the process to end."""
    heard: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: heard.append(number))
    return lambda: bool(heard)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
