"""A process of a household ends when the household does, also when that was killed: no orphan keeps a folder locked."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping

PARENT = "RAPPORT_HOUSEHOLD"
"""The environment variable that holds the household's process number."""

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of linux/prctl.h


def child() -> dict[str, str]:
    """The environment of a process that shall end with this one."""
    return {**os.environ, PARENT: str(os.getpid())}


def end_with_parent(environment: Mapping[str, str] = os.environ) -> None:
    """Ask the kernel (Linux) for SIGTERM when the household's process ends, if this is a process of one."""
    parent = environment.get(PARENT)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):  # it ended before it could be asked for
        os.kill(os.getpid(), signal.SIGTERM)
