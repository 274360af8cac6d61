"""Intents held back until the checkpoint that knows of them: what a job may still take back has then not left.

A job on a cluster hands intents over before its checkpoint is done. If it dies in between, another attempt may decide
otherwise, and what was sent is a ghost. Whoever wants none waits until the offsets that the job commits behind each
checkpoint include, in every partition of the journal, something that the broker took after the intent: such a
checkpoint began when the intent was there, so the decision is in it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from confluent_kafka import TopicPartition

from schemas.records import Message
from transforms.surroundings import OpenIntents
from transforms.topics.client import ANSWER, RECORDS, asked, consumer, partitions_of, topic_of

ASK_EVERY = 0.05
"""Seconds between two questions for the offsets that are committed; what was read in between waits together."""
MOST_HELD = 20_000
"""Intents that may wait here before no more are read."""

Offsets = Mapping[int, int]


class Checkpoints:
    """How far the job has surely come in the journal of `prefix`, by what it commits under one of the names `groups`.

    Raises TopicUnfit, BrokerError.
    """

    def __init__(self, servers: str, prefix: str, groups: Sequence[str]) -> None:
        self._topic = topic_of(prefix, RECORDS)
        self._clients = [consumer(servers, f"{prefix}.{group}") for group in groups]
        self._partitions = range(partitions_of(self._clients[0], self._topic))

    def behind(self, moment: int) -> Offsets | None:
        """What a checkpoint that began after `moment` (a stamp of the broker's, microseconds) has read in each
        partition; None as long as some partition has had nothing since. Doors tick: each has something soon.
        """
        after = moment // 1000 + 1
        asking = [TopicPartition(self._topic, number, after) for number in self._partitions]
        found = asked(lambda: self._clients[0].offsets_for_times(asking, timeout=ANSWER), self._topic)
        return {place.partition: place.offset for place in found} if all(each.offset >= 0 for each in found) else None

    def committed(self) -> Offsets:
        """The next offset of each partition, as of the last checkpoint."""
        found = dict.fromkeys(self._partitions, 0)
        for client in self._clients:
            asking = [TopicPartition(self._topic, number) for number in self._partitions]
            for place in asked(partial(client.committed, asking, timeout=ANSWER), self._topic):
                found[place.partition] = max(place.offset, found[place.partition])
        return found

    def close(self) -> None:
        for client in self._clients:
            client.close()


class Stamped(OpenIntents, Protocol):
    """Intents from a topic; `stamp` is when the broker took the newest one that was read (microseconds)."""

    @property
    def stamp(self) -> int: ...


@dataclass
class Group:
    """Intents that wait together: stamp of the newest, the place behind them, what a checkpoint must include."""

    stamp: int
    position: bytes
    messages: list[Message]
    behind: Offsets | None = None

    def passed(self, committed: Offsets) -> bool:
        return self.behind is not None and all(committed[number] > offset for number, offset in self.behind.items())


class HeldIntents:
    """Intents of another reader, each once the job cannot take it back any more. `now` is seconds that only rise.

    The place is that behind the last one let go: what is held is read again after a crash.
    """

    def __init__(self, intents: Stamped, checkpoints: Checkpoints, now: Callable[[], float] = time.monotonic) -> None:
        self._intents, self._checkpoints, self._now = intents, checkpoints, now
        self._fresh: list[Message] = []
        self._held: deque[Group] = deque()
        self._position = intents.position()
        self._ask_at = 0.0

    def read(self) -> list[Message]:
        """What may leave now; never waits long. OSError: not known now, nothing is lost."""
        if len(self._fresh) + sum(len(group.messages) for group in self._held) < MOST_HELD:
            self._fresh += self._intents.read()
        if self._now() < self._ask_at or not (self._fresh or self._held):
            return []
        self._ask_at = self._now() + ASK_EVERY
        if self._fresh:
            self._held.append(Group(self._intents.stamp, self._intents.position(), self._fresh))
            self._fresh = []
        self._look_behind()
        return self._let_go()

    def position(self) -> bytes:
        return self._position

    def settled(self) -> None:
        """Others see how far the reader has come, which with a full hand is further than what was let go."""
        if not (self._fresh or self._held):
            self._intents.settled()

    def close(self) -> None:
        self._checkpoints.close()
        self._intents.close()

    def _look_behind(self) -> None:
        for group in self._held:
            if group.behind is None:
                group.behind = self._checkpoints.behind(group.stamp)
            if group.behind is None:
                return

    def _let_go(self) -> list[Message]:
        free: list[Message] = []
        committed = self._checkpoints.committed() if self._held[0].behind is not None else {}
        while self._held and self._held[0].passed(committed):
            group = self._held.popleft()
            free += group.messages
            self._position = group.position
        return free
