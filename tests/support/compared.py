"""Stream and oracle side by side: everything in which they are not of one mind about a journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from oracle import Verdict, judge
from shop import SECRET
from told import Told

from schemas.records import Block, ReceiptRow, Silenced
from schemas.workspace import Tenant

Found = dict[str, Counter[tuple[Any, ...]]]


def differences(tenant: Tenant, journal: Sequence[Block], told: Told) -> list[str]:
    """One line each, by kind; empty if the stream decided all that the oracle decides and nothing else."""
    until = journal[-1].received_at
    expected = by_oracle(judge({tenant.name: tenant}, SECRET, journal, until))
    return unlike(by_stream(told), expected, ("stream", "oracle"))


def unlike(first: Found, second: Found, names: tuple[str, str]) -> list[str]:
    """What only one of two has, and how often."""
    return [
        f"{kind}, only {name}: {item}"
        for kind in first
        for name, mine, other in ((names[0], first[kind], second[kind]), (names[1], second[kind], first[kind]))
        for item in sorted((mine - other).elements(), key=repr)
    ]


def by_stream(told: Told) -> Found:
    """What a run handed over, as the oracle counts it."""
    return {
        "decisions": Counter(
            (row.person, row.campaign, row.trigger, row.reason, row.decided_at) for row in told.decisions if row.final
        ),
        "regrets": Counter(
            (row.person, row.campaign, row.trigger, row.decided_at) for row in told.decisions if not row.final
        ),
        "messages": Counter(
            (m.key, m.campaign, m.to, m.variant, m.decided_at, m.expires_at, m.caused_at, m.suppression)
            for m in told.messages
        ),
        "segments": Counter(
            (row.person, row.old, row.new, row.cause, row.as_of, row.cuts, row.recency, row.frequency, row.monetary)
            for row in told.segments
        ),
        "records": Counter((row.sequence, row.disposition, row.reason, row.person) for row in told.events),
        "failures": Counter((row.sequence, row.reason) for row in told.failures),
        "returned": Counter(
            ("handover" if back.original is None else "forward", back.cause, back.address, back.hops)
            for back in told.feedback
            if not isinstance(back.fact, Silenced) or back.original is not None
        ),
        "silenced": Counter(
            (back.cause, back.address, fact.addresses, fact.refused, fact.said_at, fact.number)
            for back in told.feedback
            if isinstance(fact := back.fact, Silenced) and back.original is None
        ),
        "receipts": Counter((row.key, row.state, row.matched) for row in told.rows(ReceiptRow)),
    }


def by_oracle(verdict: Verdict) -> Found:
    """The oracle's verdict in the same form; every record that failed left one failure."""
    return {
        "decisions": verdict.decisions,
        "regrets": verdict.regretted,
        "messages": Counter((key, *message) for key, message in verdict.messages.items()),
        "segments": verdict.segments,
        "records": verdict.lines,
        "failures": Counter((sequence, reason) for sequence, end, reason, _ in verdict.lines if end == "failed"),
        "returned": verdict.returned,
        "silenced": verdict.silenced,
        "receipts": verdict.receipts,
    }
