"""The bundle loop: read, run every step, commit all of it as one, begin again.

A bundle is a transaction {rows, wakes, what was seen, position, topics}. Whatever happens, the store stands between
two bundles; reading on from its position repeats the work and gives the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from traceback import format_tb

from pipelines.local.figures import Gauge
from pipelines.local.plan import Plan
from pipelines.local.poison import Placed, Refuse, refuse, separate
from pipelines.local.steps import IN_ORDER, Network, Schedule, Site
from transforms.batches import Pull
from transforms.sources.source import Acknowledged
from transforms.stores import faults
from transforms.stores.transaction import Store

POINTS = ("engine.before_commit", "engine.after_commit")
"""Where a crash test may kill the engine."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How bundles are cut, and real seconds to wait: `idle` when nothing comes, `retry` when the disk is full.

    `rest` is how long a moved position alone may wait for a commit.
    """

    bundle: int = 1000
    idle: float = 0.002
    retry: float = 1.0
    rest: float = 1.0
    pause: Callable[[float], None] = sleep


@dataclass(frozen=True)
class Hooks:
    """What the engine tells and asks others.

    `status` is the file of its figures; `head` gives the stamp of the journal's newest frame; `keep_from` gives for the
    store's stamp the address from which readers still need its frames (None: no news); `refuse` records poison.
    """

    status: Path | None = None
    head: Callable[[], int] | None = None
    keep_from: Callable[[int], int | None] | None = None
    refuse: Refuse = refuse
    schedule: Schedule = IN_ORDER


class Engine:
    """Runs one plan over one store. Not for several threads."""

    def __init__(self, plan: Plan, store: Store, limits: Limits, hooks: Hooks) -> None:
        self._store, self._limits, self._hooks = store, limits, hooks
        self._transaction = store.begin()
        self._network = Network(plan, Site(self._transaction, hooks.schedule))
        self._reader = plan.source.open(store.position)
        self._source = plan.source if isinstance(plan.source, Acknowledged) else None
        self._told: bytes | None = None
        self._gauge = Gauge(hooks.status, hooks.head)
        self._watermark = store.stamp
        self._kept_at = perf_counter()
        self.figures = self._gauge.figures

    def run(self, stop: Callable[[], bool]) -> None:
        """Work until `stop` says so or the source has ended; everything read is committed by then."""
        try:
            while not stop():
                if not self.turn(stop):
                    if self._reader.done():
                        break
                    self._limits.pause(self._limits.idle)
            self._rest(stop)
            self._tell()
        finally:
            self._gauge.write(self._network.steps)

    def run_until_done(self) -> None:
        """Work until the source has ended."""
        self.run(lambda: False)

    def turn(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """One bundle. False if there was nothing to do."""
        pull = self._reader.poll(self._limits.bundle)
        watermark = max(self._watermark, self._reader.watermark())
        self._bundle(pull, watermark)
        busy = pull is not None or self._changed()
        if busy or self._waited():
            self._commit(watermark, stop)
        self._count(pull, watermark)
        return busy

    def close(self) -> None:
        """Free the source and the steps; the store stays open, it is its owner's."""
        self._reader.close()
        self._network.close()

    def _bundle(self, pull: Pull | None, watermark: int) -> None:
        try:
            self._network.run(pull, watermark)
            while self._discarded():
                self._network.run(pull, watermark)
        except (OSError, MemoryError):
            self._give_up()  # the machine's fault: no record is to blame
            raise
        except Exception as error:
            self._give_up()
            if pull is None or self._attempt(pull) is None:
                raise  # not the records: a timer, or the watermark
            _log.error("a bundle failed; looking for the records that it cannot take: %s", _where(error))
            self._without_poison(pull, watermark)

    def _discarded(self) -> bool:
        """Whether a hostile schedule throws this attempt away."""
        if not self._hooks.schedule.discards(self._transaction.work.topics):
            return False
        self._give_up()
        return True

    def _without_poison(self, pull: Pull, watermark: int) -> None:
        good, poison = separate(pull, self._attempt)
        self._network.run(good, watermark)
        for placed, error in poison:
            self._refuse(placed, error)

    def _attempt(self, pull: Pull | None) -> Exception | None:
        """Run a pull, with time standing still, and keep nothing."""
        try:
            self._network.run(pull, self._watermark)
        except (OSError, MemoryError):
            raise
        except Exception as error:
            return error
        finally:
            self._give_up()
        return None

    def _refuse(self, placed: Placed, error: Exception) -> None:
        kind = type(error).__name__
        _log.error("record %d of partition %d cannot be taken: %s", placed.sequence, placed.partition, kind)
        self._transaction.append("rows", self._hooks.refuse(placed, error))
        self.figures.poison += 1

    def _give_up(self) -> None:
        self._transaction.abort()
        self._network.forget()

    def _waited(self) -> bool:
        """Whether a moved position has waited long enough for a commit of its own."""
        return perf_counter() - self._kept_at > self._limits.rest and self._reader.position() != self._store.position

    def _changed(self) -> bool:
        work = self._transaction.work
        return bool(work.rows or work.armed or work.seen or work.topics)

    def _commit(self, watermark: int, stop: Callable[[], bool]) -> None:
        """Commit; while the disk is full, say so and try again, and take nothing new in."""
        faults.here("engine.before_commit")
        position = self._reader.position()
        while True:
            began = perf_counter()
            try:
                self._transaction.commit(max(watermark, self._store.stamp), position)
                break
            except OSError as error:
                self._say(f"cannot commit, intake stands still: {error}")
                if stop():
                    raise
                self._limits.pause(self._limits.retry)
        faults.here("engine.after_commit")
        self._network.committed()
        self._kept_at = perf_counter()
        self._gauge.committed(self._kept_at - began)
        self.figures.trouble = ""

    def _rest(self, stop: Callable[[], bool]) -> None:
        """Keep a position that moved without a record."""
        if self._reader.position() != self._store.position:
            self._commit(self._watermark, stop)

    def _say(self, trouble: str) -> None:
        _log.error(trouble)
        self.figures.trouble = trouble
        self._gauge.write(self._network.steps)

    def _count(self, pull: Pull | None, watermark: int) -> None:
        self._watermark = self.figures.watermark = watermark
        if pull is not None:
            self.figures.bundles += 1
            self.figures.events += sum(len(block.entries) for block in pull.items)
        if self._gauge.due():
            self._gauge.write(self._network.steps)
            self._tell()
            self._retain()

    def _tell(self) -> None:
        """Let the source's server know what is committed; once a second is often enough."""
        position = self._store.position
        if self._source is not None and position is not None and position != self._told:
            self._source.acknowledge(position)
            self._told = position

    def _retain(self) -> None:
        keep_from = getattr(self._store, "keep_from", None)
        if self._hooks.keep_from is not None and keep_from is not None:
            address = self._hooks.keep_from(self._store.stamp)
            if address is not None:
                keep_from(address)


def _where(error: Exception) -> str:
    """The kind of an error and where it came from; its text may hold what a record says, so it stays out of the log."""
    return type(error).__name__ + "\n" + "".join(format_tb(error.__traceback__))
