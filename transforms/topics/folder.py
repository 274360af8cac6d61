"""Topics as files of a folder: for a cluster on one machine, for tests, and to look at what a job hands over.

Every process appends to files of its own, so no two writers meet. A record stands there at least once: whoever reads
drops repeats by the record's id, as on any other topic.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO
from zlib import crc32

from schemas.codec import pack, unpack
from schemas.records import Derived, Failure, Message, Record, Row

KINDS: dict[str, Any] = {"intents": Message, "feedback": Derived, "rows": Row, "failures": Failure}
"""What each topic holds."""

HEAD = 8
"""Bytes before each record: its length and its checksum, four each."""
_SUFFIX = ".topic"


@dataclass(frozen=True, slots=True)
class FolderTopics:
    """Topics in a folder of this machine; the folder need not exist yet."""

    folder: Path

    def open(self) -> FolderPublisher:
        return FolderPublisher(self.folder)


class FolderPublisher:
    """Appends to one file a topic, named after this process; `flush` waits for the disk."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
        self._files: dict[str, BinaryIO] = {}
        self._waiting: dict[str, list[bytes]] = {}
        self._lock = Lock()

    def publish(self, topic: str, records: Sequence[Record]) -> None:
        if topic not in KINDS:
            raise ValueError(f"topic: expected one of {', '.join(KINDS)}, got {topic!r}")
        framed = b"".join(map(_framed, records))
        with self._lock:
            self._waiting.setdefault(topic, []).append(framed)

    def flush(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
            for topic, parts in waiting.items():
                file = self._file(topic)
                file.write(b"".join(parts))
                os.fdatasync(file.fileno())

    def close(self) -> None:
        """Give the files back; what was not flushed is not written."""
        for file in self._files.values():
            file.close()

    def _file(self, topic: str) -> BinaryIO:
        if topic not in self._files:
            folder = self._folder / topic
            folder.mkdir(exist_ok=True)
            self._files[topic] = (folder / self._name).open("ab", buffering=0)
        return self._files[topic]


class FolderReader:
    """Reads a topic of a folder while it grows, each file from where the last `read` ended."""

    def __init__(self, folder: Path, topic: str) -> None:
        self._folder = folder / topic
        self._kind = KINDS[topic]
        self._places: dict[Path, int] = {}

    def read(self) -> list[Any]:
        """All whole records that came since the last call, in the order of each writer."""
        found: list[Any] = []
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            with path.open("rb") as file:
                file.seek(self._places.get(path, 0))
                for payload in _payloads(file.read()):
                    found.append(unpack(payload, self._kind))
                    self._places[path] = self._places.get(path, 0) + HEAD + len(payload)
        return found


def read(folder: Path, topic: str) -> list[Any]:
    """All records of a topic, repeats included; what a killed writer left half written is not there."""
    return FolderReader(folder, topic).read()


def _framed(record: Record) -> bytes:
    payload = pack(record)
    return len(payload).to_bytes(4) + crc32(payload).to_bytes(4) + payload


def _payloads(data: bytes) -> Iterator[bytes]:
    """The whole records at the beginning of `data`."""
    place = 0
    while place + HEAD <= len(data):
        length, check = int.from_bytes(data[place : place + 4]), int.from_bytes(data[place + 4 : place + HEAD])
        payload = data[place + HEAD : place + HEAD + length]
        if len(payload) < length or crc32(payload) != check:
            return
        yield payload
        place += HEAD + length
