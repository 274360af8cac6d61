"""The command line: one command for each process, and `run --all` for a small shop."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from pipelines.config import SAMPLE, Config
from pipelines.orphans import end_with_parent
from pipelines.quiet import expect_no_google
from schemas.records import SECOND

Command = TypeVar("Command", bound=Callable[..., Any])

_PORT = click.IntRange(0, 65_535)
_SPEED = click.FloatRange(0, 10_000_000, min_open=True)
_SHARDS = click.IntRange(1, 1024)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_NO_SYNC = click.option(
    "--no-sync", is_flag=True, help="Do not wait for the disk: safe against kill -9, not against power loss."
)
_KEEP = click.option(
    "--keep",
    type=click.IntRange(1, 36_500),
    default=7,
    show_default=True,
    help="Days that journal and logs go back at least; a replay needs all of them.",
)
_REDIS = click.option(
    "--redis",
    default="",
    metavar="URL",
    help="redis://host:port/0 that several doors and senders share. [default: all in the data folder]",
)
_PLACE = [
    click.option(
        "--data",
        type=click.Path(path_type=Path),
        default=Path("data"),
        show_default=True,
        help="Where all state lives.",
    ),
    click.option(
        "--workspace",
        type=click.Path(path_type=Path),
        default=SAMPLE,
        help="Campaigns and policy. [default: the sample shop]",
    ),
]


_BROKERS = [
    click.option("--kafka", default="", help="Kafka brokers, HOST:PORT,… [default: the journal in --data]"),
    click.option("--topics", default="rapport", show_default=True, help="What the names of topics begin with."),
]


def brokers(command: Command) -> Command:
    """The options of commands that can live on Kafka."""
    for option in reversed(_BROKERS):
        command = option(command)
    return command


def place(command: Command) -> Command:
    """The two options that every command has."""
    for option in reversed(_PLACE):
        command = option(command)
    return command


def stopper() -> Callable[[], bool]:
    """True from the first SIGINT or SIGTERM on, so that loops end cleanly."""
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    end_with_parent()
    return told.is_set


class Program(click.Group):
    """The commands, behind the one wall at which an error that a person can mend becomes a sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            from pipelines.trouble import told

            found = told(error)
            if found is None or ctx.params["debug"]:
                raise
        sentence, status = found
        click.echo(f"rapport: {sentence}", err=True)
        sys.exit(status)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, envvar="RAPPORT_DEBUG", help="Show where in the program an error arose.")
def cli(debug: bool) -> None:
    """Rapport listens to what people say and do around a brand and answers each of them within seconds."""


@cli.command()
@place
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=_PORT, default=8000, show_default=True)
@click.option(
    "--speed", type=_SPEED, help="How many times faster than real time a new journal's clock runs. [default: 1]"
)
@click.option("--start", type=click.DateTime(), help="When a new journal's clock starts (UTC). [default: now]")
@click.option("--follow", type=_FILE, multiple=True, help="JSON lines to read as they grow; may be repeated.")
@_KEEP
@_NO_SYNC
@_REDIS
@brokers
def door(
    data: Path,
    workspace: Path,
    host: str,
    port: int,
    speed: float | None,
    start: datetime | None,
    follow: tuple[Path, ...],
    keep: int,
    no_sync: bool,
    redis: str,
    **kafka: Any,
) -> None:
    """Accept records over HTTP and write the journal."""
    from pipelines.accept import Feed
    from pipelines.clock import begin_clock
    from pipelines.door import serve

    more: dict[str, Any] = {"keep": keep, "redis": redis, "sync": not no_sync, **kafka}
    config = Config(data, workspace, host=host, port=port, speed=speed or 1.0, **more)
    if start is not None or speed is not None:
        begin = None if start is None else int(start.replace(tzinfo=UTC).timestamp()) * SECOND
        begin_clock(config.clock_file, speed, begin)
    serve(config, stopper(), feeds=[Feed(file) for file in follow])


