"""How many records came after a later one of the same person: what taking them in order of arrival costs, counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from schemas.records import SECOND, Order

WINDOW = 30 * SECOND
"""How much journal time is remembered at least; readers stay within a second of their slowest partition."""


class Disorder:
    """The last place of everybody seen lately. In memory only: after a restart it begins anew."""

    def __init__(self) -> None:
        self._since = 0
        self._last: dict[bytes, Order] = {}
        self._before: dict[bytes, Order] = {}

    def count(self, items: Iterable[Any], key: Callable[[Any], bytes]) -> int:
        """How many of the items, in their order of arrival, stand below the last one of their key."""
        last, before, found = self._last, self._before, 0
        newest = self._since
        for item in items:
            who, order = key(item), item.order
            known = last.get(who) or before.get(who)
            if known is not None and order < known:
                found += 1
            else:
                last[who] = order
                newest = max(newest, order[0])
        self._forget(newest)
        return found

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len({*self._last, *self._before})

    def _forget(self, newest: int) -> None:
        """Let go of those who were last seen before the window."""
        if newest - self._since > WINDOW:
            self._since, self._last, self._before = newest, {}, self._last
