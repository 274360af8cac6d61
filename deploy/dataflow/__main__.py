"""Hand the job to Dataflow: `python -m deploy.dataflow --help`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deploy.dataflow.job import Dataflow, submit
from models.registry import Models
from pipelines.config import SAMPLE, Config, ConfigError
from pipelines.stream import Job
from pipelines.workspace import load
from transforms.sources.pubsub import PubSubSource
from transforms.topics.pubsub import RECORDS, PubSubTopics


@click.command()
@click.option("--project", required=True, help="The Google Cloud project of job, topics and subscription.")
@click.option("--region", required=True, help="Where it runs, e.g. europe-west3.")
@click.option("--staging", required=True, help="A folder of a bucket in that region: gs://BUCKET/FOLDER.")
@click.option("--image", required=True, help="The worker image, made with deploy/dataflow/Dockerfile.")
@click.option("--name", default="rapport", show_default=True, help="The name of the job.")
@click.option("--topics", default="rapport", show_default=True, help="What the names of the topics begin with.")
@click.option("--subscription", default="", help="What the job reads. [default: TOPICS.records]")
@click.option("--workspace", type=click.Path(path_type=Path), default=SAMPLE, help="Campaigns, brands, channels.")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="The folder that keeps the secret key.")
@click.option("--shards", type=click.IntRange(1, 1024), default=64, show_default=True, help="Fixed for a job's state.")
@click.option("--machine", default="n2-highmem-2", show_default=True, help="The workers' machine type.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Workers to begin with.")
@click.option("--most", type=click.IntRange(1), default=8, show_default=True, help="Workers at most.")
@click.option("--account", default="", help="The workers' service account. [default: the project's]")
@click.option("--update", is_flag=True, help="Replace the running job of this name and keep its state.")
def main(topics: str, subscription: str, workspace: Path, data: Path, shards: int, **where: Any) -> None:
    """Hand the job to Dataflow; it runs on there."""
    try:
        dataflow = Dataflow(**where)
        config = Config(data, workspace, shards=shards, state="cells")
        leaving = PubSubTopics(dataflow.project, topics)
        job = Job(load(workspace).tenants, config.secret(), Models(), shards, "cells", leaving)
        found = submit(PubSubSource(dataflow.project, subscription or f"{topics}.{RECORDS}"), job, dataflow)
    except (ConfigError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"submitted: job {found}; gcloud dataflow jobs drain ends it without losing anything")


if __name__ == "__main__":
    main()
