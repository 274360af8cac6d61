"""Every name that the engine takes from inside Beam, in this one place; Beam is pinned to one minor version for them.

Beam calls these modules internal. A test names each of them, so that a new Beam shows at once what has moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apache_beam.coders import Coder, registry
from apache_beam.pipeline import AppliedPTransform, Pipeline, PipelineVisitor
from apache_beam.pvalue import PCollection
from apache_beam.runners.common import DoFnRunner, DoFnSignature, Receiver
from apache_beam.runners.runner import PipelineResult, PipelineRunner, PipelineState
from apache_beam.transforms.core import DoFn, Flatten, ParDo, WindowInto
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    AccumulatingRuntimeState,
    BagStateSpec,
    BaseTimer,
    CombiningValueStateSpec,
    ReadModifyWriteRuntimeState,
    ReadModifyWriteStateSpec,
    SetStateSpec,
    StateSpec,
    TimerSpec,
    UserStateContext,
    get_dofn_specs,
)
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue, create

__all__ = [
    "GLOBAL",
    "AccumulatingRuntimeState",
    "AppliedPTransform",
    "BagStateSpec",
    "BaseTimer",
    "Coder",
    "CombiningValueStateSpec",
    "DoFn",
    "DoFnRunner",
    "Flatten",
    "GlobalWindows",
    "PCollection",
    "ParDo",
    "Pipeline",
    "PipelineResult",
    "PipelineRunner",
    "PipelineState",
    "PipelineVisitor",
    "ReadModifyWriteRuntimeState",
    "ReadModifyWriteStateSpec",
    "Receiver",
    "SetStateSpec",
    "StateSpec",
    "TimeDomain",
    "TimerSpec",
    "Timestamp",
    "UserStateContext",
    "WindowInto",
    "WindowedValue",
    "element",
    "get_dofn_specs",
    "is_splittable",
    "kv_coder_of",
    "open_dofn",
]

GLOBAL = GlobalWindow()
_WINDOWS = (GLOBAL,)


def element(value: Any, micros: int) -> WindowedValue:
    """A value as Beam passes it on, in the one global window."""
    return create(value, micros, _WINDOWS)


def is_splittable(dofn: DoFn) -> bool:
    """Whether a DoFn is one of Beam's splittable ones."""
    return bool(DoFnSignature(dofn).is_splittable_dofn())


def kv_coder_of(values: PCollection) -> Coder | None:
    """The coder of a PCollection's elements if they are pairs by type, else None."""
    coder = registry.get_coder(values.element_type)
    return coder if coder.is_kv_coder() else None


def open_dofn(transform: ParDo, receivers: Mapping[str | None, Receiver], state: UserStateContext | None) -> DoFnRunner:
    """Beam's own invoker for a ParDo, set up. Without a step name, errors come through as they were raised."""
    runner = DoFnRunner(
        transform.dofn,
        transform.args,
        transform.kwargs,
        [],
        _GLOBAL_WINDOWING,
        tagged_receivers=receivers,
        user_state_context=state,
    )
    runner.setup()
    return runner


class _Windowing:
    """What `DoFnRunner` asks of a windowing strategy."""

    windowfn = GlobalWindows()


_GLOBAL_WINDOWING = _Windowing()
