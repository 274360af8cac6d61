"""The running steps: each takes all its elements of a bundle, then time moves on, and only then follows the next step.

Elements pass by reference; nothing is encoded between steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from operator import attrgetter
from time import perf_counter_ns
from typing import Any, Protocol

from pipelines.local.beam_internals import GLOBAL, Coder, ParDo, Receiver, WindowedValue, element, open_dofn
from pipelines.local.plan import Plan, Step
from pipelines.local.state import Keeper
from transforms.batches import Batch, Pull
from transforms.stores.transaction import LONG_AGO, Transaction

Groups = dict[bytes, list[WindowedValue]]
"""The elements of one bundle for each encoded key, in the order in which they came."""


class Schedule(Protocol):
    """How a bundle goes its way: tests bring hostile ones (see `hostile.py`)."""

    def arrange(self, step: str, groups: Groups, behind: bool) -> Iterable[WindowedValue]:
        """The elements of the keyed step with this label, grouped by key, as they shall be processed.

        `behind` says that they come from another keyed step, so that a batch may not be in order.
        """

    def discards(self, topics: Mapping[str, list[Any]]) -> bool:
        """Whether an attempt, that would hand over these records, is thrown away and made again."""


class InOrder:
    """Keys in order; the elements of one key merged into one, in their total order, where they can be merged."""

    def arrange(self, step: str, groups: Groups, behind: bool) -> Iterable[WindowedValue]:  # noqa: ARG002 (all alike)
        return [value for _, values in sorted(groups.items()) for value in merged(values, behind)]

    def discards(self, topics: Mapping[str, list[Any]]) -> bool:  # noqa: ARG002 (it never does)
        return False


IN_ORDER = InOrder()


def merged(values: list[WindowedValue], behind: bool = False) -> list[WindowedValue]:
    """The elements of one key as one batch in its total order, if they are batches."""
    key, batch = values[0].value
    if not isinstance(batch, Batch):
        return values
    if len(values) > 1:
        together = type(batch).merge([value.value[1] for value in values])
    elif behind and any(one > other for one, other in pairwise(map(_ORDER, batch.items))):
        together = type(batch)(sorted(batch.items, key=_ORDER))
    else:
        return values
    return [element((key, together), min(value.timestamp_micros for value in values))]


_ORDER = attrgetter("order")


class Fan(Receiver):
    """Puts an output's elements into the inboxes of the steps that it feeds."""

    def __init__(self, inboxes: list[list[WindowedValue]]) -> None:
        self._takers = [inbox.append for inbox in inboxes]

    def receive(self, windowed_value: WindowedValue) -> None:
        for take in self._takers:
            take(windowed_value)


class Fans(dict[str | None, Fan]):
    """The outputs of one step by tag; one that nobody takes drops its elements."""

    def __missing__(self, tag: str | None) -> Fan:
        fan = self[tag] = Fan([])
        return fan


