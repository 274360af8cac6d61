"""Frequency caps over rolling windows, and the reservations that they count.

An open reservation counts as sent now. Its receipt moves it to its real time or releases it; without one it is taken
for sent at its expiry, 72 hours after that. Terminal states are ordered, so late and doubled receipts commute.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from schemas.records import DAY, HOUR, Receipt
from schemas.workspace import Cap
from transforms.logic.profile import SENDS, Person, Send

CONFIRMED_AFTER = 72 * HOUR
KEPT = 45 * DAY
"""How long a send is remembered; longer than any cap's window."""

_RANK = {"open": 0, "refused": 1, "in_doubt": 2, "sent": 3}
_MEANS = {
    "sent": "sent",
    "in_doubt": "in_doubt",
    "refused": "refused",
    "delivered": "sent",
    "opened": "sent",
    "clicked": "sent",
    "bounced": "sent",
    "complained": "sent",
}
_EVERY = "*"


def is_capped(sends: Iterable[Send], caps: Iterable[Cap], channel: str, now: int) -> bool:
    """Whether one more message on `channel` would break any cap."""
    counted = [(send.channel, time) for send in sends if (time := counts_at(send, now)) is not None]
    return any(
        sum(time > now - cap.window for on, time in counted if cap.channel in (on, _EVERY)) >= cap.count
        for cap in caps
        if cap.channel in (channel, _EVERY)
    )


def counts_at(send: Send, now: int) -> int | None:
    """The time at which a send counts, None if it does not."""
    if not send.counts or send.state == "refused":
        return None
    if send.state != "open":
        return send.at
    return now if now < send.expires + CONFIRMED_AFTER else send.expires


def mark(address: str) -> str:
    """A short stand-in for an address: enough to count what went there."""
    return blake2b(address.encode(), digest_size=8).hexdigest() if address else ""


def reserved(sends: list[Send], new: Send) -> bytes:
    """The packed sends with a new one; the longest forgotten ones go."""
    horizon = new.decided - KEPT
    return SENDS.write([*[old for old in sends if old.decided > horizon], new])


def settle(person: Person, receipt: Receipt) -> bool:
    """Move the reservation of a receipt. False: there is none (a ghost), but if it left, it counts all the same."""
    sends = SENDS.read(person.sends)
    send = next((each for each in sends if each.key == receipt.key), None)
    state = _MEANS.get(receipt.state, "open")
    if send is not None:
        _move(send, state, receipt.at)
    elif receipt.state in ("sent", "in_doubt"):
        sends.append(Send(receipt.key, "", receipt.channel, "", "", receipt.at, receipt.at, True, state, receipt.at))
    else:
        return False
    person.sends = SENDS.write(sends)
    return send is not None


def _move(send: Send, state: str, at: int) -> None:
    if _RANK[state] > _RANK[send.state]:
        send.state, send.at = state, at
    elif state == send.state != "open":
        send.at = min(send.at, at)


def unite(mine: list[Send], others: list[Send]) -> list[Send]:
    """The sends of two people who turn out to be one, by key."""
    found = {send.key: send for send in mine}
    for other in others:
        own = found.setdefault(other.key, other)
        if own is not other:
            _move(own, other.state, other.at)
            own.regretted = own.regretted or other.regretted
    return list(found.values())
