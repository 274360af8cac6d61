"""`rapport check`: is the workspace sound, and do both ledgers of the data add up, to the last record?

Works while everything runs (it says what is under way) and after a stop. A single count that is off is an error.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from pipelines.audit import absent, damage, recorded, unwritten
from pipelines.census import census
from pipelines.config import Config
from pipelines.figures import statuses
from pipelines.lint import lint
from pipelines.workspace import WorkspaceError, load
from transforms.logic.ledger import Census, Line, lines, problems

TRIES = 5


class Report(Struct, frozen=True):
    """The ledgers' lines, a sentence for each that is off, what each process says of its memory, and what else was
    counted that is no mistake.
    """

    lines: list[Line]
    problems: list[str]
    memory: dict[str, Any]
    notes: list[str]
    census: Census


def check(config: Config, *, only_workspace: bool = False) -> int:
    """Check and print; the exit status, 0 if everything is right."""
    console = Console(file=sys.stdout, highlight=False)
    try:
        for advice in lint(load(config.workspace)):
            console.print(f"advice: {advice}", markup=False)
    except WorkspaceError as error:
        console.print(str(error), markup=False)
        return 1
    if only_workspace or not (config.data.exists() or config.kafka):
        console.print("workspace: no mistakes found")
        if not only_workspace:
            console.print(f"ledgers: not checked, there is no folder {config.data}; see --data", markup=False)
        return 0
    report = check_data(config)
    show(report, console)
    return 1 if report.problems else 0


def check_data(config: Config) -> Report:
    """The ledgers of a data folder.

    Counts of a running installation are taken one after another, so one that moved meanwhile may look off: what is
    off is counted again before it is called so. What cannot be read is said, and nothing is then counted.
    """
    if hurt := damage(config):
        return Report([], hurt, memory(config), ["ledgers: not counted before that is mended"], Census())
    for _ in range(TRIES):
        counted = census(config)
        found = lines(counted)
        wrong = [*problems(found), *absent(config), *recorded(config)]
        if not wrong:
            break
    return Report(found, wrong, memory(config), [*notes(counted), *unwritten(config)], counted)


def notes(counted: Census) -> Iterator[str]:
    """What people should know beside the ledgers."""
    for topic, again in counted.again.items():
        yield f"topic {topic}: {again} records came again (at least once is what topics promise), each was counted once"
    if counted.ghosts:
        yield f"{counted.ghosts} receipts are for messages that nobody is known to have decided"


def memory(config: Config) -> dict[str, Any]:
    """What the lanes say they keep to recognise a repeated record."""
    told = statuses(config.folder("status"))
    return {name: figures["memory"] for name, figures in told.items() if "memory" in figures}


def show(report: Report, console: Console) -> None:
    """Print the ledgers as a table, and what is wrong."""
    table = Table("ledger", "expected", "found", "under way", "")
    for line in report.lines:
        mark = f"off by {line.off}" if line.off else "✓"
        table.add_row(line.name, f"{line.expected:,}", f"{line.found:,}", f"{line.underway:,}", mark)
    if report.lines:
        console.print(table)
    for name, what in report.memory.items():
        console.print(f"{name} remembers {what}", markup=False)
    for note in report.notes:
        console.print(note, markup=False, soft_wrap=True)
    for problem in report.problems:
        console.print(problem, markup=False, soft_wrap=True)
