"""Flink on this machine, for trying and for tests: `python -m deploy.flink COMMAND` (or `make flink-COMMAND`)."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from deploy.flink import smoke
from deploy.flink.cluster import STATES, Cluster, Ports
from deploy.flink.install import Missing, install
from deploy.flink.rest import Refused
from pipelines.config import SAMPLE, Config, ConfigError
from pipelines.flink import Flink, submit_data

PORTS = Ports(rest=8081, rpc=6123, jobs=8099, artifacts=8098)
_FOLDER = click.option(
    "--folder", type=click.Path(path_type=Path), default=Path("build/flink"), show_default=True, help="The cluster's."
)


def _job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What job to submit, and how wide."""
    for option in (
        click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True),
        click.option("--workspace", type=click.Path(path_type=Path), default=SAMPLE, help="[default: the sample shop]"),
        click.option("--shards", type=click.IntRange(1, 1024), default=16, show_default=True, help="Fixed for a job."),
        click.option("--parallelism", type=click.IntRange(1, 64), default=1, show_default=True),
    ):
        command = option(command)
    return _FOLDER(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Install, start, use and stop a Flink cluster of this machine (the compatibility lane)."""


@cli.command("install")
def install_() -> None:
    """Fetch Flink and Beam's job server into the cache folder (once, about a minute)."""
    found = install(click.echo)
    click.echo(f"Flink: {found.flink}\njob server: {found.job_server}")


@cli.command()
@_FOLDER
@click.option("--state", type=click.Choice(STATES), default="heap", show_default=True)
def up(folder: Path, state: str) -> None:
    """Start JobManager, TaskManager and job server, and wait until they are ready."""
    Cluster(folder, click.echo).up(install(click.echo), state, PORTS)


@cli.command()
@_FOLDER
def status(folder: Path) -> None:
    """What runs, and how its checkpoints are doing."""
    cluster = Cluster(folder)
    for name, pid in cluster.processes().items():
        click.echo(f"{name}: process {pid}")
    for job, state in cluster.rest.jobs().items():
        latest = cluster.rest.checkpoints(job)["latest"]["completed"] or {}
        size = latest.get("checkpointed_size", 0)
        click.echo(f"job {job}: {state}; last checkpoint {latest.get('id', 'none yet')}, {size:,} bytes")


@cli.command()
@_job_options
def submit(folder: Path, data: Path, workspace: Path, shards: int, parallelism: int) -> None:
    """Hand the job to the cluster: the journal in --data comes in, records leave to DATA/topics."""
    _submit(Cluster(folder), Config(data, workspace, shards=shards, state="cells"), parallelism)


@cli.command()
@_FOLDER
def savepoint(folder: Path) -> None:
    """Stop the one job that runs, with a savepoint."""
    cluster = Cluster(folder)
    place = cluster.rest.stop(cluster.rest.only_job(), cluster.savepoints)
    _last(folder).write_text(place, "utf-8")
    click.echo(f"stopped; savepoint {place}")


@cli.command()
@_job_options
@click.option("--savepoint", default="", help="Its place. [default: the last one that `savepoint` made]")
def restore(folder: Path, data: Path, workspace: Path, shards: int, parallelism: int, savepoint: str) -> None:
    """Submit the job so that it goes on from a savepoint, perhaps wider or narrower than before."""
    if not savepoint and not _last(folder).exists():
        raise ConfigError("expected a savepoint to restore, there is none; make one first (make flink-savepoint)")
    place = savepoint or _last(folder).read_text("utf-8")
    _submit(Cluster(folder), Config(data, workspace, shards=shards, state="cells"), parallelism, place)


@cli.command()
@_FOLDER
def down(folder: Path) -> None:
    """Stop what `up` started, by its process ids."""
    Cluster(folder, click.echo).down()


@cli.command()
def test() -> None:
    """Install, start, submit, check what comes out, stop and restore, stop: under five minutes, by itself."""
    smoke.run(click.echo)


def _submit(cluster: Cluster, config: Config, parallelism: int, savepoint: str = "") -> None:
    flink = Flink(cluster.job_server, parallelism, savepoint=savepoint)
    out = config.folder("topics").absolute()
    submit_data(config, flink, out)
    click.echo(f"submitted; see {cluster.rest.address}; records leave to {out}")


def _last(folder: Path) -> Path:
    return folder / "savepoint.txt"


def main() -> None:
    """What a person can mend is one sentence; who ends us with a signal leaves no cluster of a test behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (ConfigError, Missing, Refused, LookupError, OSError) as error:
        click.echo(f"flink: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
