"""Intents held back until the checkpoint that knows of them: what a job may still take back has then not left.

A job on a cluster hands intents over before its checkpoint is done. If it dies in between, another attempt may decide
otherwise, and what was sent is a ghost. Whoever wants none waits until the offsets that the job commits behind each
checkpoint include, in every partition of the journal, something that the broker took after the intent: such a
checkpoint began when the intent was there, so the decision is in it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

from confluent_kafka import TopicPartition

from schemas.records import Message
from transforms.surroundings import OpenIntents
from transforms.topics.client import ANSWER, RECORDS, asked, consumer, partitions_of, topic_of

ASK_EVERY = 0.05
"""Seconds between two questions for the offsets that are committed."""


class Checkpoints:
    """How far the job has surely come in the journal of `prefix`, by what it commits under one of the names `groups`.

    Raises TopicUnfit, BrokerError.
    """

    def __init__(self, servers: str, prefix: str, groups: Sequence[str]) -> None:
        self._topic = topic_of(prefix, RECORDS)
        self._clients = [consumer(servers, f"{prefix}.{group}") for group in groups]
        self._partitions = range(partitions_of(self._clients[0], self._topic))
        self._moment, self._wanted = -1, dict[int, int]()
        self._ask_at = 0.0

    def passed(self, moment: int) -> bool:
        """Whether a checkpoint began after `moment`, a stamp of the broker's (microseconds). Asks now and then."""
        if time.monotonic() < self._ask_at:
            return False
        self._ask_at = time.monotonic() + ASK_EVERY
        if moment != self._moment:
            self._moment, self._wanted = moment, {}
        if len(self._wanted) < len(self._partitions):
            self._wanted = self._behind(moment)
        if len(self._wanted) < len(self._partitions):
            return False
        committed = self._committed()
        if all(committed.get(number, 0) > offset for number, offset in self._wanted.items()):
            self._ask_at = 0.0
            return True
        return False

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def _behind(self, moment: int) -> dict[int, int]:
        """The first offset after a moment in each partition that has one: doors tick, so each has one soon."""
        after = moment // 1000 + 1
        asking = [TopicPartition(self._topic, number, after) for number in self._partitions]
        found = asked(lambda: self._clients[0].offsets_for_times(asking, timeout=ANSWER), self._topic)
        return {place.partition: place.offset for place in found if place.offset >= 0}

    def _committed(self) -> Mapping[int, int]:
        found = dict[int, int]()
        for client in self._clients:
            for place in asked(partial(client.committed, self._asking(), timeout=ANSWER), self._topic):
                found[place.partition] = max(place.offset, found.get(place.partition, 0))
        return found

    def _asking(self) -> list[TopicPartition]:
        return [TopicPartition(self._topic, number) for number in self._partitions]


class Stamped(OpenIntents, Protocol):
    """Intents from a topic; `stamp` is when the broker took the newest one that was read (microseconds)."""

    @property
    def stamp(self) -> int: ...


class HeldIntents:
    """Intents of another reader, batch by batch, each once the job cannot take it back any more.

    The place is that behind the last batch let go: what is held is read again after a crash.
    """

    def __init__(self, intents: Stamped, checkpoints: Checkpoints) -> None:
        self._intents, self._checkpoints = intents, checkpoints
        self._held: list[Message] = []
        self._position = intents.position()

    def read(self) -> list[Message]:
        """What may leave now; never waits long. OSError: not known now, nothing is lost."""
        self._held = self._held or self._intents.read()
        if self._held and not self._checkpoints.passed(self._intents.stamp):
            return []
        free, self._held = self._held, []
        self._position = self._intents.position()
        return free

    def position(self) -> bytes:
        return self._position

    def settled(self) -> None:
        """Others see how far the reader has come, which with a full hand is further than what was let go."""
        if not self._held:
            self._intents.settled()

    def close(self) -> None:
        self._checkpoints.close()
        self._intents.close()
