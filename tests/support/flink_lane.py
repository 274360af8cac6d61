"""The real job on a real Flink of this machine: a journal that grows while it is read, faults, and what came out."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from msgspec.structs import replace as changed
from shop import SECRET
from told import Told, live, when

from deploy.flink.cluster import Cluster
from deploy.flink.install import Missing, install
from deploy.flink.rest import wait
from models.registry import Models
from pipelines.flink import Flink, submit
from pipelines.local.runner import EmbeddedRunner, Limits
from pipelines.stream import LANES, Job, build
from schemas.codec import pack, pack_many
from schemas.records import SECOND, Block, Classification, Derived, Said
from schemas.workspace import Tenant
from transforms.sources.journal import JournalSource
from transforms.sources.source import Source
from transforms.stores.log import LogWriter
from transforms.stores.memory import MemoryRows
from transforms.topics.folder import KINDS, FolderTopics, read

PATIENCE = 120
"""Seconds until what must come has come: the machine may have others to serve."""


@contextmanager
def flink(folder: Path, state: str = "heap") -> Iterator[Cluster]:
    """A cluster of its own in a folder, stopped at the end whatever happens. Skips where nothing can be fetched."""
    try:
        installed = install(print)
    except Missing as error:
        pytest.skip(f"Flink's compatibility lane: {error}")
    cluster = Cluster(folder, print)
    try:
        cluster.up(installed, state)
        yield cluster
    finally:
        cluster.down()


@dataclass
class World:
    """A complete journal, feedback and receipts included, and what the embedded engine makes of it."""

    tenant: Tenant
    blocks: Sequence[Block]
    expected: Told

    @property
    def until(self) -> int:
        """The last moment of the journal."""
        return self.blocks[-1].received_at

    @property
    def fed(self) -> list[Block]:
        """The journal and a tick behind it: exact order waits until time has passed what it decides."""
        return [*self.blocks, Block(self.until + SECOND, 0, 0, [])]

    @classmethod
    def of(cls, tenant: Tenant, blocks: Sequence[Block], folder: Path) -> World:
        """Play door and sender once, keep the journal, and read it with both lanes on the embedded engine."""
        journal, _ = live(tenant, blocks)
        write(folder / "complete", journal)
        return cls(tenant, journal, replayed(tenant, JournalSource(folder / "complete", end=True)))


def replayed(tenant: Tenant, source: Source, secret: bytes = SECRET) -> Told:
    """What both lanes make of a complete journal on the embedded engine."""
    topics: dict[str, list[Any]] = {}
    for lane in LANES:  # each is an engine of its own
        store = MemoryRows()
        pipeline = Pipeline(options=PipelineOptions([]))
        build(pipeline, source, Job({tenant.name: tenant}, secret, Models()), (lane,))
        engine = EmbeddedRunner(store, Limits(bundle=100, idle=0.0)).open(pipeline)
        engine.run_until_done()
        engine.close()
        for topic, records in store.topics.items():
            topics.setdefault(topic, []).extend(records)
    return Told(topics)


class Lane:
    """The job on a cluster, reading a journal in `folder`, its records leaving to files beside it."""

    def __init__(self, cluster: Cluster, folder: Path, tenant: Tenant, **changes: Any) -> None:
        """`changes` are to the job: its order, shards, grain or secret."""
        self.cluster, self.tenant = cluster, tenant
        self.journal = folder / "journal"
        self.out = folder / "topics"
        chosen = {"secret": SECRET, "shards": 4, "order": "exact", "topics": FolderTopics(self.out), **changes}
        self._job = Job({tenant.name: tenant}, models=Models(), state="cells", **chosen)

    def start(
        self,
        parallelism: int = 1,
        savepoint: str = "",
        *,
        end: bool = False,
        lanes: tuple[str, ...] = LANES,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Submit the job, from a savepoint if one is given; its workers' environment has `settings` beside ours."""
        flink = Flink(self.cluster.job_server, parallelism, savepoint=savepoint, end=end, settings=settings or {})
        submit(JournalSource(self.journal, end=end), self._job, flink, lanes)

    def stop(self) -> str:
        """Stop the job with a savepoint; its place."""
        return self.cluster.rest.stop(self.cluster.rest.only_job(), self.cluster.savepoints)

    def cancel(self) -> None:
        """End whatever runs in the cluster, so that another test can have it."""
        for job in self.cluster.rest.jobs():
            self.cluster.rest.cancel(job)
        wait("the job's end", lambda: not self.cluster.rest.jobs(), PATIENCE)

    def finished(self) -> None:
        """Wait until the job is done by itself."""
        wait("the job to finish", lambda: not self.cluster.rest.jobs(), PATIENCE)

    def told(self) -> Told:
        """All that has left so far, repeats included."""
        return Told({topic: read(self.out, topic) for topic in KINDS})

    def written(self) -> int:
        """How many bytes have left so far."""
        return sum(file.stat().st_size for file in self.out.glob("*/*"))

    def wait_for(self, world: World) -> None:
        """Until everything that the embedded engine handed over has come out, at least once."""
        expected = set(plain(world.expected, world.until))
        wait("all that must come out", lambda: not expected - set(plain(self.told(), world.until)), PATIENCE)

    def until_checkpoint(self) -> None:
        """Until one more checkpoint is complete."""
        job, rest = self.cluster.rest.only_job(), self.cluster.rest
        before = rest.checkpoints(job)["counts"]["completed"]
        wait("a checkpoint", lambda: rest.checkpoints(job)["counts"]["completed"] > before, PATIENCE)

    def until_more_comes(self) -> float:
        """Seconds until something new has left."""
        before, began = self.written(), time.monotonic()
        wait("something new", lambda: self.written() > before, PATIENCE)
        return time.monotonic() - began


