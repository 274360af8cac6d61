"""The shards that a worker keeps in memory, each with the version of the cells that it equals."""

from __future__ import annotations

import os
import secrets
from collections import OrderedDict
from itertools import count
from threading import Lock

from msgspec import Struct

from transforms.disorder import Disorder
from transforms.resident import Resident
from transforms.waiting import Waiting


class Version(Struct, frozen=True, array_like=True, gc=False):
    """Which state a shard's cells hold. A counter alone could match what a failed attempt left in memory.

    `over` is where the shard's time stands while records wait for their turn (`waiting.Waiting`).
    """

    number: int
    nonce: bytes
    over: int = 0


class Nonces:
    """Bytes that no other call gives, in this process or any other: 8 random ones drawn once a process, and a count.

    That is all that the fence needs. Two attempts at a batch differ by the count if one process made both, however the
    first one failed, and by the random bytes if two did (a restarted worker draws anew, and so does a forked one). The
    count only rises, so memory of an attempt that Beam took back never equals cells written later. Bytes from the
    system for each version would be a call into the kernel that lets go of the interpreter lock.
    """

    def __init__(self) -> None:
        self._draw()
        os.register_at_fork(after_in_child=self._draw)

    def __call__(self) -> bytes:
        return self._process + next(self._count).to_bytes(8)

    def _draw(self) -> None:
        self._process, self._count = secrets.token_bytes(8), count()


nonce = Nonces()


class Held(Struct):
    """A shard in memory with the version of the cells that it equals, and how long snapshot and log are.

    Records that wait for their turn are here in exact order only; who was seen last is known in order of arrival only.
    """

    resident: Resident
    version: Version | None = None
    snapshot: int = 0
    log: int = 0
    waiting: Waiting | None = None
    disorder: Disorder | None = None

    @property
    def size(self) -> int:
        """About how many bytes of memory this takes."""
        return self.resident.size + (self.waiting.size if self.waiting else 0)


class HeldShards:
    """The shards in this process's memory. Above `limit` bytes the ones used longest ago go first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: OrderedDict[tuple[str, int], Held] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    @property
    def size(self) -> int:
        """About how many bytes all shards take; those that are taken out do not count."""
        return self._size

    def take(self, step: str, shard: int) -> Held | None:
        """Take a shard out, so that no older attempt can share it."""
        with self._lock:
            held = self._held.pop((step, shard), None)
            self._size -= held.size if held else 0
            return held

    def put(self, step: str, shard: int, held: Held) -> None:
        """Put a shard back, and let go of others if there are too many."""
        with self._lock:
            older = self._held.pop((step, shard), None)
            self._size += held.size - (older.size if older else 0)
            self._held[step, shard] = held
            while self._size > self.limit and len(self._held) > 1:
                self._size -= self._held.popitem(last=False)[1].size


HELD = HeldShards(4 << 30)
"""A bound against shards that went to other workers, not a size to aim at: shards in use that do not fit are read from
their cells at every call.
"""
