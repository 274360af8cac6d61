"""Rules of ours that fail on some records, planted into this process: what a worker does with poison shows on them.

A worker of Flink plants them when it starts, if its environment is `settings(folder)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

from transforms.logic.engage import Engage
from transforms.logic.pointers import Pointers
from transforms.logic.shard import Outputs, Shard

ROOT = Path(__file__).parents[2]
ONE_IN = 40


def is_poison(event: str, stage: str) -> bool:
    """Whether a stage fails on the record of that id."""
    return crc32(f"{stage} {event}".encode()) % ONE_IN == 0


def plant(put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Break identify and engage for one record in forty, each for others."""
    place, run = Pointers._place, Engage.run

    def placed(self: Pointers, event: Any, *more: Any) -> None:
        if is_poison(event.id, "identify"):
            raise KeyError("planted")
        place(self, event, *more)

    def engaged(self: Engage, shard: Shard, items: Sequence[Any]) -> Outputs:
        if any(is_poison(item.event.id, "engage") for item in items):
            raise ValueError("planted")
        return run(self, shard, items)

    put(Pointers, "_place", placed)
    put(Engage, "run", engaged)


def settings(folder: Path) -> dict[str, str]:
    """The environment of a worker that plants them before anything else; Python looks for this file by its name."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text("from planted import plant\n\nplant()\n")
    return {"PYTHONPATH": f"{folder}:{Path(__file__).parent}:{ROOT}"}