@cli.command(short_help="Read files to their end into the journal.")
@place
@click.argument("files", type=_FILE, nargs=-1, required=True)
@click.option("--columns", type=_FILE, help="For CSV: a YAML file with `fields` (column: field) and `constants`.")
@click.option("--key", default="", help="Write key to use. [default: the first server key]")
@brokers
def play(data: Path, workspace: Path, files: tuple[Path, ...], columns: Path | None, key: str, **kafka: Any) -> None:
    """Read files to their end into the journal (JSON lines, or CSV with --columns); no door may be running."""
    from pipelines.accept import Feed
    from pipelines.columns import load_columns
    from pipelines.door import play as play_files

    found = load_columns(columns) if columns else None
    count = play_files(Config(data, workspace, **kafka), [Feed(file, key, found) for file in files])
    click.echo(f"{count} records journaled")


@cli.command(short_help="Run one lane of the job, or everything (--all).")
@place
@click.option(
    "--lane", type=click.Choice(["person", "listen"]), default="person", show_default=True, help="Without --all."
)
@click.option("--all", "everything", is_flag=True, help="All processes of a small shop under one roof.")
@click.option("--port", type=_PORT, default=8000, show_default=True, help="The door's port, with --all.")
@click.option("--shards", type=_SHARDS, default=4, show_default=True, help="Virtual shards; fixed for a data folder.")
@_KEEP
@_NO_SYNC
@_REDIS
@brokers
def run(data: Path, workspace: Path, lane: str, everything: bool, no_sync: bool, **more: Any) -> None:
    """Run the job: one lane, or with --all door, lanes, sender and tables together (--redis is for these, and
    lets a lane find out whether it has the same secret.key as the doors).

    With --kafka the topics must be there: see `rapport topics`. More doors and senders may join from elsewhere.
    """
    config = Config(data, workspace, sync=not no_sync, **more)
    if everything:
        from pipelines.together import run_all

        sys.exit(run_all(config, stopper()))
    from pipelines.run import run as run_lane

    run_lane(config, lane, stopper())


@cli.command(short_help="Hand the job to a Flink cluster.")
@place
@click.option("--job-server", default="localhost:8099", show_default=True, help="Beam's job server: HOST:PORT.")
@click.option("--parallelism", type=click.IntRange(1, 1024), default=1, show_default=True, help="Python workers.")
@click.option("--shards", type=_SHARDS, default=16, show_default=True, help="Virtual shards; fixed for a job's state.")
@click.option("--checkpoint", type=click.IntRange(100), default=3_000, show_default=True, help="Milliseconds between.")
@click.option("--bundle", type=click.IntRange(1), default=20, show_default=True, help="Milliseconds a bundle may take.")
@click.option("--workers", default="", help="A worker pool beside each TaskManager: HOST:PORT. [default: none needed]")
@click.option("--savepoint", default="", help="Where to go on from: the place of a savepoint or checkpoint.")
@click.option("--out", type=click.Path(path_type=Path), help="Where records leave to, as files. [default: DATA/topics]")
@click.option(
    "--order",
    type=click.Choice(["arrival", "exact"]),
    default="arrival",
    show_default=True,
    help="Decide at once on what has arrived, or wait for what may still come and decide as one machine does.",
)
@click.option("--end", is_flag=True, help="Be done where the journal ends now.")
@brokers
def submit(
    data: Path, workspace: Path, shards: int, kafka: str, topics: str, out: Path | None, order: str, **flink: Any
) -> None:
    """Hand the job to a Flink cluster (deploy/flink/README.md); it runs on there."""
    from pipelines.flink import Flink, submit_data

    config = Config(data, workspace, shards=shards, state="cells", kafka=kafka, topics=topics)
    out = (out or data / "topics").absolute()
    submit_data(config, Flink(**flink), out, order)
    click.echo(f"submitted; records leave to {kafka or out}")


@cli.command()
@place
@_NO_SYNC
@_REDIS
@brokers
@click.option("--hold", is_flag=True, help="Wait with each message for the cluster job's checkpoint: no ghosts, later.")
def send(data: Path, workspace: Path, no_sync: bool, redis: str, **kafka: Any) -> None:
    """Deliver what the job decided."""
    from pipelines.sender import run as run_sender

    run_sender(Config(data, workspace, sync=not no_sync, redis=redis, **kafka), stopper())


