"""Makes Beam's bundle-based direct runner hold its watermark for timers, as Beam's model and all other runners have it.

It does not by itself: a TODO in `apache_beam/runners/direct/direct_userstate.py` (2.77) says so. A stage behind another
one then sees the watermark pass before the timers of the first have told it what they had to tell.
"""

from __future__ import annotations

from typing import Any

import pytest
from apache_beam.runners.direct.transform_evaluator import _ParDoEvaluator
from apache_beam.runners.direct.watermark_manager import WatermarkManager
from apache_beam.transforms.timeutil import TimeDomain


def hold_watermarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a timer that is set keeps the watermark of what follows at or before its time."""
    finish = _ParDoEvaluator.finish_bundle

    def finish_bundle(evaluator: Any) -> Any:
        result = finish(evaluator)
        states = evaluator._step_context.existing_keyed_state | evaluator._step_context.partial_keyed_state
        result.keyed_watermark_holds = {key: _earliest(state) for key, state in states.items()}
        return result

    monkeypatch.setattr(_ParDoEvaluator, "finish_bundle", finish_bundle)


def _earliest(state: Any) -> Any:
    times = [
        time
        for timers in state.timers.values()
        for (_, domain, _), time in timers.items()
        if domain == TimeDomain.WATERMARK
    ]
    return min(times, default=WatermarkManager.WATERMARK_POS_INF)
