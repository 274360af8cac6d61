"""The plan: what the engine will run, read off a Beam pipeline. Whatever it cannot run is refused here, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from pipelines.local.beam_internals import (
    AppliedPTransform,
    BagStateSpec,
    Coder,
    CombiningValueStateSpec,
    Flatten,
    GlobalWindows,
    ParDo,
    PCollection,
    Pipeline,
    PipelineVisitor,
    ReadModifyWriteStateSpec,
    SetStateSpec,
    TimeDomain,
    WindowInto,
    get_dofn_specs,
    is_splittable,
    kv_coder_of,
)
from schemas.codec import VERSION
from transforms.hand_over import HandOver
from transforms.rows_state import RowsDoFn, RowsSpec
from transforms.shards import SplitDoFn
from transforms.sources.firehose import Firehose
from transforms.sources.source import Source

STATES = (RowsSpec, ReadModifyWriteStateSpec, BagStateSpec, SetStateSpec, CombiningValueStateSpec)


class UnsupportedGraph(NotImplementedError):
    """The pipeline uses something that the embedded engine does not run; all of it is named."""


@dataclass
class Step:
    """One node of the plan. `feeds` says for each output tag which steps (by number) take its elements.

    A step with `coder` is keyed: it keeps state or timers. A step with `topic` hands over. `behind` means that another
    keyed step stands before it, whose wakes put records out of their order.
    """

    label: str
    transform: ParDo | None = None
    coder: Coder | None = None
    topic: str = ""
    behind: bool = False
    feeds: dict[str | None, list[int]] = field(default_factory=dict)


@dataclass
class Plan:
    """Steps in topological order; elements of `source` go to the steps in `first`."""

    source: Source
    first: list[int]
    steps: list[Step]

    def stamp(self) -> str:
        """What the state depends on: labels, coders and state of keyed steps, shard counts, the version of records.

        A store written under another stamp cannot be read by this graph.
        """
        lines = [f"records {VERSION.hex()}", *(line for step in self.steps for line in _identity(step))]
        return blake2b("\n".join(lines).encode(), digest_size=12).hexdigest()


def plan_of(pipeline: Pipeline) -> Plan:
    """The plan of a pipeline. Raises UnsupportedGraph."""
    walk = _Walk()
    pipeline.visit(walk)
    walk.refused += _shared_stages(walk.steps)
    if walk.refused:
        raise UnsupportedGraph("expected a graph that the embedded engine runs, got " + "; ".join(walk.refused))
    if walk.source is None:
        raise UnsupportedGraph("expected one Firehose to read from, got none")
    return Plan(walk.source, walk.first, walk.steps)


def _identity(step: Step) -> Iterator[str]:
    if step.transform is None:
        return
    dofn = step.transform.dofn
    if isinstance(dofn, SplitDoFn):
        yield f"{step.label}: {dofn.factory().name} in {dofn.shards} shards"
    if step.coder is not None:
        states, timers = get_dofn_specs(dofn)
        names = sorted([*(f"{type(spec).__name__} {spec.name}" for spec in states), *(timer.name for timer in timers)])
        yield f"{step.label}: {step.coder!r} {' '.join(names)}"


def _shared_stages(steps: list[Step]) -> Iterator[str]:
    """Stages of one name would write into each other's rows."""
    names = Counter(name for step in steps if (name := _name_of_rows(step)))
    for name, count in names.items():
        if count > 1:
            yield f"{count} keyed stages that are called {name}"


def _name_of_rows(step: Step) -> str:
    """The name of the stage that keeps rows in this step, empty if there is none."""
    dofn = step.transform.dofn if step.transform is not None else None
    return str(dofn.factory().name) if isinstance(dofn, RowsDoFn) else ""


Feed = tuple[Step | None, str | None]
"""Where elements come from: a step (None: the source) and the tag of its output."""


class _Walk(PipelineVisitor):
    """Collects steps; composites that the engine runs natively are taken whole."""

    def __init__(self) -> None:
        self.source: Source | None = None
        self.first: list[int] = []
        self.steps: list[Step] = []
        self.refused: list[str] = []
        self._inside: AppliedPTransform | None = None
        self._feeds: dict[PCollection, list[Feed]] = {}

    def enter_composite_transform(self, node: AppliedPTransform) -> None:
        if self._inside is None and isinstance(node.transform, (Firehose, HandOver)):
            self._inside = node
            self._take(node)

    def leave_composite_transform(self, node: AppliedPTransform) -> None:
        if node is self._inside:
            self._inside = None

    def visit_transform(self, node: AppliedPTransform) -> None:
        if self._inside is None:
            self._take(node)

    def _take(self, node: AppliedPTransform) -> None:
        reasons = list(_refusals(node))
        self.refused += [f"{reason} ({node.full_label})" for reason in reasons]
        if reasons:
            return
        transform = node.transform
        if isinstance(transform, Firehose):
            self._open_source(node, transform)
        elif isinstance(transform, Flatten):
            feeds = [feed for values in node.inputs for feed in self._feeds.get(values, [])]
            self._offer(node, feeds)
        elif isinstance(transform, HandOver):
            self._add(node, Step(node.full_label, topic=transform.topic))
        else:
            self._add(node, Step(node.full_label, transform, _coder(node)))

    def _open_source(self, node: AppliedPTransform, firehose: Firehose) -> None:
        if self.source is not None:
            self.refused.append(f"a second Firehose ({node.full_label})")
        self.source = firehose.source
        self._offer(node, [(None, None)])

    def _add(self, node: AppliedPTransform, step: Step) -> None:
        number = len(self.steps)
        self.steps.append(step)
        for values in node.inputs:
            for producer, tag in self._feeds.get(values, []):
                if producer is None:
                    self.first.append(number)
                else:
                    producer.feeds.setdefault(tag, []).append(number)
                    step.behind |= producer.behind or producer.coder is not None
        for tag, values in node.outputs.items():
            self._feeds[values] = [(step, None if tag == "None" else tag)]

    def _offer(self, node: AppliedPTransform, feeds: list[Feed]) -> None:
        for values in node.outputs.values():
            self._feeds[values] = feeds


def _coder(node: AppliedPTransform) -> Coder | None:
    """The coder of a keyed step's pairs; None for a step without state."""
    states, timers = get_dofn_specs(node.transform.dofn)
    return kv_coder_of(node.inputs[0]) if states or timers else None


def _refusals(node: AppliedPTransform) -> Iterator[str]:
    """What of this node cannot be run."""
    transform = node.transform
    if isinstance(transform, WindowInto):
        yield f"windows, {transform.windowing.windowfn}"
    elif isinstance(transform, ParDo):
        yield from _refusals_of_dofn(node)
    elif not isinstance(transform, (Firehose, HandOver, Flatten)):
        yield type(transform).__name__


def _refusals_of_dofn(node: AppliedPTransform) -> Iterator[str]:
    dofn: Any = node.transform.dofn
    states, timers = get_dofn_specs(dofn)
    if node.side_inputs:
        yield "side inputs"
    if is_splittable(dofn):
        yield f"splittable DoFn, {type(dofn).__name__}"
    if any(not isinstance(values.windowing.windowfn, GlobalWindows) for values in node.inputs):
        yield "elements in windows"
    if (states or timers) and kv_coder_of(node.inputs[0]) is None:
        yield f"state over elements that are no typed pairs, {node.inputs[0].element_type}"
    for spec in states:
        if not isinstance(spec, STATES):
            yield f"state of kind {type(spec).__name__}"
    for timer in timers:
        if timer.time_domain != TimeDomain.WATERMARK:
            yield f"processing-time timer {timer.name}"
