"""A door over real HTTP, in a thread of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.config import Config
from pipelines.door import serve

PATIENCE = 20.0


@contextmanager
def served(data: Path) -> Iterator[int]:
    """The port of a door on a data folder."""
    stop, up = threading.Event(), threading.Event()
    lines: list[str] = []

    def ready(line: str) -> None:
        lines.append(line)
        up.set()

    config = Config(data, port=0, sync=False)
    thread = threading.Thread(target=serve, args=(config, stop.is_set), kwargs={"ready": ready})
    thread.start()
    try:
        assert up.wait(PATIENCE), "expected the door to be ready"
        yield int(lines[0].rpartition(":")[2])
    finally:
        stop.set()
        thread.join(PATIENCE)
