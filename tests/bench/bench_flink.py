"""The person lane on Flink against the embedded engine, in one run: `make bench-flink`.

Prints a table and writes build/bench-flink.json. Costs are CPU seconds of all that Flink needs, JVMs and Python, from
/proc; people sign up first, only what follows is measured. Flink is the compatibility lane, parallelism 1, checkpoints
every 3 s. QUICK=1 uses a tenth of the events, to see that everything works. The load of the machine is noted: latencies
mean something on a quiet one only.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT), str(HERE.parent / "support"), str(HERE)]

import lane  # noqa: E402
from flink_lane import Lane, workers  # noqa: E402
from shop import shop  # noqa: E402
from workload import Shoppers, entry, sign_up  # noqa: E402

from deploy.flink.cluster import STATES, Cluster  # noqa: E402
from deploy.flink.install import install  # noqa: E402
from deploy.flink.rest import wait  # noqa: E402
from schemas.codec import pack_many  # noqa: E402
from schemas.records import SECOND, Block, Entry, EventRow, Message  # noqa: E402
from transforms.stores.log import LogWriter  # noqa: E402
from transforms.topics.folder import FolderReader  # noqa: E402

SCALE = 10 if os.environ.get("QUICK") else 1
PEOPLE, EVENTS = 20_000 // SCALE, 200_000 // SCALE
RATE, EVERY = 2_000, 20
"""Events a second of the latency part; one in so many is a sign-up."""
STEP = 0.01
"""Seconds between two commits of the door."""
LONG = 600
PAUSE = threading.Event()
TICKS = os.sysconf("SC_CLK_TCK")
GOALS: dict[str, tuple[str, float]] = {
    "events_per_cpu_s": ("≥", 25_000),
    "flink_vs_embedded": ("≥", 0.5),
    "welcome_p50_ms": ("≤", 300),
    "welcome_p99_ms": ("≤", 800),
}


class Out:
    """What has left so far; reading costs this process, not those that are measured."""

    def __init__(self, folder: Path) -> None:
        self._rows, self._intents = FolderReader(folder, "rows"), FolderReader(folder, "intents")
        self.records = 0

    def count(self) -> int:
        """How many records of the journal have their line."""
        self.records += sum(isinstance(row, EventRow) for row in self._rows.read())
        return self.records

    def messages(self) -> list[Message]:
        """What came since the last call."""
        return self._intents.read()


def cpu(cluster: Cluster) -> tuple[float, float]:
    """CPU seconds that Flink's JVMs and its Python workers have used."""
    return sum(map(_spent, cluster.processes().values())), sum(map(_spent, workers(cluster)))


