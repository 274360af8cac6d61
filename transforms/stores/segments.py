"""The files of a log: segments named by the address of their first byte, and the published end."""

from __future__ import annotations

import fcntl
import mmap
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transforms.stores.packed import Numbers

SUFFIX = ".log"
HEAD = "head"
SEGMENT_BYTES = int(os.environ.get("RAPPORT_SEGMENT", 64 << 20))
"""How long a segment grows; a crash test makes it short, so that ends, drops and snapshots come soon."""


class LogBusy(RuntimeError):
    """Another process writes this log."""


REMEDY = (
    "restore the whole data folder from a copy; or, where it is the journal, `rapport mend` sets aside what cannot be "
    "read, goes on behind it and says what is lost"
)


class LogCorrupt(RuntimeError):
    """Committed bytes are not what was written: says what was found, and what can be done."""

    def __init__(self, found: str) -> None:
        super().__init__(f"{found}; {REMEDY}")


def segment_file(folder: Path, start: int) -> Path:
    return folder / f"{start:020d}{SUFFIX}"


def segment_starts(folder: Path) -> list[int]:
    """Addresses at which the kept segments begin, rising; empty if there is no such folder."""
    try:
        names = [file.name for file in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(name[: -len(SUFFIX)]) for name in names if name.endswith(SUFFIX))


def reach(folder: Path) -> int:
    """The address that no frame of a log can lie behind; 0 where nothing was ever written."""
    starts = segment_starts(folder)
    return starts[-1] + segment_file(folder, starts[-1]).stat().st_size if starts else 0


def sync_folder(folder: Path) -> None:
    """Make new, renamed and removed names of a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, *, sync: bool) -> None:
    """Make a folder, and its new names durable up to the first that was there."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing if sync else ():
        sync_folder(path.parent)


class Lock:
    """The right to write in a folder, held until `close` or the end of the process."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._descriptor, 20, 0).decode() or "another process"
            os.close(self._descriptor)
            raise LogBusy(
                f"expected to be the only writer of {folder}, but process {holder} is; stop it first"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def close(self) -> None:
        os.close(self._descriptor)


class Head:
    """The address up to which a log is committed: eight mapped bytes that every process can see without a call."""

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        """Raises FileNotFoundError for a reader if no writer has been here."""
        flags = os.O_RDWR | os.O_CREAT if write else os.O_RDONLY
        descriptor = os.open(folder / HEAD, flags | os.O_CLOEXEC, 0o644)
        try:
            if os.fstat(descriptor).st_size < 8:
                if not write:
                    raise FileNotFoundError(folder / HEAD)
                os.ftruncate(descriptor, 8)
            self._map = mmap.mmap(descriptor, 8, access=mmap.ACCESS_WRITE if write else mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
        self._cell = memoryview(self._map).cast("Q")  # one aligned store or load: never half a number

    @property
    def end(self) -> int:
        return self._cell[0]

    def publish(self, end: int) -> None:
        self._cell[0] = end

    def close(self) -> None:
        self._cell.release()
        self._map.close()


class Segments:
    """Mapped views of a log's files, found by address. A view outlives the removal of its file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._views: dict[int, mmap.mmap] = {}
        self.refresh()

    def refresh(self) -> None:
        """Look for files that came and went; views of those that went are let go."""
        self.starts = segment_starts(self._folder)
        self.numbers = np.array(self.starts, np.uint64)
        kept = set(self.starts)
        self._views = {start: view for start, view in self._views.items() if start in kept}

    def view(self, start: int, upto: int) -> mmap.mmap:
        """The bytes of the segment at `start`, at least `upto` of them.

        Raises FileNotFoundError if it was dropped, LogCorrupt if it is shorter.
        """
        view = self._views.get(start)
        if view is None or len(view) < upto:
            with segment_file(self._folder, start).open("rb") as file:
                view = self._views[start] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if len(view) < upto:
            raise LogCorrupt(f"expected {upto} bytes in {segment_file(self._folder, start)}, got {len(view)}")
        return view

    def places_in(self, addresses: Numbers) -> NDArray[np.intp]:
        """For each address the number (in `starts`) of the segment that holds it, -1 if that was dropped."""
        return np.searchsorted(self.numbers, addresses, "right") - 1

    def close(self) -> None:
        self._views.clear()  # the last reference unmaps
