"""Where the crash run kills which process: each fault point that the modules at work in it name, or why not."""

from __future__ import annotations

from pipelines import accept
from pipelines.local import engine
from transforms import deliver
from transforms.stores import parquet, rows, suppression

PASSES: dict[str, tuple[str, ...]] = {
    "door": (*rows.POINTS, *accept.POINTS, *suppression.POINTS),
    "person": (*rows.POINTS, *engine.POINTS),
    "listen": (*rows.POINTS, *engine.POINTS),
    "sender": (*rows.POINTS, *deliver.POINTS),
    "tables": parquet.POINTS,
}
"""All points that lie on the way of each process."""

EXCUSED = {("listen", point): "its store is the person lane's, which dies there" for point in rows.POINTS}
"""Points that a process does not die at in this run, each with the reason."""

ELSEWHERE = {"redis.after_suppression": "the shop of this run has no Redis; see tests/stores/test_redis_suppression.py"}
"""Points that lie on the way of none of its processes, each with the reason."""

POINTS = {name: tuple(point for point in points if (name, point) not in EXCUSED) for name, points in PASSES.items()}
"""Points at which each process must die."""

RARE = {"log.before_drop", "log.after_drop", "tables.after_merge"}
"""Points that are only reached once there is something old: they come last."""
SINGLE = RARE | {"log.after_create"} | set(parquet.POINTS) | {point for point in rows.POINTS if "snapshot" in point}
"""Points that are passed too seldom to wait for a later time."""
