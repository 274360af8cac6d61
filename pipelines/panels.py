"""The panels of the live view: each is a function from figures to something that the terminal can show."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import msgspec
from rich import box
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipelines.clock import Clock
from pipelines.figures import Figures
from schemas.records import Message

WIDTH = 24
"""Bars of the sparkline, one for each half second."""

BARS = " ▁▂▃▄▅▆▇█"
FEELINGS = (("negative", "red"), ("neutral", "grey50"), ("positive", "green"))
BAR = 18
SLOW = 2.0
NOTHING = Text("nothing yet", style="dim")


@dataclass(slots=True)
class Pulse:
    """How fast a count has risen lately; times are real seconds."""

    marks: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=WIDTH + 1))

    def beat(self, now: float, count: int) -> None:
        """Note the count, at most twice a second."""
        if not self.marks or now - self.marks[-1][0] >= 0.5:
            self.marks.append((now, count))

    def rates(self) -> list[float]:
        """Per second, oldest first."""
        return [max(0.0, (after[1] - before[1]) / (after[0] - before[0])) for before, after in pairwise(self.marks)]

    @property
    def rate(self) -> float:
        """Per second, over the last few seconds."""
        latest = self.rates()[-6:]
        return sum(latest) / len(latest) if latest else 0.0


def spark(rates: Iterable[float]) -> str:
    """A line of bars, the highest of them full.

    >>> spark([0, 1, 2])
    ' ▄█'
    """
    values = list(rates)
    top = max(values, default=0.0) or 1.0
    return "".join(BARS[round(value / top * (len(BARS) - 1))] for value in values)


def heading(found: Figures, pulse: Pulse, clock: Clock) -> RenderableType:
    """Journal time and the large figures."""
    p50, p99 = (milliseconds(found.latency(share), clock) for share in (0.5, 0.99))
    tiles = (
        ("events in", f"{found.external:,}  [dim]{pulse.rate:,.0f}/s[/]", f"[cyan]{spark(pulse.rates())}[/]"),
        ("people known", f"{len(found.people):,}", ""),
        (
            "messages sent",
            f"{sum(found.sent.values()):,}",
            f"[dim]{found.waiting} on their way[/]" if found.waiting else "",
        ),
        ("event to sink", f"p50 {p50}", f"[dim]p99 {p99}[/]"),
    )
    grid = Table.grid(expand=True, padding=(0, 2))
    for ratio in (3, 2, 2, 2):
        grid.add_column(ratio=ratio)
    grid.add_row(*(f"[dim]{name}[/]\n[bold]{value}[/]\n{more}" for name, value, more in tiles))
    speed = f" · {clock.speed:g} times as fast as real time" if clock.speed != 1 else ""
    title = f"[bold]Rapport[/] · journal {moment(found.last)}{speed}"
    return Panel(grid, title=title, title_align="left", border_style="cyan", box=box.ROUNDED)


def messages(found: Figures) -> RenderableType:
    """What was sent, by campaign, with the newest example of each as the person gets it."""
    table = Table(box=None, expand=True, show_header=False, padding=(0, 1))
    table.add_column(justify="right", style="bold green", width=6)
    table.add_column(ratio=1)
    for campaign in sorted(found.decided):
        table.add_row(f"{found.sent[campaign]:,}", example(campaign, found.examples[campaign]))
    return Panel(table if found.decided else NOTHING, title="messages", title_align="left", border_style="green")


def example(campaign: str, message: Message) -> Text:
    """A rendered message in three lines: campaign and address, subject, first line."""
    parts = body_of(message)
    late = " · late" if message.variant == "late" else ""
    lines = [line.strip() for line in str(parts.get("text", "")).splitlines() if line.strip()]
    return Text.assemble(
        (campaign, "bold"),
        (f"  {message.to}{late}\n", "dim"),
        (f"{parts.get('subject') or parts.get('title') or ''}\n", "italic"),
        (lines[0] if lines else "", "grey70"),
        no_wrap=True,
        overflow="ellipsis",
    )


def refusals(found: Figures) -> RenderableType:
    """What was not sent, and why."""
    table = Table(box=None, expand=True, show_header=False, padding=(0, 1))
    table.add_column(justify="right", style="bold yellow", width=6)
    table.add_column(style="yellow", no_wrap=True)
    table.add_column(style="dim", no_wrap=True, overflow="ellipsis")
    for (campaign, reason), number in found.refused.most_common(8):
        table.add_row(f"{number:,}", reason.lower().replace("_", " "), campaign)
    return Panel(
        table if found.refused else NOTHING, title="not sent, and why", title_align="left", border_style="yellow"
    )


def said(found: Figures) -> RenderableType:
    """What people say about each brand: a bar of feelings."""
    table = Table(box=None, expand=True, show_header=False, padding=(0, 1))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", style="dim", no_wrap=True)
    for brand in sorted(found.feelings):
        counts = found.feelings[brand]
        table.add_row(brand, bar(counts), f"{sum(counts.values()):,}")
    legend = Text.assemble(*(part for name, colour in FEELINGS for part in (("■ ", colour), (f"{name}  ", "dim"))))
    content = Group(table, legend) if found.feelings else NOTHING
    return Panel(content, title="what people say", title_align="left", border_style="magenta")


def bar(counts: Counter[str]) -> Text:
    """Shares of feelings as coloured blocks, `BAR` wide, widths by largest remainder."""
    total = sum(counts[name] for name, _ in FEELINGS)
    ends = [0]
    for name, _ in FEELINGS:
        ends.append(ends[-1] + counts[name])
    places = [round(end / total * BAR) if total else 0 for end in ends]
    return Text.assemble(
        *(
            ("█" * (after - before), colour)
            for (before, after), (_, colour) in zip(pairwise(places), FEELINGS, strict=True)
        )
    )


def ledger(found: Figures) -> RenderableType:
    """What was taken out of the stream on the way, by reason; nothing vanishes."""
    found_out = [(f"{number:,} {name}", "grey70") for name, number in sorted(found.filtered.items())]
    broken = [(f"{number:,} {name}", "red") for name, number in sorted(found.failures.items())]
    columns = Columns(
        [Text(text.replace("_", " "), style=style) for text, style in (*found_out, *broken)], padding=(0, 2)
    )
    content = columns if found_out or broken else NOTHING
    return Panel(content, title="filtered and failed", title_align="left", border_style="grey50")


def footer(states: Mapping[str, Mapping[str, Any]], clock: Clock, note: str) -> RenderableType:
    """How each process is, by what it says of itself, and the caller's note."""
    parts: list[tuple[str, str]] = []
    for name, told in states.items():
        text, colour = state(told, clock)
        parts += [(" ● ", colour), (f"{name} ", ""), (f"{text} ", "dim")]
    return Text.assemble(*parts, (f"  {note}", "italic dim"))


