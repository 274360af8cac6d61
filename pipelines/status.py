"""Each process tells people how it is doing: one small file of figures, written once a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

EVERY = 1.0


class Status:
    """Writes `folder/NAME.json`, whole or not at all; `figures` is only called when it is time."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / f"{name}.json"
        self._next = 0.0

    def tell(self, figures: Callable[[], Mapping[str, Any]], *, now: bool = False) -> None:
        """Write the figures if a second has passed since the last time, or at once with `now`."""
        if not now and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(figures()))
        fresh.replace(self._file)
