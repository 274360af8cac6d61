"""What the engine takes from a pipeline, what it refuses by name, and which names inside Beam it leans on."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from apache_beam import Create, DoFn, Flatten, GroupByKey, Map, ParDo, Pipeline, WindowInto
from apache_beam.coders import VarIntCoder
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import AsList, PCollection
from apache_beam.runners import common, runner
from apache_beam.transforms import core, userstate, window
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.utils import windowed_value
from engine_stages import Chain, Listed, Read, Tally, block, entry

from pipelines.local.beam_internals import element, is_splittable, kv_coder_of, open_dofn
from pipelines.local.plan import Plan, UnsupportedGraph, plan_of
from pipelines.local.runner import EmbeddedRunner
from transforms.batches import Events
from transforms.hand_over import HandOver
from transforms.shards import Keyed
from transforms.sources.firehose import Firehose
from transforms.stores.memory import MemoryRows

LOCAL = Path(__file__).parents[1] / "pipelines" / "local"
SOURCE = Listed((block(0, 0, entry("ana")),))


def pipeline() -> Pipeline:
    return Pipeline(EmbeddedRunner(MemoryRows()), PipelineOptions([]))


def read(pipeline: Pipeline) -> PCollection:
    return pipeline | "read" >> Firehose(SOURCE) | "events" >> ParDo(Read()).with_output_types(Events)


def plan(shards: int = 4, state: str = "rows", label: str = "tally") -> Plan:
    wired = pipeline()
    told = read(wired) | label >> Keyed(Tally, Events, shards, state)
    (told.rows, told.failures) | "lines" >> Flatten() | "hand over" >> HandOver("rows")
    return plan_of(wired)


def test_steps_come_in_order_and_feed_each_other() -> None:
    found = plan()
    assert [step.label.split("/")[0] for step in found.steps] == ["events", "tally", "tally", "hand over"]
    assert found.first == [0]
    assert found.steps[2].feeds == {"rows": [3], "failures": [3]}
    assert found.steps[3].topic == "rows"


def test_the_stamp_changes_with_whatever_the_state_depends_on() -> None:
    assert plan().stamp() == plan().stamp()
    others = {plan(shards=5).stamp(), plan(state="cells").stamp(), plan(label="count").stamp()}
    assert len({plan().stamp(), *others}) == 4


class Buffered(DoFn):
    LATER = userstate.TimerSpec("later", TimeDomain.REAL_TIME)
    BUFFER = DoFn.StateParam(userstate.OrderedListStateSpec("buffer", VarIntCoder()))
    TIMER = DoFn.TimerParam(LATER)

    def process(self, pair: tuple[int, int], buffer: Any = BUFFER, timer: Any = TIMER) -> Iterator[int]:
        yield pair[0]

    @userstate.on_timer(LATER)
    def later(self) -> None:
        return None


def pairs(events: PCollection) -> PCollection:
    return events | "pairs" >> Map(_pair).with_output_types(tuple[int, int])


def _pair(_: Any) -> tuple[int, int]:
    return 0, 0


REFUSED: dict[str, Callable[[PCollection], Any]] = {
    "GroupByKey": lambda events: events.pipeline | Create([(1, 2)]) | GroupByKey(),
    "side inputs": lambda events: events | "twice" >> Map(_second, AsList(events)),
    "windows": lambda events: events | WindowInto(window.FixedWindows(60)),
    "processing-time timer": lambda events: pairs(events) | ParDo(Buffered()),
    "state of kind OrderedList": lambda events: pairs(events) | ParDo(Buffered()),
    "a second Firehose": lambda events: events.pipeline | "again" >> Firehose(SOURCE),
    "Impulse": lambda events: events.pipeline | Create([1]),
    "2 keyed stages that are called chain": lambda events: [
        events | name >> Keyed(Chain, Events, 1, "rows") for name in ("one", "two")
    ],
}


def _second(value: Any, others: list[Any]) -> Any:
    return value


@pytest.mark.parametrize("name", REFUSED)
def test_whatever_cannot_run_is_refused_by_name(name: str) -> None:
    wired = pipeline()
    REFUSED[name](read(wired))
    with pytest.raises(UnsupportedGraph, match=name):
        plan_of(wired)


def test_all_refusals_come_together() -> None:
    wired = pipeline()
    pairs(read(wired)) | ParDo(Buffered())
    with pytest.raises(UnsupportedGraph, match=r"(?s)OrderedList.*processing-time"):
        plan_of(wired)


def test_a_graph_without_a_firehose_is_refused() -> None:
    with pytest.raises(UnsupportedGraph, match="one Firehose"):
        plan_of(pipeline())


# --- the names inside Beam: if one of these fails, look at beam_internals.py ------------------------------------------


class Steps(DoFn):
    def process(self, value: int) -> Iterator[int]:
        yield value + 1


class Kept(common.Receiver):
    def __init__(self) -> None:
        self.values: list[Any] = []

    def receive(self, windowed_value: Any) -> None:
        self.values.append(windowed_value.value)


NAMES = {
    "apache_beam.coders": ["Coder", "registry"],
    "apache_beam.pipeline": ["AppliedPTransform", "Pipeline", "PipelineVisitor"],
    "apache_beam.pvalue": ["PCollection"],
    "apache_beam.runners.common": ["DoFnRunner", "DoFnSignature", "Receiver"],
    "apache_beam.runners.runner": ["PipelineResult", "PipelineRunner", "PipelineState"],
    "apache_beam.transforms.core": ["DoFn", "Flatten", "ParDo", "WindowInto"],
    "apache_beam.transforms.timeutil": ["TimeDomain"],
    "apache_beam.transforms.userstate": [
        "AccumulatingRuntimeState",
        "BagStateSpec",
        "BaseTimer",
        "CombiningValueStateSpec",
        "ReadModifyWriteRuntimeState",
        "ReadModifyWriteStateSpec",
        "SetStateSpec",
        "StateSpec",
        "TimerSpec",
        "UserStateContext",
        "get_dofn_specs",
    ],
    "apache_beam.transforms.window": ["GlobalWindow", "GlobalWindows"],
    "apache_beam.utils.timestamp": ["Timestamp"],
    "apache_beam.utils.windowed_value": ["WindowedValue", "create"],
}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in NAMES.items() for name in names])
def test_beam_still_has(module: str, name: str) -> None:
    assert hasattr(import_module(module), name)


def test_these_are_all_names_and_only_one_module_takes_them() -> None:
    taken: dict[str, list[str]] = {}
    for file in sorted(LOCAL.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("apache_beam"):
                assert file.name == "beam_internals.py"
                taken[str(node.module)] = [alias.name for alias in node.names]
    assert taken == NAMES


def test_the_invoker_takes_what_we_give_it() -> None:
    kept = Kept()
    invoker = open_dofn(ParDo(Steps()), {None: kept}, None)
    invoker.start()
    invoker.process(element(1, 0))
    invoker.finish()
    invoker.finalize()
    invoker.teardown()
    assert kept.values == [2]


def test_the_invoker_fires_timers_with_these_arguments() -> None:
    names = list(inspect.signature(common.DoFnRunner.process_user_timer).parameters)
    assert names[1:] == ["timer_spec", "key", "window", "timestamp", "pane_info", "dynamic_timer_tag"]


def test_a_receiver_receives() -> None:
    assert callable(common.Receiver.receive)


def test_elements_are_made_from_a_value_and_microseconds() -> None:
    made = element("x", 1_500_000)
    assert isinstance(made, windowed_value.WindowedValue)
    assert (made.value, made.timestamp_micros, made.windows) == ("x", 1_500_000, (window.GlobalWindow(),))


def test_state_is_asked_for_with_these_arguments() -> None:
    context = userstate.UserStateContext
    assert list(inspect.signature(context.get_state).parameters)[1:] == ["state_spec", "key", "window"]
    expected = ["timer_spec", "key", "window", "timestamp", "pane"]
    assert list(inspect.signature(context.get_timer).parameters)[1:] == expected


def test_the_specs_of_a_dofn_can_be_read() -> None:
    states, timers = userstate.get_dofn_specs(Buffered())
    assert [spec.name for spec in states] == ["buffer"]
    assert [timer.name for timer in timers] == ["ts-later"]


def test_splittable_dofns_are_told_apart() -> None:
    assert not is_splittable(Read())
    assert not is_splittable(core.CallableWrapperDoFn(_pair))


def test_coders_of_pairs_have_a_coder_of_the_key() -> None:
    wired = pipeline()
    coder = kv_coder_of(pairs(read(wired)))
    assert coder is not None
    assert coder.key_coder().encode(7) == b"\x07"
    assert kv_coder_of(read(pipeline())) is None


def test_a_runner_sees_the_original_graph() -> None:
    assert runner.PipelineRunner().is_fnapi_compatible()
