"""The isolation wall of every keyed stage: a record or a wake that its rules cannot take costs itself and nothing else.

A stage works on an `Attempt` over its shard. If it fails, the shard is as before, and the batch is halved until the
record that cannot be taken stands alone; that one is refused once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from schemas.keys import derived_id
from schemas.records import Failure
from transforms.logic.shard import NEW, Outputs, Shard, Stage

Wake = tuple[int, bytes]
KINDS = Outputs.__struct_fields__


class Cabinet(Shard, Protocol):
    """A shard as an engine brings it: it also says when its next wake rings, and can take back what it has seen."""

    def next_wake(self) -> int | None:
        """When the earliest wake rings, None if nothing is armed; never later than the truth."""

    def forget(self, ids: Iterable[int]) -> None:
        """Ids that `first_seen` called NEW since the last commit become new again."""


class Attempt:
    """A shard whose changes wait until `keep`; `drop` leaves the cabinet as it was."""

    def __init__(self, cabinet: Cabinet) -> None:
        self._cabinet = cabinet
        self._rows: dict[bytes, bytes | None] = {}
        self._wakes: list[Wake] = []
        self._taken: list[Wake] = []
        self._seen: list[int] = []

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        rows = self._rows
        found = self._cabinet.get_many(keys)
        return [rows.get(key, row) for key, row in zip(keys, found, strict=True)] if rows else found

    def put_many(self, rows: Mapping[bytes, bytes | None]) -> None:
        self._rows.update(rows)

    def wake_many(self, wakes: Iterable[Wake]) -> None:
        self._wakes.extend(wakes)

    def due(self, upto: int) -> list[Wake]:
        """Takes what the cabinet holds; a wake armed in this attempt rings in the next one."""
        taken = self._cabinet.due(upto)
        self._taken += taken
        return taken

    def first_seen(self, ids: Sequence[int], bodies: Sequence[int], now: int) -> list[int]:
        verdicts = self._cabinet.first_seen(ids, bodies, now)
        self._seen += [number for number, verdict in zip(ids, verdicts, strict=True) if verdict == NEW]
        return verdicts

    def keep(self) -> None:
        """Hand all changes to the cabinet."""
        if self._rows:
            self._cabinet.put_many(self._rows)
        if self._wakes:
            self._cabinet.wake_many(self._wakes)

    def drop(self) -> None:
        """Give back what was taken from the cabinet."""
        if self._taken:
            self._cabinet.wake_many(self._taken)
        if self._seen:
            self._cabinet.forget(self._seen)


class _OneWake(Attempt):
    """An attempt in which exactly one wake is due."""

    def __init__(self, cabinet: Cabinet, wake: Wake) -> None:
        super().__init__(cabinet)
        self._due = [wake]

    def due(self, upto: int) -> list[Wake]:  # noqa: ARG002 (its one wake is due)
        due, self._due = self._due, []
        return due


def run(stage: Stage[Any], cabinet: Cabinet, items: Sequence[Any]) -> Outputs:
    """What the stage makes of the items, in their order; each that it cannot take is refused alone.

    Trouble with the machine (OSError, MemoryError) is not the items' fault and is raised.
    """
    attempt = Attempt(cabinet)
    try:
        outputs = stage.run(attempt, items)
    except (OSError, MemoryError):
        raise
    except Exception as error:
        attempt.drop()
        return _isolate(stage, cabinet, items, error)
    attempt.keep()
    return outputs


def ring(stage: Stage[Any], cabinet: Cabinet, upto: int) -> Outputs:
    """What the stage makes of the wakes due at or before `upto`; one that it cannot ring becomes a failure."""
    attempt = Attempt(cabinet)
    try:
        outputs = stage.wake(attempt, upto)
    except (OSError, MemoryError):
        raise
    except Exception:
        attempt.drop()
        return together([_ring_one(stage, cabinet, wake) for wake in cabinet.due(upto)])
    attempt.keep()
    return outputs


def together(parts: Sequence[Outputs]) -> Outputs:
    """All outputs in one, each kind in the order of the parts."""
    if len(parts) == 1:
        return parts[0]
    return Outputs(*([item for part in parts for item in getattr(part, kind)] for kind in KINDS))


def _isolate(stage: Stage[Any], cabinet: Cabinet, items: Sequence[Any], error: Exception) -> Outputs:
    if len(items) == 1:
        return stage.refuse(items[0], error)
    middle = len(items) // 2
    return together([run(stage, cabinet, items[:middle]), run(stage, cabinet, items[middle:])])


def _ring_one(stage: Stage[Any], cabinet: Cabinet, wake: Wake) -> Outputs:
    attempt = _OneWake(cabinet, wake)
    time, key = wake
    try:
        outputs = stage.wake(attempt, time)
    except (OSError, MemoryError):
        raise
    except Exception as error:
        attempt.drop()
        name = derived_id("failure", stage.name, "wake", key, time)
        return Outputs(failures=[Failure(name, "", stage.name, "wake", type(error).__name__, key, time, 0, 0)])
    attempt.keep()
    return outputs
