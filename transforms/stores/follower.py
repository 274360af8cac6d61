"""Another process's rows, read only: what its `RowStore` has committed, a moment later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from transforms.stores.index import Digest, Index, digest, read_rows
from transforms.stores.log import LogReader
from transforms.stores.segments import Segments, segment_starts
from transforms.stores.state import ROWS

ATTEMPTS = 8


class Follower:
    """Finds rows of a store that another process writes, or will write: an absent folder is an empty store.

    `refresh` takes over what was committed since; reading the news costs one look at memory when there are none.
    """

    def __init__(self, folder: Path, *, digest: Digest = digest) -> None:
        self._folder, self._digest = folder, digest
        self._segments: Segments
        self._index: Index
        self._reader: LogReader
        self._begin()
        self.refresh()

    def __len__(self) -> int:
        return len(self._index)

    @property
    def address(self) -> int:
        """Up to where the owner's log was read."""
        return self._reader.address

    def refresh(self) -> None:
        """Take over all commits up to now."""
        while True:
            frames = self._reader.read()
            if self._reader.gap:  # the owner dropped what was not read; what lives was copied forward
                self._reader.close()
                self._begin()
            elif not frames:
                return
            else:
                self._segments.refresh()
                for frame in frames:
                    part = frame.parts[ROWS]
                    self._index.apply(read_rows(part.payload, 0, part.address))

    def get(self, key: bytes) -> bytes | None:
        """The row as of the last `refresh`, or newer; None if there is none."""
        return self.get_many([key])[0]

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        for _ in range(ATTEMPTS):
            try:
                return self._index.get_many(keys)[1]
            except FileNotFoundError:  # its segment was dropped, so a copy was committed before
                self._segments.refresh()
                self.refresh()
        raise RuntimeError(f"expected the rows of {self._folder} to stand still for a moment; is its disk overloaded?")

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All rows as of the last `refresh`, in any order."""
        return self._index.items()

    def close(self) -> None:
        self._reader.close()
        self._segments.close()

    def _begin(self) -> None:
        """Start anew at the oldest frame that is still there."""
        self._segments = Segments(self._folder)
        self._index = Index(self._segments, self._digest)
        self._reader = LogReader(self._folder, min(segment_starts(self._folder), default=0), {ROWS})