class Running:
    """A step with its inbox; `spent` is the time it took so far, in nanoseconds."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.inbox: list[WindowedValue] = []
        self.spent = 0

    def process(self) -> None:
        """Take all elements of the inbox."""

    def advance(self, watermark: int) -> None:
        """Let time move on to `watermark`; due timers fire until none is due."""

    def flush(self) -> None:
        """Hand what waits to the transaction."""

    def forget(self) -> None:
        """The transaction was given up."""
        self.inbox.clear()

    def committed(self) -> None:
        """The bundle is durable."""

    def close(self) -> None:
        """Free what the step holds."""


class Plain(Running):
    """A DoFn without state."""

    def __init__(self, step: Step, fans: Fans) -> None:
        super().__init__(step.label)
        self._runner = open_dofn(_pardo(step), fans, None)

    def process(self) -> None:
        if not self.inbox:
            return
        run = self._runner
        run.start()
        for value in self.inbox:
            run.process(value)
        run.finish()
        self.inbox.clear()

    def committed(self) -> None:
        self._runner.finalize()

    def close(self) -> None:
        self._runner.teardown()


class Keyed(Running):
    """A DoFn with state or timers."""

    def __init__(self, step: Step, coder: Coder, fans: Fans, site: Site) -> None:
        super().__init__(step.label)
        pardo = _pardo(step)
        self._keys = coder.key_coder().as_deterministic_coder(step.label)
        self._keeper = Keeper(site.transaction, step.label, pardo.dofn, self._keys)
        self._runner = open_dofn(pardo, fans, self._keeper)
        self._schedule, self._behind = site.schedule, step.behind

    def process(self) -> None:
        if not self.inbox:
            return
        self._keeper.reach(LONG_AGO)
        run = self._runner
        run.start()
        for value in self._schedule.arrange(self.label, self._grouped(), self._behind):
            run.process(value)
        run.finish()
        self.inbox.clear()

    def advance(self, watermark: int) -> None:
        started = False
        for spec, key, time, tag in self._keeper.fire(watermark):
            if not started:
                self._runner.start()
                started = True
            self._keeper.reach(watermark)
            self._runner.process_user_timer(spec, key, GLOBAL, time, None, tag)
        if started:
            self._runner.finish()

    def flush(self) -> None:
        self._keeper.flush()

    def forget(self) -> None:
        super().forget()
        self._keeper.forget()

    def committed(self) -> None:
        self._runner.finalize()

    def close(self) -> None:
        self._runner.teardown()

    def _grouped(self) -> Groups:
        encode, groups = self._keys.encode, Groups()
        for value in self.inbox:
            groups.setdefault(encode(value.value[0]), []).append(value)
        return groups


class Leaving(Running):
    """A hand-over: items go into the frame's topic."""

    def __init__(self, step: Step, site: Site) -> None:
        super().__init__(step.label)
        self._topic, self._transaction = step.topic, site.transaction

    def process(self) -> None:
        for value in self.inbox:
            self._transaction.append(self._topic, value.value.items)
        self.inbox.clear()


class Site:
    """What all steps share: the one transaction, and the schedule of keyed steps."""

    def __init__(self, transaction: Transaction, schedule: Schedule) -> None:
        self.transaction = transaction
        self.schedule = schedule


class Network:
    """The whole graph, running."""

    def __init__(self, plan: Plan, site: Site) -> None:
        inboxes: list[list[WindowedValue]] = [[] for _ in plan.steps]
        self.steps = [_open(step, inboxes, site) for step in plan.steps]
        for step, inbox in zip(self.steps, inboxes, strict=True):
            step.inbox = inbox
        self._source = Fan([inboxes[number] for number in plan.first])

    def run(self, pull: Pull | None, watermark: int) -> None:
        """One bundle: step by step, first the elements, then the time up to `watermark`."""
        if pull is not None:
            self._source.receive(element(pull, pull.items[0].received_at))
        for step in self.steps:
            began = perf_counter_ns()
            step.process()
            step.advance(watermark)
            step.spent += perf_counter_ns() - began
        for step in self.steps:
            step.flush()

    def forget(self) -> None:
        """A bundle was given up."""
        for step in self.steps:
            step.forget()

    def committed(self) -> None:
        """A bundle is durable."""
        for step in self.steps:
            step.committed()

    def close(self) -> None:
        for step in self.steps:
            step.close()


def _open(step: Step, inboxes: list[list[WindowedValue]], site: Site) -> Running:
    fans = Fans({tag: Fan([inboxes[number] for number in takers]) for tag, takers in step.feeds.items()})
    fans[None]  # Beam's invoker asks for the main output at once
    if step.topic:
        return Leaving(step, site)
    return Plain(step, fans) if step.coder is None else Keyed(step, step.coder, fans, site)


def _pardo(step: Step) -> ParDo:
    assert step.transform is not None
    return step.transform
