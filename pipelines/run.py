"""The job on one machine: one lane of the graph on the embedded engine, until it is told to stop."""

from __future__ import annotations

from collections.abc import Callable

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions

from models.registry import Models
from pipelines.config import Config
from pipelines.local.runner import EmbeddedRunner, Hooks, Limits, freeze
from pipelines.retention import Retention
from pipelines.stream import Job, build
from pipelines.workspace import load
from transforms.sources.journal import JournalSource
from transforms.stores.rows import RowStore

POSTS = 64
"""Posts a bundle in the listen lane: a model takes long over each, and what is said should come back soon."""


def job_of(config: Config) -> Job:
    """The job as the configuration and the workspace describe it."""
    return Job(load(config.workspace).tenants, config.secret(), Models(), config.shards, config.state)


def run(config: Config, lane: str, stop: Callable[[], bool]) -> None:
    """Run `lane` (person or listen) on the data folder until `stop` says so; everything read is committed by then.

    Raises LogBusy if the lane runs already, StoreMismatch for state of another graph, WorkspaceError.
    """
    stores: list[RowStore] = []

    def open_store(graph: str) -> RowStore:
        stores.append(RowStore(config.folder(lane), graph=graph, sync=config.sync))
        return stores[0]

    limits = Limits(bundle=config.bundle if lane == "person" else POSTS, idle=config.idle)
    hooks = Hooks(status=config.folder("status") / f"{lane}.json", keep_from=Retention(config, lane).keep_from)
    pipeline = Pipeline(options=PipelineOptions([]))
    build(pipeline, JournalSource(config.folder("journal")), job_of(config), (lane,))
    engine = EmbeddedRunner(open_store, limits, hooks).open(pipeline)
    freeze()
    try:
        engine.run(stop)
    finally:
        engine.close()
        stores[0].close()