def plain(told: Told, until: int) -> Counter[tuple[str, bytes]]:
    """Everything handed over up to a time, without the scores: models promise equal labels only."""
    return Counter(
        (topic, pack(_scoreless(record)))
        for topic, records in told.topics.items()
        for record in records
        if when(record) <= until
    )


def _scoreless(record: Any) -> Any:
    if isinstance(record, Classification):
        return changed(record, score=0.0, language_score=0.0)
    if isinstance(record, Derived) and isinstance(record.fact, Said):
        return changed(record, fact=changed(record.fact, score=0.0))
    return record


def expect_equal(lane: Lane, world: World) -> int:
    """Exactly what the embedded engine hands over; gives how many records left more than once."""
    found, expected = plain(lane.told(), world.until), plain(world.expected, world.until)
    assert {topic for topic, _ in expected} >= {"intents", "rows"}
    assert not set(expected) - set(found), "missing"
    assert not set(found) - set(expected), "not what the embedded engine says"
    keys = {message.key for message in lane.told().messages if message.decided_at <= world.until}
    assert len(keys) == len({record for topic, record in found if topic == "intents"}), "one key, other bytes"
    return (found - expected).total()


def write(folder: Path, blocks: Sequence[Block], pause: float = 0.0) -> None:
    """Journal blocks, each as one commit; a block without records is a tick."""
    with closing(LogWriter(folder, sync=False)) as log:
        for block in blocks:
            log.append(
                block.received_at, {"records": (pack_many(block.entries), len(block.entries))} if block.entries else {}
            )
            log.commit()
            if pause:
                threading.Event().wait(pause)


class Growing(threading.Thread):
    """Journals blocks at a pace, beside whatever a test does."""

    def __init__(self, folder: Path, blocks: Sequence[Block], seconds: float) -> None:
        super().__init__(daemon=True)
        self._given = folder, blocks, seconds / len(blocks)

    def run(self) -> None:
        write(*self._given)


def workers(cluster: Cluster) -> list[int]:
    """The Python workers of the cluster's TaskManagers."""
    parents = {pid for name, pid in cluster.processes().items() if name.startswith("taskmanager")}
    return [pid for pid in _all_processes() if _parent(pid) in parents and b"sdk_worker_main" in _command(pid)]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _all_processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
