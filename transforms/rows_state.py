"""State as rows: a stateful DoFn over keyed rows that the embedded engine keeps. Other runners refuse it by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Protocol

from apache_beam import DoFn
from apache_beam.coders import BytesCoder
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import StateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Timestamp

from transforms.attempt import Cabinet, ring, run
from transforms.batches import Batch, emit
from transforms.logic.shard import Stage


class UnsupportedState(NotImplementedError):
    """A runner was asked for state that only the embedded engine has."""


class RowsSpec(StateSpec):
    """State that is a `RowsOfShard`: a shard inside the bundle's transaction."""

    def __init__(self, name: str) -> None:
        super().__init__(name, BytesCoder())

    def to_runner_api(self, context: Any) -> NoReturn:  # noqa: ARG002 (Beam's signature)
        raise UnsupportedState(
            "state as rows: expected the embedded engine (pipelines/local), got another runner; set state to cells"
        )


class RowsOfShard(Cabinet, Protocol):
    """What the embedded engine gives for a `RowsSpec`."""

    reached: int
    """Up to when wakes may ring now: the watermark while timers fire, else long ago."""


class RowsDoFn(DoFn):
    """Runs a stage on a shard of rows. One event-time timer a shard drives its wakes, exact to the microsecond.

    When it fires, everything up to the watermark rings at once, so a bundle costs one call a shard.
    """

    ROWS = DoFn.StateParam(RowsSpec("rows"))
    WAKE = TimerSpec("wake", TimeDomain.WATERMARK)
    TIMER = DoFn.TimerParam(WAKE)

    def __init__(self, factory: Callable[[], Stage[Any]]) -> None:
        self.factory = factory

    def setup(self) -> None:
        self._stage = self.factory()

    def process(self, element: tuple[int, Batch[Any]], rows: Any = ROWS, timer: Any = TIMER) -> Iterator[TaggedOutput]:
        outputs = run(self._stage, rows, element[1].items)
        _arm(timer, rows)
        return emit(outputs)

    @on_timer(WAKE)
    def wake(self, time: Any = DoFn.TimestampParam, rows: Any = ROWS, timer: Any = TIMER) -> Iterator[TaggedOutput]:
        outputs = ring(self._stage, rows, max(time.micros, rows.reached))
        _arm(timer, rows)
        return emit(outputs)


def _arm(timer: Any, rows: RowsOfShard) -> None:
    soonest = rows.next_wake()
    if soonest is not None:
        timer.set(Timestamp(micros=soonest))
