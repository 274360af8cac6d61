"""The whole way once, on a cluster of its own: output is what counts, for a job that hangs looks RUNNING, too.

A journal grows while the job reads it. What comes out must be what had to come out, before and after a savepoint.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from deploy.flink.cluster import Cluster
from deploy.flink.install import Say, install
from deploy.flink.rest import Refused, wait
from pipelines.config import Config
from pipelines.flink import Flink, submit_data
from schemas.codec import pack_many
from schemas.records import SECOND, Entry, EventRow
from transforms.stores.log import LogWriter
from transforms.topics.folder import FolderReader

TENANT, SOURCE = "wanderlodge", "smoke"
PEOPLE = 25
"""How many sign up in each of the two parts."""
PATIENCE = 90
"""Seconds until what was journaled must have come out."""


def run(say: Say) -> None:
    """Raises Missing where the lane cannot run here, Refused if anything else comes out than must."""
    installed = install(say)
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="rapport-flink-"))
    cluster = Cluster(folder / "cluster", say)
    try:
        cluster.up(installed)
        _there_and_back(cluster, Config(folder / "data", shards=4, state="cells"), say)
    except BaseException:
        say(f"the logs are in {folder}")
        raise
    finally:
        cluster.down()
    shutil.rmtree(folder)  # only now: the ids of what must be stopped are in there
    say(f"all as it must be, in {time.monotonic() - began:.0f} s")


def _there_and_back(cluster: Cluster, config: Config, say: Say) -> None:
    """Some sign up, the job stops with a savepoint, more sign up, the job goes on twice as wide."""
    out = config.data / "topics"
    with _journal(config) as sign_up:
        sign_up(range(PEOPLE))
        submit_data(config, Flink(cluster.job_server), out)
        say(f"{PEOPLE} people signed up; waiting for what the job makes of it …")
        _expect(out, PEOPLE, say)
        job = cluster.rest.only_job()
        place = cluster.rest.stop(job, cluster.savepoints)
        say(f"stopped with savepoint {place}")
        sign_up(range(PEOPLE, 2 * PEOPLE))
        submit_data(config, Flink(cluster.job_server, parallelism=2, savepoint=place), out)
        say(f"{PEOPLE} more signed up; going on with parallelism 2 …")
        _expect(out, 2 * PEOPLE, say)


def _expect(out: Path, people: int, say: Say) -> None:
    """One message to each person, each record applied once, and no failure."""
    began = time.monotonic()
    wait(
        f"{people} messages in {out}", lambda: len(_messages(out)) >= people and len(_records(out)) >= people, PATIENCE
    )
    messages, records = _messages(out), _records(out)
    if len(messages) != people or set(records.values()) != {"applied"}:
        raise Refused(f"expected {people} messages and all records applied, got {messages} and {records}")
    say(f"{people} messages, {people} records applied ({time.monotonic() - began:.1f} s)")


def _messages(out: Path) -> dict[str, bytes]:
    """The body of each message, by its key. A key that comes twice must bring the same bytes."""
    found: dict[str, bytes] = {}
    for message in FolderReader(out, "intents").read():
        if found.setdefault(message.key, message.body) != message.body:
            raise Refused(f"expected the same bytes each time, message {message.key} came with two bodies")
    return found


def _records(out: Path) -> dict[int, str]:
    """What became of each record of the journal, by its number."""
    rows = [row for row in FolderReader(out, "rows").read() if isinstance(row, EventRow)]
    return {row.sequence: row.disposition for row in rows}


@contextmanager
def _journal(config: Config) -> Iterator[Callable[[range], None]]:
    """A journal, and how to have people sign up in it."""
    with closing(LogWriter(config.folder("journal"), sync=False)) as log:

        def sign_up(people: range) -> None:
            for number in people:
                stamp = max(log.stamp + 1, int(time.time() * SECOND))
                log.append(stamp, {"records": (pack_many([_signed_up(number)]), 1)})
                log.commit()

        yield sign_up


def _signed_up(number: int) -> Entry:
    body = (
        b'{"type":"track","event":"Signed Up","messageId":"smoke-%d","userId":"s%d","properties":'
        b'{"email":"s%d@smoke.example","marketing_opt_in":false}}' % (number, number, number)
    )
    return Entry("track", TENANT, "server", SOURCE, 0, body)
