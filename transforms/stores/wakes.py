"""Armed wakes that lie flat in memory: 16 bytes each, a million in 16 MB.

A wake is a due time and the mark (64-bit hash) of its row's key. They rest in a few runs sorted by time, each at least
twice as long as the next, and new ones wait in a short list; what is due is always at the front.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from transforms.stores.packed import Numbers
from transforms.stores.transaction import NEVER

Times = NDArray[np.int64]
LONGEST_LIST = 256


class Run(NamedTuple):
    """Wakes sorted by due time; never changed in place."""

    due: Times
    marks: Numbers

    def after(self, time: int) -> int:
        """How many are due at or before `time`."""
        return int(np.searchsorted(self.due, time, "right"))

    def rest(self, start: int) -> Run:
        """What stands from `start` on; a copy once that frees half of the memory."""
        due, marks = self.due[start:], self.marks[start:]
        base = self.due.base if self.due.base is not None else self.due
        return Run(due.copy(), marks.copy()) if 2 * len(due) < np.size(base) else Run(due, marks)


def merged(first: Run, second: Run) -> Run:
    """Both in order of time."""
    places = np.searchsorted(first.due, second.due, "right") + np.arange(len(second.due))
    mine = np.ones(len(first.due) + len(second.due), np.bool_)
    mine[places] = False
    due, marks = np.empty(len(mine), np.int64), np.empty(len(mine), np.uint64)
    due[places], marks[places] = second
    due[mine], marks[mine] = first
    return Run(due, marks)


def sorted_run(due: Times, marks: Numbers) -> Run:
    order = np.argsort(due, kind="stable")
    return Run(due[order], marks[order])


class Wakes:
    """The armed wakes of one lane."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._list: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._list) + sum(len(run.due) for run in self._runs)

    def arm(self, due: Times, marks: Numbers) -> None:
        if len(self._list) + len(due) <= LONGEST_LIST:
            self._list += zip(due.tolist(), marks.tolist(), strict=True)
            return
        waiting = self._waiting()
        self._list = []
        self._push(sorted_run(np.concatenate([waiting.due, due]), np.concatenate([waiting.marks, marks])))

    def earliest(self, after: int) -> int:
        """The first due time later than `after`, NEVER if there is none."""
        soonest = min((due for due, _ in self._list if due > after), default=NEVER)
        for run in self._runs:
            at = run.after(after)
            if at < len(run.due):
                soonest = min(soonest, int(run.due[at]))
        return soonest

    def ripe(self, after: int, upto: int) -> Run:
        """Those with after < due ≤ upto, in any order; they stay armed."""
        waiting = self._waiting()
        soon = (waiting.due > after) & (waiting.due <= upto)
        found = [Run(waiting.due[soon], waiting.marks[soon])]
        for run in self._runs:
            cut = slice(run.after(after), run.after(upto))
            found.append(Run(run.due[cut], run.marks[cut]))
        return Run(np.concatenate([run.due for run in found]), np.concatenate([run.marks for run in found]))

    def take(self, upto: int) -> None:
        """Remove those due at or before `upto`."""
        self._list = [wake for wake in self._list if wake[0] > upto]
        self._runs = [run.rest(run.after(upto)) for run in self._runs if run.due[-1] > upto]

    def frozen(self) -> list[Run]:
        """All of them as they are now, whatever happens later."""
        return [self._waiting(), *self._runs]

    def _waiting(self) -> Run:
        due = np.array([due for due, _ in self._list], np.int64)
        return Run(due, np.array([mark for _, mark in self._list], np.uint64))

    def _push(self, run: Run) -> None:
        while self._runs and len(self._runs[-1].due) < 2 * len(run.due):
            run = merged(self._runs.pop(), run)
        self._runs.append(run)
