"""All benchmarks that a claim rests on: `make bench`. Prints a table and writes build/bench.json.

Every ratio compares two figures of this one run. Costs are CPU seconds of the process under test. QUICK=1 uses a
hundredth of the people, to see that everything works.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT), str(HERE.parent / "support"), str(HERE)]

import bench_door  # noqa: E402
import welcome  # noqa: E402

SCALE = 100 if os.environ.get("QUICK") else 1
PEOPLE, MILLION, FEW = 100_000 // SCALE, 1_000_000 // SCALE, 10_000 // SCALE
EVENTS = 200_000 // SCALE
GOALS: dict[str, tuple[str, float]] = {
    "embedded_vs_loop": ("≥", 0.5),
    "embedded_vs_minimal": ("≥", 0.2),
    "door_requests_per_s": ("≥", 6000),
    "welcome_p50_ms": ("≤", 50),
    "welcome_p99_ms": ("≤", 250),
    "welcome_p99_ms_with_mention_backlog": ("≤", 300),
    "mb_per_million_profiles": ("≤", 300),
    "restart_s_million_profiles": ("≤", 5),
    "event_cost_growth_10k_to_1m": ("≤", 1.3),
}


def lane(what: str, folder: Path, people: int, events: int) -> dict[str, Any]:
    """One case of `lane.py` in a process of its own."""
    say(f"{what}, {people:,} people, {events:,} events …")
    command = [sys.executable, str(HERE / "lane.py"), what, str(folder), str(people), str(events)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    found: dict[str, Any] = json.loads(answer.stdout.strip().splitlines()[-1])
    return found


def restart(folder: Path, people: int) -> float:
    """Seconds from starting a process on a store of so many people to its first decision being durable."""
    import lane as case

    case.one_more(folder, people)
    command = [sys.executable, str(HERE / "lane.py"), "resume", str(folder), "0", "0"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT) as process:
        assert process.stdout
        line = process.stdout.readline()
        seconds = time.perf_counter() - began
        process.communicate()
    assert json.loads(line)["decided"], "expected one decision after the restart"
    return seconds


def measure(scratch: Path) -> dict[str, Any]:
    """All figures by name."""
    minimal = lane("minimal", scratch, PEOPLE, EVENTS)
    loop = lane("loop", scratch, PEOPLE, EVENTS)
    middle = lane("embedded", scratch / "middle", PEOPLE, EVENTS)
    few = lane("embedded", scratch / "few", FEW, EVENTS)
    many = lane("embedded", scratch / "many", MILLION, EVENTS)
    say("restart on the large store …")
    again = restart(scratch / "many", MILLION)
    say("door …")
    door = bench_door.main()
    say("welcome at 1,000 events a second …")
    quiet = welcome.measure(20 / SCALE**0.25)
    say("welcome with a backlog of posts …")
    busy = welcome.measure(20 / SCALE**0.25, backlog=100_000 // SCALE)
    return {
        "embedded_vs_loop": middle["events_per_cpu_s"] / loop["events_per_cpu_s"],
        "embedded_vs_minimal": middle["events_per_cpu_s"] / minimal["events_per_cpu_s"],
        "door_requests_per_s": max(row["requests_per_second"] for row in door),
        "welcome_p50_ms": quiet["p50_ms"],
        "welcome_p99_ms": quiet["p99_ms"],
        "welcome_p99_ms_with_mention_backlog": busy["p99_ms"],
        "mb_per_million_profiles": many["mb_of_people"],
        "restart_s_million_profiles": again,
        "event_cost_growth_10k_to_1m": few["events_per_cpu_s"] / many["events_per_cpu_s"],
        "details": {
            "minimal": minimal,
            "loop": loop,
            "embedded_10k": few,
            "embedded_100k": middle,
            "embedded_1m": many,
            "door": door,
            "welcome": quiet,
            "welcome_with_backlog": busy,
        },
    }


def table(figures: dict[str, Any]) -> str:
    """The figures beside their goals."""
    lines = [f"{'figure':38} {'measured':>12}   goal"]
    for name, (sign, goal) in GOALS.items():
        value = figures[name]
        met = value >= goal if sign == "≥" else value <= goal
        lines.append(f"{name:38} {value:12,.3f}   {sign} {goal:g}{'' if met else '   not met'}")
    details = figures["details"]
    lines.append("")
    for name in ("minimal", "loop", "embedded_10k", "embedded_100k", "embedded_1m"):
        lines.append(f"{name:38} {details[name]['events_per_cpu_s']:12,.0f}   events a CPU second")
    lines.append(f"{'bytes written an event, 100k people':38} {details['embedded_100k']['bytes_per_event']:12,.0f}")
    return "\n".join(lines)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="rapport-bench-") as scratch:
        figures = measure(Path(scratch))
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "bench.json").write_text(json.dumps(figures, indent=2))
    print(table(figures))


if __name__ == "__main__":
    main()
