"""What the job and the sender give back: the door reads their logs and journals each record once.

The cursor travels in the same frame of the journal as the records, so a crash can neither lose nor repeat one. A log
whose process has not started yet is simply empty.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from pipelines.commit import Committer
from schemas.codec import VERSION, unpack_many
from schemas.records import OWN, Entry
from transforms.logic.suppress import handed_back
from transforms.stores.journal import DERIVED, Cursor
from transforms.stores.log import LogReader, Part

LOGS = {"person": "feedback", "listen": "feedback", "sender": "receipts"}
"""The logs that are pulled, by their folder, and the topic of each that holds `Derived` records."""

_FRAMES = 64
_BUSY, _LAZY, _FULL = 0.002, 0.01, 1.0
_COOLING = 1.0


class _Head(Struct, array_like=True, gc=False):
    """As much of a `Derived` as an entry needs; the rest stays packed."""

    id: str
    tenant: str


_head = msgspec.msgpack.Decoder(_Head)


class Pull:
    """One log on its way into the journal. `lost` counts records that were dropped before they were pulled."""

    def __init__(self, name: str, folder: Path, cursor: Cursor) -> None:
        self.name, self.cursor, self.lost = name, cursor, 0
        self._folder = folder
        self._log = LogReader(folder, cursor[0], (LOGS[name],))

    async def run(self, committer: Committer) -> None:
        """Pull until cancelled."""
        busy = 0.0
        while True:
            entries, cursor = self._read()
            if not entries:
                await asyncio.sleep(_BUSY if time.monotonic() - busy < _COOLING else _LAZY)
                continue
            busy = time.monotonic()
            told = [change for index, entry in enumerate(entries) for change in handed_back(entry.body, index)]
            if await committer.join(entries, told, {self.name: cursor}).durable():
                self.cursor = cursor
            else:
                self._rewind()
                await asyncio.sleep(_FULL)

    def close(self) -> None:
        self._log.close()

    def _read(self) -> tuple[list[Entry], Cursor]:
        """What is new, and the cursor behind it."""
        entries: list[Entry] = []
        number = self.cursor[1]
        for frame in self._log.read(_FRAMES):
            part = frame.parts[LOGS[self.name]]
            self.lost += max(0, part.first - number)
            entries += self._entries(part, number)
            number = max(number, part.first + part.count)
        return entries, (self._log.address, number)

    def _entries(self, part: Part, number: int) -> list[Entry]:
        """The records of one part from `number` on, as entries; their bytes are not decoded."""
        numbered = enumerate(unpack_many(part.payload, Raw), part.first)
        return [
            Entry(DERIVED, _head.decode(raw).tenant, OWN, self.name, 0, VERSION + bytes(raw), (self.name, at))
            for at, raw in numbered
            if at >= number
        ]

    def _rewind(self) -> None:
        self._log.close()
        self._log = LogReader(self._folder, self.cursor[0], (LOGS[self.name],))
