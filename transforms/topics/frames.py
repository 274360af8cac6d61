"""One partition of a topic of rows, read as if it were a log of ours: frames with dense numbers, from an offset on."""

from __future__ import annotations

from itertools import groupby

from confluent_kafka import Message

from schemas.codec import pack_many
from schemas.records import SECOND, Record
from transforms.stores.frames import Frame, Part
from transforms.topics.reader import Topic, TopicReader, position_of

_MILLISECOND = SECOND // 1_000


class TopicFrames:
    """The rows of a partition as frames: each is what the broker took within one second, without a hole."""

    def __init__(self, topic: Topic, partition: int, offset: int) -> None:
        self._name, self._partition = topic.name, partition
        position = position_of({partition: offset}) if offset else b""
        self._reader = TopicReader(topic, position, partition)

    def read(self, limit: int = 1_000) -> list[Frame]:
        """What has come since the last call; never waits."""
        placed = [(int(message.offset() or 0), message, row) for message, row in self._reader.read_placed(limit)]
        numbered = enumerate(placed)
        runs = groupby(numbered, key=lambda each: (each[1][0] - each[0], _second(each[1][1])))
        return [self._frame([placed for _, placed in run]) for _, run in runs]

    def close(self) -> None:
        self._reader.close()

    def _frame(self, run: list[tuple[int, Message, Record]]) -> Frame:
        (first, message, _), rows = run[0], [row for _, _, row in run]
        part = Part(first, len(rows), pack_many(rows), first)
        return Frame(first, first + len(rows), message.timestamp()[1] * _MILLISECOND, {self._name: part})


def _second(message: Message) -> int:
    return int(message.timestamp()[1]) // 1_000
