"""The job on Flink: the very graph of `stream.py`, its state as cells, and every flag that Beam needs for it.

Beam's Python SDK hands the graph to a job server (Beam's Java runner), which hands it to Flink. Flink's workers then
start our Python processes. All options of that way stand here, with the reason for each.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.portable_runner import PortableRunner

from models.registry import Models
from pipelines.config import Config, ConfigError
from pipelines.stream import LANES, Job, build
from pipelines.workspace import load
from transforms.shards import SHARDS
from transforms.sources.journal import JournalSource
from transforms.sources.source import Source
from transforms.topics import Topics
from transforms.topics.folder import FolderTopics

ROOT = Path(__file__).parent.parent
BOOT = ROOT / "deploy" / "flink" / "boot"
PLUGIN = "pipelines.flink_worker"


@dataclass(frozen=True, slots=True)
class Flink:
    """Where the job server is and how Flink shall run the job.

    `workers` is the address of a worker pool beside each TaskManager, or empty: then each TaskManager starts our
    Python processes itself. `settings` is what their environment has beside that. Times are milliseconds. `savepoint`
    is where to go on from, `name` what Flink calls the job; with `end` the job is done where its source is.
    """

    job_server: str
    parallelism: int = 1
    checkpoint: int = 3_000
    bundle: int = 20
    workers: str = ""
    savepoint: str = ""
    name: str = "rapport"
    end: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.parallelism < 1:
            raise ConfigError(f"parallelism: expected 1 or more, got {self.parallelism}")
        if not 1 <= self.bundle <= self.checkpoint:
            raise ConfigError(f"bundle: expected 1 to {self.checkpoint} ms (the checkpoint), got {self.bundle}")


def flags(flink: Flink, shards: int = SHARDS["cells"]) -> list[str]:
    """All options that a job of so many shards needs. Those that Beam's Python calls unknown are for its Java side."""
    return [
        f"--job_name={flink.name}",
        f"--job_endpoint={flink.job_server}",
        "--streaming",
        "--job_server_timeout=120",
        *_environment(flink),
        f"--parallelism={flink.parallelism}",
        f"--sdk_worker_parallelism={flink.parallelism}",  # a worker is one process with one interpreter lock
        f"--checkpointing_interval={flink.checkpoint}",
        "--externalized_checkpoints_enabled",
        # Without the next two a job hangs without a word: no output, and green checkpoints.
        "--finish_bundle_before_checkpointing",
        f"--max_bundle_time_mills={flink.bundle}",
        # A stage hands over one batch a shard at its bundle's end; the next one is done as soon as it has these.
        f"--max_bundle_size={max(1, shards // flink.parallelism)}",
        # A state read is a round trip of 63–200 µs without this cache; `PLUGIN` keeps its bookkeeping cheap.
        "--max_cache_memory_usage_mb=100",
        f"--beam_plugin={PLUGIN}",
        # Off, whatever it looks like (the option's default is true): chained, Impulse has another id at parallelism 1
        # than at 2, so its savepoints fit nothing else. Nothing but Impulse would be chained.
        "--operator_chaining",
        # Not for a job that goes on: once its Impulse has ended, it can no longer be stopped with a savepoint.
        *(["--shutdown_sources_after_idle_ms=1000"] if flink.end else []),
        *([f"--savepoint_path={flink.savepoint}"] if flink.savepoint else []),
    ]


def _environment(flink: Flink) -> list[str]:
    """How Flink comes by our Python processes."""
    if flink.workers:
        return ["--environment_type=EXTERNAL", f"--environment_config={flink.workers}"]
    python = Path(sys.executable).parent
    env = {"PATH": f"{python}:{os.environ.get('PATH', '')}", "PYTHONPATH": str(ROOT), **flink.settings}
    return ["--environment_type=PROCESS", f"--environment_config={json.dumps({'command': str(BOOT), 'env': env})}"]


def submit(source: Source, job: Job, flink: Flink, lanes: tuple[str, ...] = LANES) -> None:
    """Hand the job to Flink; it runs on without us. Raises ConfigError if there is no job server."""
    if job.state != "cells":
        raise ConfigError(f"state: expected cells on Flink, got {job.state!r}")
    _expect(flink.job_server)
    pipeline = Pipeline(runner=PortableRunner(), options=PipelineOptions(flags(flink, job.shards)))
    build(pipeline, source, job, lanes)
    pipeline.run()


def _expect(address: str) -> None:
    """Somebody listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()):
        raise ConfigError(f"job server: expected HOST:PORT, got {address!r}")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise ConfigError(
            f"job server: expected one at {address}, nobody answers ({error}); see make flink-up"
        ) from None


def submit_data(config: Config, flink: Flink, out: Path, order: str = "arrival") -> None:
    """Both lanes over Kafka, if the configuration names brokers, else over the journal of a data folder that Flink's
    workers see, too; then records leave to topics in `out`.
    """
    source, topics = _ends(config, flink, out)
    job = Job(load(config.workspace).tenants, config.secret(), Models(), config.shards, "cells", topics, order)
    submit(source, job, flink)


def _ends(config: Config, flink: Flink, out: Path) -> tuple[Source, Topics]:
    """Where records come from and leave to."""
    if not config.kafka:
        return JournalSource(config.folder("journal").absolute(), end=flink.end), FolderTopics(out)
    from transforms.sources.kafka import KafkaSource
    from transforms.topics.client import JOB, RECORDS, topic_of
    from transforms.topics.kafka import KafkaTopics

    group = f"{config.topics}.{JOB}"
    source = KafkaSource(config.kafka, topic_of(config.topics, RECORDS), group=group, end=flink.end)
    return source, KafkaTopics(config.kafka, config.topics, config.secret())
