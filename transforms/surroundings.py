"""What delivery needs from outside: the present, who may not be written to, and what the job decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from schemas.records import Message

Way = tuple[str, str]
"""(tenant, channel): where a message leaves."""


class Clock(Protocol):
    """Journal time in microseconds, running `speed` times as fast as real time."""

    @property
    def speed(self) -> float: ...

    def now(self) -> int: ...


class Suppression(Protocol):
    """The door's suppressions, read afresh at each call."""

    def blocks(self, tenant: str, keys: Sequence[bytes], klass: str, category: str, channel: str) -> bool: ...


class Intents(Protocol):
    """The job's intents from a cursor on; never waits."""

    def read(self) -> list[Message]: ...

    def position(self) -> bytes: ...