def plain(found: Figures, rate: float, clock: Clock) -> str:
    """All figures in one line."""
    sent = ", ".join(f"{name} {number}" for name, number in sorted(found.sent.items())) or "none"
    reasons: Counter[str] = Counter()
    for (_, reason), number in found.refused.items():
        reasons[reason] += number
    refused = ", ".join(f"{name} {number}" for name, number in sorted(reasons.items())) or "none"
    feelings = ", ".join(
        f"{brand} {'/'.join(str(counts[name]) for name, _ in FEELINGS)}"
        for brand, counts in sorted(found.feelings.items())
    )
    p50, p99 = (milliseconds(found.latency(share), clock) for share in (0.5, 0.99))
    return (
        f"{moment(found.last)} | {found.external:,} events in ({rate:.0f}/s) | {len(found.people):,} people | "
        f"sent: {sent} | p50 {p50}, p99 {p99} | refused: {refused} | -/=/+: {feelings or 'none'} | "
        f"filtered {sum(found.filtered.values())}, failed {sum(found.failures.values())}"
    )


# --- small things -----------------------------------------------------------------------------------------------------


def state(told: Mapping[str, Any], clock: Clock) -> tuple[str, str]:
    """What a process says of itself in a few words, with a colour: its trouble, or how much is still to do."""
    if trouble := told.get("trouble") or told.get("error"):
        return str(trouble), "red"
    lag = told.get("lag", -1)
    if isinstance(lag, int) and lag >= 0:
        return f"{milliseconds(lag, clock)} behind", "green" if clock.real_seconds(lag) < SLOW else "yellow"
    return (f"{told['open']} open", "green") if told.get("open") else ("", "green")


def body_of(message: Message) -> dict[str, Any]:
    """The rendered parts of a message; none if its body is no JSON object."""
    try:
        return msgspec.json.decode(message.body, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}


def milliseconds(duration: int | None, clock: Clock) -> str:
    """A duration of journal time as it felt in real time."""
    return "–" if duration is None else f"{clock.real_seconds(duration) * 1000:,.0f} ms"


def moment(stamp: int) -> str:
    """Journal time for people, UTC."""
    return f"{datetime.fromtimestamp(stamp / 1e6, UTC):%a %d %b %H:%M}" if stamp else "not begun"
