"""The sender's lease: a number that rises with every start, so that a paused sender that wakes knows it was followed.

The log's lock already keeps a second sender out on one machine; the lease also holds where a lock was lost or broken.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from struct import Struct

_NUMBER = Struct("<Q")


class LeaseLost(RuntimeError):
    """Another sender has started on this store: this one must not begin another attempt."""


class Lease:
    """Takes the next epoch in `folder`; `at_least` is the last one that the store knows."""

    def __init__(self, folder: Path, at_least: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "epoch").open("a+b") as file:
            file.truncate(_NUMBER.size)
            self._map = mmap.mmap(file.fileno(), _NUMBER.size)
        self.epoch = max(self._newest(), at_least) + 1
        self._map[:] = _NUMBER.pack(self.epoch)
        self._map.flush()

    def keep(self) -> None:
        """Nothing to renew: the lease lasts until somebody takes the next one."""

    def check(self) -> None:
        """Raises LeaseLost once a later epoch has been taken."""
        newest = self._newest()
        if newest != self.epoch:
            raise LeaseLost(f"expected to hold epoch {self.epoch}, the store is at {newest}; another sender took over")

    def close(self) -> None:
        """Free the file."""
        self._map.close()

    def _newest(self) -> int:
        number: int = _NUMBER.unpack_from(self._map)[0]
        return number
