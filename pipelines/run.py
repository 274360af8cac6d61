"""The job on one machine: one lane of the graph on the embedded engine, until it is told to stop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions

from models.registry import Models
from pipelines.bounds import require
from pipelines.brokers import relaying, source_of
from pipelines.census import MENTION
from pipelines.config import Config
from pipelines.local import poison
from pipelines.local.poison import Placed
from pipelines.local.runner import EmbeddedRunner, Hooks, Limits, freeze
from pipelines.retention import Retention
from pipelines.shared import check_secret
from pipelines.stream import Job, build
from pipelines.workspace import load
from schemas.keys import derived_id
from schemas.records import EventRow, MentionRow, Row
from transforms.stores.journal import DERIVED
from transforms.stores.log import LogReader
from transforms.stores.rows import RowStore
from transforms.stores.segments import segment_starts

POSTS = 64
"""Posts a bundle in the listen lane: a model takes long over each, and what is said should come back soon."""


def job_of(config: Config) -> Job:
    """The job as the configuration and the workspace describe it."""
    return Job(load(config.workspace).tenants, config.secret(), Models(), config.shards, config.state)


def run(config: Config, lane: str, stop: Callable[[], bool]) -> None:
    """Run `lane` (person or listen) on the data folder until `stop` says so; everything read is committed by then.

    Raises LogBusy if the lane runs already, LogCorrupt, StoreMismatch for state of another graph, WorkspaceError, and
    ConfigError if doors and senders of the same Redis hash identifiers with another key.
    """
    check_secret(config)
    require(config)
    stores: list[RowStore] = []

    def open_store(graph: str) -> RowStore:
        stores.append(RowStore(config.folder(lane), graph=graph, sync=config.sync))
        return stores[0]

    limits = Limits(bundle=config.bundle if lane == "person" else POSTS, idle=config.idle)
    hooks = Hooks(
        status=config.folder("status") / f"{lane}.json",
        head=Head(config.folder("journal")).stamp,
        keep_from=Retention(config, lane).keep_from,
        refuse=refuse,
    )
    pipeline = Pipeline(options=PipelineOptions([]))
    build(pipeline, source_of(config, lane), job_of(config), (lane,))
    engine = EmbeddedRunner(open_store, limits, hooks).open(pipeline)
    freeze()
    try:
        with relaying(config, lane):
            engine.run(stop)
    finally:
        engine.close()
        stores[0].close()


class Head:
    """How far the journal has come."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log: LogReader | None = None

    def stamp(self) -> int:
        """The time of the journal's newest frame, 0 before there is one."""
        if self._log is None:
            starts = segment_starts(self._folder)
            if not starts:
                return 0
            self._log = LogReader(self._folder, starts[-1], ())
        while self._log.address < self._log.end:
            self._log.read()
        return self._log.stamp


def refuse(placed: Placed, error: Exception) -> list[Row]:
    """What is recorded of a record that makes every bundle fail: the failure, and its line in the ledger."""
    found = poison.refuse(placed, error)
    entry = placed.entry
    name = derived_id("event", placed.partition, placed.sequence, "poison")
    place = placed.received_at, placed.received_at, placed.partition, placed.sequence
    if entry.kind == MENTION:
        return [*found, MentionRow(name, entry.tenant, "", "", "", "", "", "", *place, "", False, "failed", "poison")]
    derived = entry.kind == DERIVED
    row = EventRow(
        name, entry.tenant, entry.kind, *place, 0, derived, entry.trust, entry.source, "", "failed", "poison"
    )
    return [*found, row]
