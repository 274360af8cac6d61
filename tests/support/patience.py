"""A loop on which patience ends when somebody says so, however long the machine takes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

LOST_BY = 120.0
"""Seconds by which the loop's clock jumps; what is tested waits for less."""


class Patient(asyncio.SelectorEventLoop):
    """Its clock is the machine's, and `ahead` seconds more."""

    ahead = 0.0

    def time(self) -> float:
        """Seconds."""
        return super().time() + self.ahead


def run(work: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`, on such a loop."""
    with asyncio.Runner(loop_factory=Patient) as runner:
        return runner.run(work)


async def outlast() -> None:
    """Say nothing until whoever waits for us has lost patience, and then nothing either."""
    await hurry(LOST_BY)
    await asyncio.Event().wait()


async def hurry(seconds: float) -> None:
    """Let so much time pass at once, after the others have had their answers and wait again."""
    for _ in range(100):
        await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Patient)
    loop.ahead += seconds
