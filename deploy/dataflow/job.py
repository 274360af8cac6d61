"""The job on Dataflow: the very graph of `pipelines/stream.py`, read from Pub/Sub by the service, state as cells.

Not run by us, for want of an account: `tests/test_dataflow_graph.py` builds the graph for Dataflow's runner and looks
at what would be handed in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.config import ConfigError
from pipelines.stream import LANES, Job, build
from transforms.sources.pubsub import PubSubSource

_STAGING = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9](/.+)?")


@dataclass(frozen=True, slots=True)
class Dataflow:
    """Where the job runs and on what. `staging` is a folder of a bucket (gs://…). `image` holds Beam, our packages and
    everything they need (Dockerfile). `account` is the service account of the workers. With `update` a running job of
    the same name is replaced and its state kept.
    """

    project: str
    region: str
    staging: str
    image: str
    name: str = "rapport"
    machine: str = "n2-highmem-2"
    workers: int = 1
    most: int = 8
    account: str = ""
    update: bool = False

    def __post_init__(self) -> None:
        if not _STAGING.fullmatch(self.staging):
            raise ConfigError(f"staging: expected a folder of a bucket, gs://BUCKET/FOLDER, got {self.staging!r}")
        if not 1 <= self.workers <= self.most:
            raise ConfigError(f"workers: expected 1 to {self.most} (the most), got {self.workers}")


def flags(dataflow: Dataflow) -> list[str]:
    """All options that the job needs, and why where it is not plain."""
    staging = dataflow.staging.rstrip("/")
    return [
        "--runner=DataflowRunner",
        f"--project={dataflow.project}",
        f"--region={dataflow.region}",
        f"--job_name={dataflow.name}",
        f"--staging_location={staging}/staging",
        f"--temp_location={staging}/temp",
        "--streaming",
        "--enable_streaming_engine",  # state and timers live in the service, so workers come and go cheaply
        "--experiments=use_runner_v2",  # the only one that runs our coders, cells and timers
        f"--sdk_container_image={dataflow.image}",
        "--sdk_location=container",  # the image has Beam and us: nothing is staged or installed when a worker starts
        f"--machine_type={dataflow.machine}",  # shards stay in memory, so memory before cores
        f"--num_workers={dataflow.workers}",
        f"--max_num_workers={dataflow.most}",
        "--no_use_public_ips",
        *([f"--service_account_email={dataflow.account}"] if dataflow.account else []),
        *(["--update"] if dataflow.update else []),
    ]


def pipeline_of(source: PubSubSource, job: Job, dataflow: Dataflow, lanes: tuple[str, ...] = LANES) -> Pipeline:
    """The whole graph, ready to be handed in. Raises ConfigError for state that Dataflow cannot keep."""
    if job.state != "cells":
        raise ConfigError(f"state: expected cells on Dataflow, got {job.state!r}")
    if job.topics is None:
        raise ConfigError("topics: expected topics for what leaves the job on Dataflow, got none")
    pipeline = Pipeline(options=PipelineOptions(flags(dataflow)))
    build(pipeline, source, job, lanes)
    return pipeline


def submit(source: PubSubSource, job: Job, dataflow: Dataflow) -> str:
    """Hand the job in; gives its id. It runs on without us. Raises ConfigError without Beam's client for Dataflow."""
    if find_spec("apitools") is None:
        raise ConfigError(
            "expected Beam's client for Dataflow, which is not installed: pip install 'rapport[dataflow]'"
        )
    return str(pipeline_of(source, job, dataflow).run().job_id())
