"""The live view of a running installation, in a terminal or as plain lines; it only reads, so it runs beside anything.

rapport console --data D
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from pipelines import panels
from pipelines.clock import Clock, open_clock
from pipelines.config import Config
from pipelines.figures import Figures, Tail, statuses

EVERY, PLAIN_EVERY, LOOK = 0.25, 3.0, 0.1
FRAMES = 512


class View:
    """Follows a data folder and shows it. `note` is a line of the caller's own, such as how to end."""

    def __init__(self, config: Config, note: str = "") -> None:
        self.figures = Figures()
        self.note = note
        self._config = config
        self._tail = Tail(config)
        self._pulse = panels.Pulse()
        self._clock: Clock | None = None

    def refresh(self) -> bool:
        """Take in what is new; True if there may be more."""
        records = self._tail.read(FRAMES)
        self.figures.take(records)
        full = len(records) >= FRAMES
        if not full:  # the rate is that of what comes in, not of reading what has come before
            self._pulse.beat(time.monotonic(), self.figures.external)
        if self._clock is None and self._config.clock_file.exists():
            self._clock = open_clock(self._config.clock_file)
        return full

    @property
    def clock(self) -> Clock:
        return self._clock or Clock()

    def screen(self) -> RenderableType:
        """The whole view."""
        found = self.figures
        states = statuses(self._config.folder("status"))
        body = Table.grid(expand=True, padding=(0, 1))
        body.add_column(ratio=3)
        body.add_column(ratio=2)
        right = Group(panels.refusals(found), panels.said(found), panels.ledger(found))
        body.add_row(panels.messages(found), right)
        return Group(panels.heading(found, self._pulse, self.clock), body, panels.footer(states, self.clock, self.note))

    def line(self) -> str:
        """The same in one line of plain text."""
        return panels.plain(self.figures, self._pulse.rate, self.clock)

    def close(self) -> None:
        self._tail.close()


def watch(config: Config, stop: Callable[[], bool], *, plain: bool = False) -> None:
    """Show the installation until `stop` says so."""
    view = View(config, "Ctrl-C ends the view, not what is watched")
    try:
        show(view, stop, plain=plain)
    finally:
        view.close()


def show(view: View, stop: Callable[[], bool], *, plain: bool) -> None:
    """Draw the view again and again until `stop` says so; lines of text where there is no terminal."""
    if plain or not sys.stdout.isatty():
        for _ in _turns(view, stop, PLAIN_EVERY):
            sys.stdout.write(view.line() + "\n")
            sys.stdout.flush()
        return
    with Live(view.screen(), console=Console(), auto_refresh=False, screen=True) as live:
        for _ in _turns(view, stop, EVERY):
            live.update(view.screen(), refresh=True)


def _turns(view: View, stop: Callable[[], bool], every: float) -> Iterator[None]:
    """A turn to draw every so many seconds; in between the view takes in what is new, without haste."""
    due = 0.0
    while view.refresh() and not stop():
        pass
    while not stop():
        full = view.refresh()
        if time.monotonic() >= due:
            due = time.monotonic() + every
            yield
        if not full:
            time.sleep(LOOK)
