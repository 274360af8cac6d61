"""What a Python process of Flink does before it takes work: `--beam_plugin` imports this module.

Beam weighs each value that it puts into its state cache by walking all that the value could reach, and for that it
lists every global of every module: half a millisecond a value. Our cells hold bytes, so their length is their weight.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from typing import Any

from apache_beam.runners.worker import statecache

LEAST = 64
"""Bytes that any entry costs."""


def weight(*values: Any) -> int:
    """About how many bytes of memory the values of one cell take."""
    return LEAST + sum(map(_weight, values))


def _weight(value: Any) -> int:
    if isinstance(value, bytes | str):
        return LEAST + len(value)
    if isinstance(value, statecache.CacheAware):
        return LEAST + sum(map(_weight, value.get_referents_for_cache()))
    if isinstance(value, Iterable) and not isinstance(value, dict):
        return LEAST + sum(map(_weight, value)) if isinstance(value, list | tuple | set) else LEAST
    return sys.getsizeof(value)


def prepare() -> None:
    """Make the state cache cheap, and keep what is loaded by now out of the collector's way."""
    if not callable(getattr(statecache, "get_deep_size", None)):
        raise RuntimeError("expected apache_beam's statecache.get_deep_size, it is gone; compare the pinned version")
    statecache.get_deep_size = weight
    gc.freeze()


prepare()
