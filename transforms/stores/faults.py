"""Named places where a process may die in a crash test.

`RAPPORT_FAULT=NAME:N` kills the process with SIGKILL when it passes NAME for the Nth time. Without the variable a
place costs one dictionary look-up.
"""

from __future__ import annotations

import os
import signal


def _armed() -> dict[str, int]:
    name, _, count = os.environ.get("RAPPORT_FAULT", "").partition(":")
    return {name: int(count or 1)} if name else {}


_left = _armed()


def here(name: str) -> None:
    """Die here if the crash test says so."""
    left = _left.get(name)
    if left is None:
        return
    _left[name] = left - 1
    if left == 1:
        os.kill(os.getpid(), signal.SIGKILL)
