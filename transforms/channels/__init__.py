"""Channels: where messages leave. One small interface; the sender drives them all alike.

A channel makes one attempt and says what came of it; retries, claims and limits are the sender's.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from schemas.records import Message
from transforms.logic.delivery import Answer, Sink


class ChannelError(ValueError):
    """A channel that cannot be opened as configured: says what was expected, what came and what to do."""


class Channel(Protocol):
    """One way out. `sink` says what the other side promises, `place` where it is (no secrets)."""

    sink: Sink
    place: str

    async def send(self, message: Message) -> Answer:
        """Make one attempt under the message's key. Never raises for what the other side does."""

    async def close(self) -> None:
        """Free files and connections."""


@runtime_checkable
class Askable(Protocol):
    """A channel of class B: it can tell whether a key has arrived."""

    async def ask(self, key: str) -> Answer:
        """ACCEPTED if the sink has the key, NEVER if it has not, AGAIN if it cannot tell now."""
