"""A table of sends that was lost, made again from what others remember: receipts in the journal, intents in their log.

Pure. What has a receipt is over. What has none may have been under way when the table was lost, and is taken for that:
tried again under the same key where the sink can tell, in doubt where it cannot.
"""

from __future__ import annotations

from collections.abc import Iterable

from schemas.records import Message, Receipt
from transforms.logic.delivery import CLAIMED, TERMINAL, Send, begin


def ended(receipts: Iterable[Receipt]) -> dict[str, Send]:
    """The end of each send that receipts tell of; the last one of a key that was decided several times."""
    found: dict[str, Send] = {}
    for receipt in receipts:
        known = found.get(receipt.key)
        if receipt.state in TERMINAL and (known is None or receipt.revision >= known.revision):
            found[receipt.key] = Send(
                receipt.state, receipt.revision, attempts=receipt.attempt, at=receipt.at, code=receipt.code
            )
    return found


def cut_short(message: Message) -> Send:
    """The send of an intent without a receipt: as if its first attempt had begun when it was decided."""
    return begin(Send(CLAIMED, message.revision, due=message.decided_at, message=message), message.decided_at)
