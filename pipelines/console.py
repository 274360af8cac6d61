"""The live view of a running installation, in a terminal or as plain lines; it only reads, so it runs beside anything.

rapport console --data D
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from pipelines import panels
from pipelines.clock import Clock, open_clock
from pipelines.config import Config
from pipelines.figures import Figures, Tail, statuses

EVERY = 0.25
PLAIN_EVERY = 3.0


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
        """Take in what is new; True if there was anything."""
        records = self._tail.read()
        self.figures.take(records)
        self._pulse.beat(time.monotonic(), self.figures.external)
        if self._clock is None and self._config.clock_file.exists():
            self._clock = open_clock(self._config.clock_file)
        return bool(records)

    @property
    def clock(self) -> Clock:
        return self._clock or Clock()

    def screen(self) -> RenderableType:
        """The whole view."""
        found = self.figures
        lag = panels.lags(self.clock, statuses(self._config.folder("status")))
        body = Table.grid(expand=True, padding=(0, 1))
        body.add_column(ratio=3)
        body.add_column(ratio=2)
        right = Group(panels.refusals(found), panels.said(found), panels.ledger(found))
        body.add_row(panels.messages(found), right)
        return Group(panels.heading(found, self._pulse, self.clock), body, panels.footer(lag, self.note))

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
    """Draw the view again and again until `stop` says so."""
    if plain:
        _lines(view, stop)
        return
    with Live(view.screen(), console=Console(), refresh_per_second=8, screen=True) as live:
        while not stop():
            if not view.refresh():
                time.sleep(EVERY)
            live.update(view.screen())


def _lines(view: View, stop: Callable[[], bool]) -> None:
    due = time.monotonic()
    while not stop():
        if not view.refresh():
            time.sleep(EVERY)
        if time.monotonic() >= due:
            due = time.monotonic() + PLAIN_EVERY
            sys.stdout.write(view.line() + "\n")
            sys.stdout.flush()
