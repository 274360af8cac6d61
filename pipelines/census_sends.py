"""Counting sends that several senders share in a Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from pipelines.config import Config
from pipelines.shared import open_redis
from schemas.records import Derived, Message, Receipt
from transforms.logic.delivery import TERMINAL


class End(NamedTuple):
    """What a receipt of a sender is about."""

    key: str
    state: str
    revision: int


def ends_in(receipts: Iterable[Receipt | Derived]) -> set[End]:
    """The ends that senders told of: each once, however often it was told."""
    facts = (each.fact if isinstance(each, Derived) else each for each in receipts)
    ours = (fact for fact in facts if isinstance(fact, Receipt) and fact.state in TERMINAL)
    return {End(fact.key, fact.state, fact.revision) for fact in ours}


def shared_sends(
    config: Config, after: Callable[[bytes], Iterable[Message]], journaled: set[End]
) -> tuple[dict[str, int], set[End]]:
    """The ledger's counts of the sends in Redis, and the ends of which no sender has handed on the receipt.

    `after` gives the intents behind a place of the senders', `journaled` are the ends that the journal knows. Several
    senders meet the same intent, so those that came again are no part of the count. Raises ConfigError, RedisDown.
    """
    from transforms.stores.redis_tally import Tally

    server = open_redis(config.redis)
    try:
        tally = Tally(server)
        waiting = ends_in(tally.waiting()) - journaled
        unread = {(each.key, each.revision) for each in tally.unclaimed(after(tally.position))}
        counts = {
            "taken": tally.counts.taken,
            "ended": tally.counts.sent + tally.counts.refused + tally.counts.in_doubt,
            "open": tally.open(),
            "unread_intents": len(unread),
            "receipts": len(journaled | waiting),
        }
        return counts, waiting
    finally:
        server.close()
