"""Run a Beam pipeline on this machine, durably: `Pipeline(runner=EmbeddedRunner(store))`.

store = lambda graph: RowStore(folder, graph=graph)
with Pipeline(runner=EmbeddedRunner(store)) as pipeline:
    build(pipeline, ...)
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

from pipelines.local.beam_internals import Pipeline, PipelineResult, PipelineRunner, PipelineState
from pipelines.local.engine import Engine, Hooks, Limits
from pipelines.local.plan import plan_of
from transforms.stores.transaction import Store

__all__ = ["EmbeddedResult", "EmbeddedRunner", "Hooks", "Limits"]

_log = logging.getLogger(__name__)


class EmbeddedRunner(PipelineRunner):
    """Beam's `PipelineRunner` over one store.

    `store` is a store, or a function that opens one for the graph's stamp (and refuses one of another graph).
    """

    def __init__(
        self, store: Store | Callable[[str], Store], limits: Limits | None = None, hooks: Hooks | None = None
    ) -> None:
        self._store = store
        self._limits = limits or Limits()
        self._hooks = hooks or Hooks()

    def run_pipeline(self, pipeline: Pipeline, options: Any) -> EmbeddedResult:  # noqa: ARG002 (Beam's signature)
        """Start the pipeline in a thread of its own."""
        return EmbeddedResult(self.open(pipeline))

    def open(self, pipeline: Pipeline) -> Engine:
        """The pipeline as an engine that works when it is asked to: for tests, and for a process of its own."""
        plan = plan_of(pipeline)
        store = self._store if isinstance(self._store, Store) else self._store(plan.stamp())
        return Engine(plan, store, self._limits, self._hooks)


class EmbeddedResult(PipelineResult):
    """A running job. It ends with its source, by `cancel`, or by an error that `wait_until_finish` raises."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(PipelineState.RUNNING)
        self.engine = engine
        self._stop = Event()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="embedded engine", daemon=True)
        self._thread.start()

    @property
    def state(self) -> str:
        return str(self._state)

    def wait_until_finish(self, duration: float | None = None) -> str:
        """Wait (at most `duration` milliseconds) for the end; raises what ended the job."""
        self._thread.join(None if duration is None else duration / 1000)
        if self._error is not None:
            raise self._error
        return self.state

    def cancel(self) -> str:
        """Finish the bundle at hand, then stop."""
        self._stop.set()
        return self.wait_until_finish()

    def _run(self) -> None:
        freeze()
        try:
            self.engine.run(self._stop.is_set)
            self._state = PipelineState.CANCELLED if self._stop.is_set() else PipelineState.DONE
        except BaseException as error:
            self._error, self._state = error, PipelineState.FAILED
            _log.exception("the job failed")
        finally:
            self.engine.close()


def freeze() -> None:
    """Take what set-up made out of the garbage collector's rounds: they would walk all of it again and again."""
    gc.collect()
    gc.freeze()