@cli.command()
@place
@brokers
def record(data: Path, workspace: Path, **kafka: Any) -> None:
    """Write the analysts' tables."""
    from pipelines.tables import run as run_tables

    run_tables(Config(data, workspace, **kafka), stopper())


@cli.command()
@place
@brokers
@click.option("--partitions", type=click.IntRange(1, 1024), default=4, show_default=True, help="Fixed from then on.")
@click.option(
    "--copies", type=click.IntRange(1, 9), default=1, show_default=True, help="Brokers that keep each record."
)
@_KEEP
def topics(data: Path, workspace: Path, partitions: int, copies: int, keep: int, **kafka: Any) -> None:
    """Make the topics on Kafka that are not there yet."""
    config = Config(data, workspace, keep=keep, **kafka)
    if not config.kafka:
        raise click.UsageError("--kafka: expected where brokers answer, HOST:PORT")
    from transforms.topics.client import Making, ensure

    made = ensure(config.kafka, config.topics, Making(partitions, copies, config.keep_for // 1000))
    click.echo("\n".join(f"made {name}" for name in made) or "all topics are there")


@cli.command(short_help="Run the journal again and compare.")
@place
@click.option("--verify", is_flag=True, help="Recompute everything from the journal and compare with what left.")
@click.option("--bundle", type=click.IntRange(min=1), default=333, show_default=True, help="Records a bundle.")
@click.option(
    "--shards", type=_SHARDS, default=7, show_default=True, help="Virtual shards; the result must not depend on it."
)
def replay(data: Path, workspace: Path, verify: bool, bundle: int, shards: int) -> None:
    """Run the journal again, from its beginning, in a fresh process that only reads."""
    from pipelines.replay import replay as run_replay

    sys.exit(run_replay(Config(data, workspace, shards=shards, bundle=bundle), verify=verify))


@cli.command(short_help="Check workspace files and both ledgers.")
@place
@click.option("--only-workspace", is_flag=True, help="Check the files only, not the data.")
@_REDIS
@brokers
def check(data: Path, workspace: Path, only_workspace: bool, redis: str, **kafka: Any) -> None:
    """Check the workspace's files, and that both ledgers add up: of the data folder, of topics, of a Redis.

    On Kafka --data is the folder of the lanes and of the tables.
    """
    from pipelines.check import check as run_check

    sys.exit(run_check(Config(data, workspace, redis=redis, **kafka), only_workspace=only_workspace))


@cli.command(short_help="Make a damaged journal readable again.")
@place
def mend(data: Path, workspace: Path) -> None:
    """Make a damaged journal readable again; everything must be stopped.

    What cannot be read is set aside and told of; the journal goes on behind it, and no number is given twice.
    """
    from pipelines.mend import mend_journal

    click.echo("\n".join(mend_journal(Config(data, workspace))) or "the journal is whole, nothing was changed")


@cli.command()
@place
@click.option("--plain", is_flag=True, help="Lines of text instead of a live view.")
def console(data: Path, workspace: Path, plain: bool) -> None:
    """Watch a running installation."""
    from pipelines.console import watch

    watch(Config(data, workspace), stopper(), plain=plain)


@cli.command(short_help="A synthetic shop, checked at its end.")
@place
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    default=0.0,
    help="End by itself after so many seconds. [default: Ctrl-C ends]",
)
@click.option("--plain", is_flag=True, help="Lines of text instead of a live view.")
@click.option("--speed", type=_SPEED, default=300.0, show_default=True, help="How many times faster than real time.")
@click.option(
    "--rate",
    type=click.IntRange(1, 100_000),
    default=300,
    show_default=True,
    help="Events a second from the synthetic world.",
)
def demo(data: Path, workspace: Path, seconds: float, plain: bool, speed: float, rate: int) -> None:
    """A synthetic shop, the real job, and a live view; at the end everything is compared with what was planted."""
    from pipelines.demo.demo import demo as run_demo

    sys.exit(run_demo(Config(data, workspace, speed=speed), seconds=seconds, plain=plain, rate=rate))


def main() -> None:
    """The entry point: an error that a person can mend is one sentence, not a traceback."""
    expect_no_google()
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)


if __name__ == "__main__":
    main()
