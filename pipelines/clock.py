"""The one clock of door and sender: real time, or time that runs faster for the demo and for back-tests.

A scaled clock keeps its place on disk, so that a second start goes on where the first one stood: while nothing runs,
time stands still.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pipelines.config import ConfigError


def real_now() -> int:
    """Microseconds since 1970, from the system clock."""
    return time.time_ns() // 1000


class _Anchor(msgspec.Struct, frozen=True):
    """Journal time `journal` was reached at real time `real`; from there on it runs `speed` times as fast."""

    journal: int
    real: int
    speed: float


@dataclass(frozen=True, slots=True)
class Clock:
    """Journal time in microseconds; `speed` 1 is real time."""

    journal: int = 0
    real: int = 0
    speed: float = 1.0

    def now(self) -> int:
        """The present, in microseconds of journal time."""
        return self.journal + int((real_now() - self.real) * self.speed)

    def real_seconds(self, duration: int) -> float:
        """How many real seconds a duration of journal time (microseconds) takes."""
        return duration / self.speed / 1e6


class Follower:
    """The clock of a data folder as its door last set it: a door that starts again sets a scaled clock anew."""

    LOOK = 0.2

    def __init__(self, file: Path) -> None:
        self._file = file
        self._clock = open_clock(file)
        self._set_at, self._looked = file.stat().st_mtime_ns, time.monotonic()

    @property
    def speed(self) -> float:
        """How many times faster than real time it runs."""
        return self._clock.speed

    def now(self) -> int:
        """The present, in microseconds of journal time."""
        if time.monotonic() - self._looked > self.LOOK:
            self._look()
        return self._clock.now()

    def _look(self) -> None:
        self._looked = time.monotonic()
        set_at = self._file.stat().st_mtime_ns
        if set_at != self._set_at:
            self._clock, self._set_at = open_clock(self._file), set_at


def open_clock(file: Path, *, speed: float = 1.0, start: int | None = None, resume_at: int = 0) -> Clock:
    """The clock of a data folder; made by the first process that asks, read by the others.

    `speed` and `start` (journal time in microseconds, default: now) only count for the one that makes it.
    `resume_at` is the journal's last stamp: when it is given, a scaled clock is set to go on from there.
    """
    anchor = msgspec.json.decode(file.read_bytes(), type=_Anchor) if file.exists() else None
    if anchor is None:
        anchor = _Anchor(real_now() if start is None else start, real_now(), speed)
        _save(file, anchor)
    elif resume_at and anchor.speed != 1.0:
        anchor = _Anchor(resume_at, real_now(), anchor.speed)
        _save(file, anchor)
    return Clock(anchor.journal, anchor.real, anchor.speed)


def begin_clock(file: Path, speed: float | None, start: int | None = None) -> None:
    """Make the clock of a new data folder. Raises ConfigError if the folder has one that runs at another speed.

    `speed` None is real time in a new folder, and whatever it has in an old one.
    """
    clock = open_clock(file, speed=speed or 1.0, start=start)
    if speed is not None and clock.speed != speed:
        raise ConfigError(
            f"speed: expected {clock.speed:g}, at which time runs in {file.parent}, got {speed:g}; "
            "leave --speed out, or name a new folder with --data"
        )


def _save(file: Path, anchor: _Anchor) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(anchor))
    fresh.replace(file)
