"""Recency, frequency and money: the scores at a time, the segment, and when the next change can come by waiting alone.

score(orders, now, cuts)        ->  Score("Potential loyalist", 5, 2, 3)
next_change(orders, now, cuts)  ->  the first later time at which any score can differ
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from msgspec import Struct

from schemas.records import DAY
from schemas.workspace import Cuts
from transforms.logic.profile import Order

FREQUENCY_WINDOW = 365 * DAY
MONEY_WINDOW = 730 * DAY

_LOW = ("Hibernating", "Hibernating", "At risk", "At risk", "Can't lose")
GRID = (
    _LOW,
    _LOW,
    ("About to sleep", "About to sleep", "Needs attention", "Loyal", "Loyal"),
    ("Promising", "Potential loyalist", "Potential loyalist", "Loyal", "Loyal"),
    ("New", "Potential loyalist", "Potential loyalist", "Champion", "Champion"),
)
"""Segment by recency score (rows, 1 first) and frequency score (columns, 1 first)."""


class Score(Struct, frozen=True):
    """Scores 1 to 5 and their segment; all empty for somebody who never bought."""

    segment: str = ""
    recency: int = 0
    frequency: int = 0
    monetary: int = 0


def score(orders: Sequence[Order], now: int, cuts: Cuts) -> Score:
    """The scores at `now`. Orders of no net value do not count."""
    bought = _bought(orders)
    if not bought:
        return Score()
    days = max(0, now - max(bought)[0]) // DAY
    counting, paying = now - FREQUENCY_WINDOW, now - MONEY_WINDOW
    recency = 5 - bisect_left(cuts.recency, days)
    frequency = 1 + bisect_right(cuts.frequency, len([at for at, _ in bought if at > counting]))
    monetary = 1 + bisect_right(cuts.monetary, sum([net for at, net in bought if at > paying]))
    return Score(GRID[recency - 1][frequency - 1], recency, frequency, monetary)


def next_change(orders: Sequence[Order], now: int, cuts: Cuts) -> int:
    """When waiting alone can next change a score, 0 if never: a recency bound is passed or an order leaves a window."""
    bought = _bought(orders)
    if not bought:
        return 0
    last = max(bought)[0]
    times = [last + (days + 1) * DAY for days in cuts.recency]
    for window in (FREQUENCY_WINDOW, MONEY_WINDOW):
        inside = [at for at, _ in bought if at > now - window]
        if inside:
            times.append(min(inside) + window)
    return min([time for time in times if time > now], default=0)


def _bought(orders: Sequence[Order]) -> list[tuple[int, int]]:
    """Time and net value of the orders that have any; what a browser claims counts where no server told of orders."""
    told = [order for order in orders if not order.claimed]
    counted = told if any(order.at for order in told) else orders
    return [(order.at, net) for order in counted if (net := order.net)]
