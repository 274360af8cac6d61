"""The queue in front of a sink."""

from __future__ import annotations

import pytest

from schemas.records import DAY, MINUTE, SECOND
from transforms.logic.delivery import Sink
from transforms.logic.lanes import Lane

NOW = 20_500 * DAY


def lane(lanes: int = 100, rate: float = 1000.0, burst: float = 100.0, speed: float = 1.0) -> Lane:
    return Lane(Sink("A", DAY, 20_000, lanes, rate, burst), speed)


def fill(queue: Lane, count: int, *, urgent: bool = False) -> Lane:
    for number in range(count):
        queue.offer(f"{'urgent' if urgent else 'bulk'}-{number}", urgent=urgent)
    return queue


def test_transactional_messages_overtake() -> None:
    queue = fill(lane(lanes=3), 3)
    fill(queue, 2, urgent=True)
    assert queue.take(NOW) == ["urgent-0", "urgent-1", "bulk-0"]


def test_no_more_attempts_than_the_sink_bears_at_a_time() -> None:
    queue = fill(lane(lanes=4), 10)
    assert len(queue.take(NOW)) == 4
    assert queue.take(NOW) == []
    queue.landed()
    assert len(queue.take(NOW)) == 1


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_the_bucket_gives_the_burst_and_then_the_rate(speed: float) -> None:
    queue = fill(lane(lanes=1000, rate=10, burst=20, speed=speed), 100)
    assert len(queue.take(NOW)) == 20
    assert queue.take(NOW) == []
    assert len(queue.take(NOW + int((SECOND + 1) * speed))) == 10


def test_a_clock_that_jumps_back_gives_no_tokens_and_breaks_nothing() -> None:
    queue = fill(lane(lanes=1000, rate=10, burst=20), 100)
    queue.take(NOW)
    assert queue.take(NOW - MINUTE) == []
    assert len(queue.take(NOW - MINUTE + SECOND)) == 10


def test_a_throttled_sink_rests_as_long_as_it_wishes() -> None:
    queue = fill(lane(), 3)
    queue.throttle(NOW, 30 * SECOND)
    assert queue.take(NOW + 29 * SECOND) == []
    assert len(queue.take(NOW + 30 * SECOND)) == 3


@pytest.mark.parametrize(("troubles", "pause"), [(1, 1), (2, 2), (4, 8), (7, 60), (20, 60)])
def test_repeated_troubles_double_the_rest_up_to_a_minute(troubles: int, pause: int) -> None:
    queue = lane()
    for _ in range(troubles):
        queue.throttle(NOW, None)
    assert queue.paused_until == NOW + pause * SECOND
    queue.relax()
    assert queue.troubles == 0


def test_a_disabled_sink_gets_nothing_and_gives_its_queue_back() -> None:
    queue = fill(lane(), 2)
    fill(queue, 1, urgent=True)
    queue.disabled = True
    assert queue.take(NOW) == []
    assert queue.drain() == ["urgent-0", "bulk-0", "bulk-1"]
    assert len(queue) == 0
