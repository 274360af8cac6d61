"""The recorder: a sink of class A that keeps every message as one line of JSON, for demos, tests and dry runs.

It honours keys: what a key brought first stays, a repeat is answered as accepted already, another body as a conflict.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec

from schemas.records import DAY, Message
from transforms.logic.delivery import ACCEPTED, AGAIN, CONFLICT, NEVER, Answer, Sink

FOREVER = 36_500 * DAY


class Recorder:
    """Appends to `file`, durable before it accepts. `now` gives the time of a line in microseconds."""

    sink = Sink("A", window=FOREVER, limit=1 << 20, lanes=256, rate=20_000.0, burst=2_000.0)

    def __init__(self, file: Path, now: Callable[[], int], *, sync: bool = True) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.place = str(file)
        self._now = now
        self._sync = sync
        self._marks: dict[bytes, int] = {}
        self._waiting: list[tuple[Message, bytes, asyncio.Future[Answer]]] = []
        self._file = file.open("ab+", buffering=0)
        self._size = self._read()

    async def send(self, message: Message) -> Answer:
        """Accepted once the line is on disk; messages of one moment share a write."""
        mark = self._marks.get(_name(message.key))
        if mark is not None:
            known = mark == crc32(message.body)
            return Answer(ACCEPTED, "repeated") if known else Answer(CONFLICT, "another_body")
        try:
            line = _line(message, self._now())
        except msgspec.DecodeError:
            return Answer(NEVER, "unreadable_body")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((message, line, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._write)
        return await future

    async def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        answer = self._append(b"".join(line for _, line, _ in waiting))
        for message, _, future in waiting:
            if answer.verdict == ACCEPTED:
                self._marks[_name(message.key)] = crc32(message.body)
            if not future.done():
                future.set_result(answer)

    def _append(self, lines: bytes) -> Answer:
        try:
            if os.write(self._file.fileno(), lines) != len(lines):
                raise OSError("short write")
            if self._sync:
                os.fdatasync(self._file.fileno())
        except OSError:
            self._file.truncate(self._size)
            return Answer(AGAIN, "disk", throttle=True)
        self._size += len(lines)
        return Answer(ACCEPTED, "recorded")

    def _read(self) -> int:
        """Index the keys that the file holds and cut a torn last line; the size that is left."""
        self._file.seek(0)
        size = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            entry = msgspec.json.decode(line, type=_Recorded)
            self._marks[bytes.fromhex(entry.name)] = entry.mark
            size += len(line)
        self._file.truncate(size)
        return size


class _Recorded(msgspec.Struct):
    name: str
    mark: int


def _name(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=16).digest()


def _line(message: Message, at: int) -> bytes:
    parts: dict[str, Any] = {
        "name": _name(message.key).hex(),
        "mark": crc32(message.body),
        "key": message.key,
        "at": at,
        "caused_at": message.caused_at,
        "decided_at": message.decided_at,
        "tenant": message.tenant,
        "person": message.person,
        "campaign": message.campaign,
        "step": message.step,
        "channel": message.channel,
        "to": message.to,
        "class": message.klass,
        "category": message.category,
        "revision": message.revision,
        "body": msgspec.json.decode(message.body),
    }
    return msgspec.json.encode(parts) + b"\n"
