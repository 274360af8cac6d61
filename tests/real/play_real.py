"""Plays real orders and real posts through all real processes, as one run, and says what came of it.

    python -m tests.real.play_real --full --data build/real        # 18 months in about three minutes
    python -m tests.real.play_real --data build/real-short         # three months and 500 posts, in a minute

At the end: everything under way is awaited, the processes end, both ledgers must add up, and the journal replayed in
a fresh process must give the same decisions. Figures go to build/real.json. The input is read in place: see
`real_input.py`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.census import LANES, numbers, sender_counts
from pipelines.check import check_data
from pipelines.clock import real_now
from pipelines.config import Config
from pipelines.demo.demo import free_port, healthy, wait_until_ready
from pipelines.pull import LOGS
from pipelines.run import Head
from pipelines.together import Household, commands
from schemas.records import DAY, HOUR
from tests.real.history import ORDERS, POSTS, Call, History, micros, play_of
from tests.real.player import PATIENCE, Player, rest
from tests.real.real_figures import figures_of
from tests.real.real_input import FOLDER, missing
from tests.real.real_truth import CHECKS, Outcome
from transforms.stores.journal import RECORDS, Lane, last_counts
from transforms.stores.log import LogReader

ROOT = Path(__file__).parents[2]
WORKSPACE = Path(__file__).parent / "workspace"
BEGIN = micros(datetime(1996, 12, 31))
KEEP_DAYS = 1000
READY_WITHIN = 30.0
DRAIN_WITHIN = 120.0
LOOK = 0.2


@dataclass(frozen=True, slots=True)
class Leg:
    """Until journal time `until`, time runs `speed` times as fast as it does."""

    until: int
    speed: float


@dataclass(slots=True)
class Measured:
    """What the run itself tells: seconds of play, of coming to an end; memory; how late a record was (journal time)."""

    seconds: dict[str, float] = field(default_factory=dict)
    peak_mb: dict[str, float] = field(default_factory=dict)
    late: list[int] = field(default_factory=list)
    again: int = 0


def legs_of(history: History, *, short: bool) -> list[Leg]:
    """Fast through the months, slow through the week of the posts: there a hold of 72 hours must outlast our haste."""
    first, last = history.week
    if short:
        return [Leg(first - DAY, 480_000), Leg(last + DAY, 90_000), Leg(micros(datetime(1997, 4, 3)), 480_000)]
    return [
        Leg(micros(datetime(1997, 4, 1)), 180_000),
        Leg(first - DAY, 360_000),
        Leg(last + DAY, 25_000),
        Leg(micros(datetime(1998, 7, 3)), 360_000),
    ]


def perform(source: Path, data: Path, *, short: bool) -> dict[str, Any]:
    """The whole run in a new data folder; gives the figures. Raises RuntimeError where something does not come out."""
    history = play_of(source, short=short)
    config = Config(data, WORKSPACE, keep=KEEP_DAYS)
    config = Config(data, WORKSPACE, port=free_port(config), keep=KEEP_DAYS)
    measured, began = Measured(), time.monotonic()
    with household(config, measured) as running:
        play(config, running, history.calls(), legs_of(history, short=short), measured)
        measured.seconds["play"] = time.monotonic() - began
        drain(config, running)
    measured.seconds["whole"] = time.monotonic() - began
    return {**judge(config, measured), **figures_of(config, history), **_told(measured)}


def _told(measured: Measured) -> dict[str, Any]:
    return {
        "seconds": {name: round(value, 1) for name, value in measured.seconds.items()},
        "peak_rss_mb": {name: round(value) for name, value in measured.peak_mb.items()},
        "posted_late_hours": [round(each / HOUR, 1) for each in measured.late],
        "posted_again": measured.again,
    }


# --- the run ----------------------------------------------------------------------------------------------------------


@contextmanager
def household(config: Config, measured: Measured) -> Iterator[Household]:
    """The five processes, ready; stopped at the end, the table writer last."""
    set_clock(config, BEGIN, 1.0)
    running = Household(commands(config), config.data / "log")
    running.start()
    try:
        wait_until_ready(config, running, lambda: False)
        yield running
        weigh(running, measured)
    finally:
        running.stop()


def play(config: Config, running: Household, calls: Sequence[Call], legs: Sequence[Leg], measured: Measured) -> None:
    """Post every call when its time comes, leg by leg; between two, the door rests and its clock is set anew."""
    player = Player(config, calls)
    for leg in legs:
        weigh(running, measured)
        set_pace(config, running, leg.speed)
        measured.late.append(player.play_until(leg.until))
        dead = [name for name, process in running.running.items() if process.poll() is not None]
        if dead:
            raise RuntimeError(f"expected all processes to live, {', '.join(dead)} ended; see {running.log}")
    measured.again = player.again
    weigh(running, measured)


def set_pace(config: Config, running: Household, speed: float) -> None:
    """Let time go on at another speed: the door starts again, and answers when this returns. Raises RuntimeError."""
    running.stop("door")
    set_clock(config, max(Head(config.folder("journal")).stamp(), BEGIN), speed)
    running.start("door")
    given_up = time.monotonic() + READY_WITHIN
    while not healthy(config):
        if time.monotonic() > given_up:
            raise RuntimeError(f"expected the door to answer within {READY_WITHIN:.0f} s; see {running.log}")
        rest(PATIENCE)


def set_clock(config: Config, journal: int, speed: float) -> None:
    """Let time go on from `journal` at another speed; no door may be running."""
    config.data.mkdir(parents=True, exist_ok=True)
    fresh = config.clock_file.with_suffix(".set")
    fresh.write_text(json.dumps({"journal": journal, "real": real_now(), "speed": speed}))
    fresh.replace(config.clock_file)


def drain(config: Config, running: Household) -> None:
    """Let everything come to its end, at the pace of real time: at another, new things would always begin.

    First with the door, so that all comes back; then without, so that time stands.
    Raises RuntimeError if it does not within `DRAIN_WITHIN` seconds.
    """
    set_pace(config, running, 1.0)
    given_up = time.monotonic() + DRAIN_WITHIN
    _wait(lambda: _is_pulled(config) and _is_read(config), given_up, running)
    running.stop("door")
    _wait(lambda: _is_read(config), given_up, running)


def _wait(over: Callable[[], bool], given_up: float, running: Household) -> None:
    """Wait until it is over at two looks in a row."""
    quiet = 0
    while quiet < 2:
        if time.monotonic() > given_up:
            raise RuntimeError(f"expected everything to end within {DRAIN_WITHIN:.0f} s; see {running.log}")
        rest(LOOK)
        quiet = quiet + 1 if over() else 0


def _is_pulled(config: Config) -> bool:
    """Whether the door has taken back everything that the job gave it."""
    cursors = last_counts(config.folder("journal")).cursors
    return all(cursors.get(log, (0, 0))[1] == numbers(config.folder(log)).get(topic, 0) for log, topic in LOGS.items())


def _is_read(config: Config) -> bool:
    """Whether both lanes have read every record, and the sender has ended every message."""
    journal = config.folder("journal")
    for lane in LANES:
        reader = LogReader(journal, Lane(config.folder(lane)).address(), {RECORDS})
        if reader.read(1):
            return False
    sender = sender_counts(config.folder("sender"))
    return not sender.open and sender.taken + sender.repeated == numbers(config.folder("person")).get("intents", 0)


def weigh(running: Household, measured: Measured) -> None:
    """The most memory that each process has had so far, in MB."""
    for name, process in running.running.items():
        status = Path(f"/proc/{process.pid}/status")
        if status.exists():
            peak = next((line for line in status.read_text().splitlines() if line.startswith("VmHWM")), "0 0")
            measured.peak_mb[name] = max(measured.peak_mb.get(name, 0.0), int(peak.split()[1]) / 1024)


# --- what came of it --------------------------------------------------------------------------------------------------


def judge(config: Config, measured: Measured) -> dict[str, Any]:
    """Both ledgers, and the replay. Raises RuntimeError with what is off."""
    report = check_data(config)
    if report.problems:
        raise RuntimeError("\n".join(["the ledgers do not add up:", *report.problems]))
    began = time.monotonic()
    place = ["--data", str(config.data), "--workspace", str(config.workspace)]
    command = [sys.executable, "-m", "pipelines", "replay", "--verify", *place]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    measured.seconds["replay"] = time.monotonic() - began
    if said.returncode:
        raise RuntimeError(f"the replay differs:\n{said.stdout}{said.stderr}")
    return {"problems": report.problems, "replay": said.stdout.strip().splitlines()}


def main() -> int:
    """The command line; 0 if everything came out."""
    options = argparse.ArgumentParser(description="Real orders and real posts through all real processes.")
    options.add_argument("--full", action="store_true", help="All 69,659 orders and 6,746 posts, not the short play.")
    options.add_argument("--data", type=Path, required=True, help="A new data folder.")
    options.add_argument("--out", type=Path, default=ROOT / "build" / "real.json", help="Where the figures go.")
    given = options.parse_args()
    if lacking := missing(ORDERS, POSTS):
        print(lacking, file=sys.stderr)
        return 2
    if given.data.exists():
        print(f"expected a new data folder, {given.data} exists; remove it", file=sys.stderr)
        return 2
    figures = perform(FOLDER, given.data, short=not given.full)
    written = json.dumps({"begun": datetime.now(UTC).isoformat(timespec="seconds"), **figures}, indent=2)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(written + "\n")
    print(written)
    outcome = Outcome(FOLDER, Config(given.data, WORKSPACE), short=not given.full)
    differences = {check.__name__: list(check(outcome)) for check in CHECKS}
    for name, found in differences.items():
        print(f"{name}: {'; '.join(found) or 'as the files say'}")
    return int(any(differences.values()))


if __name__ == "__main__":
    sys.exit(main())
