"""A second opinion: the same journal, read in order, decided again by code that shares only the schemas.

It is slow on purpose (plain dictionaries, every question walks a list) and separate on purpose: nothing here or in the
modules `oracle_…` imports a rule of `transforms`. For any journal the stream must decide exactly what this decides.

First every record is read, checked for repeats and given an address, in journal order (`Reading`). Then each address
lives its life (`Life`): records and wakes in order of time, a record before a wake at the same instant. What the job
gave back is in the journal; the oracle takes it from there, and tells apart what should have been given back.

Where the rules as written are silent, it holds with the stream:

- Whoever comes as far as the control group has entered a campaign, also one who is then capped.
- A cart that was bought from, emptied or taken to the checkout is judged in event time, whatever arrived when.
- History regrets nothing: a cart is not remembered longer than that.
- What was before a cart was emptied or replaced is forgotten: whatever ends a cart and came late regrets the reminder
  if it happened after the activity that the reminder was about.
- A merge scores the survivor at once (cause `order`), fires nothing, and lets waits that are over ring at once.
- Of two waits of one campaign the newer stays; of two refunds of one order told of two people, the larger.
- A delivery, a cancellation and a refund score as an order does: a move is published at once.
- An order told twice under one id counts as first placed, at its lower value, and is scored when something else is.
- A message refused by the sender keeps its key: the same trigger asks again in vain (DUPLICATE).
- A view adds an identifier but never makes one the newest.
- A forwarded click teaches its browser's cookie whose it is; one that finds its person at once does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from oracle_living import World
from oracle_reading import Reading
from oracle_verdict import Verdict

from schemas.records import Block
from schemas.workspace import Tenant

__all__ = ["Verdict", "judge"]


def judge(tenants: Mapping[str, Tenant], secret: bytes, blocks: Iterable[Block], until: int) -> Verdict:
    """Decide everything in `blocks`, with time passing up to and including `until`."""
    verdict = Verdict()
    reading = Reading(secret, verdict)
    for block in blocks:
        for index, entry in enumerate(block.entries):
            reading.read(entry, block.received_at, block.first + index)
    world = World(tenants, secret, verdict)
    for arrival in reading.arrivals:
        if arrival.kind == "cuts":
            world.publish(arrival)
        else:
            world.life(arrival).take(arrival)
    for life in world.lives.values():
        life.pass_time(until, inclusive=True)
    return verdict
