"""Topics: where records leave the graph on a cluster, for other processes to read.

The embedded engine has no use for them: there a frame of its own log is the hand-over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from schemas.records import Record


class BrokerError(OSError):
    """What a server of topics refused or did not answer; says what was expected, what came and what to do."""


class TopicUnfit(BrokerError):
    """A topic that cannot carry a journal: it is not there, its time is not the server's, or it was cut."""


class Publisher(Protocol):
    """An open way to all topics; may be used by several threads at once."""

    def publish(self, topic: str, records: Sequence[Record]) -> None:
        """Begin to write records, each under its stable id; `topic` is intents, feedback, rows or failures."""

    def flush(self) -> None:
        """Return once all that was published is durable. OSError if it is not: the bundle is then repeated."""


class Topics(Protocol):
    """How to open topics. Picklable and hashable: equal ones share one publisher in a process."""

    def open(self) -> Publisher:
        """A publisher; stays open as long as the process lives."""