def _spent(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def flat_out(cluster: Cluster, job: Lane, out: Out, blocks: Sequence[Block]) -> dict[str, float]:
    """Everybody signs up; then all events are there at once."""
    seeded = sum(len(block.entries) for block in blocks if block.first < PEOPLE)
    append(job.journal, [block for block in blocks if block.first < PEOPLE])
    wait("everybody's sign-up", lambda: out.count() >= seeded, LONG)
    before, began = cpu(cluster), time.perf_counter()
    append(job.journal, [block for block in blocks if block.first >= PEOPLE])
    total = sum(len(block.entries) for block in blocks)
    wait("all events", lambda: out.count() >= total, LONG)
    jvm, python = (now - then for now, then in zip(cpu(cluster), before, strict=True))
    seconds, count = time.perf_counter() - began, total - seeded
    return {
        "events": count,
        "events_per_cpu_s": count / (jvm + python),
        "events_per_s": count / seconds,
        "jvm_us_per_event": jvm / count * 1e6,
        "python_us_per_event": python / count * 1e6,
    }


def in_flow(job: Lane, out: Out, seconds: float, since: int) -> list[float]:
    """Milliseconds from the journal's stamp of a sign-up to its welcome being readable in the topic.

    The journal's time goes on from `since` as the clock does: a jump would ring everybody's wakes of weeks meanwhile.
    """
    settle(job)
    out.messages()
    shoppers, found, number = Shoppers(PEOPLE, seed=2), list[float](), 0
    began = time.time()
    past = int(began * SECOND) - since
    until = began + seconds
    with closing(LogWriter(job.journal, sync=False)) as log:
        while (now := time.time()) < until + 3:
            due = min(int((now - began) * RATE), int(seconds * RATE)) - number
            if due > 0:
                stamp = max(log.stamp + 1, int(now * SECOND) - past)
                entries = [_entry(shoppers, number + index, stamp) for index in range(due)]
                _commit(log, stamp, entries)
                number += due
            elif now > until:
                _commit(log, max(log.stamp + 1, int(now * SECOND) - past), [])
            found += [_waited(message, past) for message in out.messages() if message.campaign == "welcome"]
            PAUSE.wait(STEP)
    return sorted(found)


def _waited(message: Message, past: int) -> float:
    return (time.time() * SECOND - past - message.caused_at) / 1000


def _entry(shoppers: Shoppers, number: int, stamp: int) -> Entry:
    if number % EVERY == 0:
        return entry(sign_up(10_000_000 + 3 * number + 1, stamp), "shop")
    return entry(next(shoppers.bodies(1, stamp)), "shop")


def settle(job: Lane) -> None:
    """Wait until nothing more comes."""
    size = -1
    while size != (size := job.written()):
        PAUSE.wait(3)


def append(folder: Path, blocks: Sequence[Block]) -> None:
    """Journal blocks at once."""
    with closing(LogWriter(folder, sync=False)) as log:
        for block in blocks:
            _commit(log, block.received_at, block.entries)


def _commit(log: LogWriter, stamp: int, entries: Sequence[Entry]) -> None:
    log.append(stamp, {"records": (pack_many(entries), len(entries))} if entries else {})
    log.commit()


def on_flink(folder: Path, state: str) -> dict[str, Any]:
    """All figures of Flink with its state on heap or RocksDB."""
    cluster = Cluster(folder / "cluster", say)
    job = Lane(cluster, folder, shop(), order="arrival")
    try:
        cluster.up(install(say), state)
        job.start(lanes=("person",))
        out = Out(job.out)
        blocks = list(lane.blocks(PEOPLE, EVENTS))
        flat = flat_out(cluster, job, out, blocks)
        waits = in_flow(job, out, 30 / SCALE**0.5, blocks[-1].received_at)
        memory = {name: resident(pid) for name, pid in cluster.processes().items()}
        memory["python"] = sum(map(resident, workers(cluster)))
        return flat | {
            "welcomes": len(waits),
            "welcome_p50_ms": median(waits),
            "welcome_p99_ms": waits[int(len(waits) * 0.99)],
            "megabytes": memory,
        }
    finally:
        cluster.down()


def resident(pid: int) -> float:
    """Megabytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def on_embedded(folder: Path) -> dict[str, Any]:
    """The same journal on the embedded engine, in a process of its own."""
    folder.mkdir(parents=True)
    lane.write_journal(folder, PEOPLE, EVENTS)
    command = [sys.executable, str(HERE / "lane.py"), "embedded", str(folder), str(PEOPLE), str(EVENTS)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    found: dict[str, Any] = json.loads(answer.stdout.strip().splitlines()[-1])
    return found


def measure(folder: Path) -> dict[str, Any]:
    """All figures by name."""
    say("the embedded engine …")
    embedded = on_embedded(folder / "embedded")
    flink = {state: on_flink(folder / state, state) for state in STATES}
    heap = flink["heap"]
    return {
        "events_per_cpu_s": heap["events_per_cpu_s"],
        "flink_vs_embedded": heap["events_per_cpu_s"] / embedded["events_per_cpu_s"],
        "welcome_p50_ms": heap["welcome_p50_ms"],
        "welcome_p99_ms": heap["welcome_p99_ms"],
        "details": {"embedded": embedded, **flink, "load": os.getloadavg(), "cores": os.cpu_count()},
    }


def table(figures: dict[str, Any]) -> str:
    """The figures beside their goals."""
    lines = [f"{'figure':28} {'measured':>12}   goal"]
    for name, (sign, goal) in GOALS.items():
        value = figures[name]
        met = value >= goal if sign == "≥" else value <= goal
        lines.append(f"{name:28} {value:12,.2f}   {sign} {goal:g}{'' if met else '   not met'}")
    details = figures["details"]
    lines.append(f"{'on RocksDB, events_per_cpu_s':28} {details['rocksdb']['events_per_cpu_s']:12,.0f}")
    lines.append(f"{'load of the machine':28} {details['load'][0]:12,.1f}   on {details['cores']} cores")
    return "\n".join(lines)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the cluster is stopped
    with tempfile.TemporaryDirectory(prefix="rapport-bench-flink-") as scratch:
        figures = measure(Path(scratch))
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "bench-flink.json").write_text(json.dumps(figures, indent=2))
    print(table(figures))


if __name__ == "__main__":
    main()
