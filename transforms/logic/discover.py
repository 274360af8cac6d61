"""Bytes to typed records: each entry of the journal becomes one event or mention, or one failure that says why.

    track "Signed Up" {"email": "Ana@Shop.example "}  ->  Event(fact=SignedUp(), ids=Ids(email="ana@shop.example"))
    {"type": "track", "event": "Order Com             ->  Failure(reason="bad_json")

Nothing raises past here, and one record's failure never touches another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from schemas.failures import STEP_FAILED, UNKNOWN_KIND, UNREADABLE, Refused, form_of
from schemas.keys import derived_id
from schemas.records import Block, Entry, Event, EventRow, Failure, Mention, MentionRow
from transforms.logic.families import CALLS, event_in
from transforms.logic.posts import mention_of
from transforms.logic.returns import derived_of, receipt_of
from transforms.logic.shard import Outputs

STAGE = "discover"
LISTEN, PERSON = "listen", "person"
MENTION = "mention"
_DETAIL = 200
_FAILED = "failed"

Read = tuple[Event | Mention, str]


def _unreadable(entry: Entry, block: Block, sequence: int) -> Read:  # noqa: ARG001 (all readers alike)
    raise Refused(UNREADABLE, "expected a JSON object of at most 32 KB and 64 levels")


def _unknown(entry: Entry, block: Block, sequence: int) -> Read:  # noqa: ARG001
    raise Refused(UNKNOWN_KIND, f"expected one of {', '.join(READERS)}, got {form_of(entry.kind)}")


READERS: Mapping[str, Callable[[Entry, Block, int], Read]] = {
    **dict.fromkeys(sorted(CALLS), event_in),
    "receipt": receipt_of,
    "derived": derived_of,
    MENTION: mention_of,
    "unreadable": _unreadable,
}
"""Who reads which kind of entry: gives the record and what was amended of its time ("" for nothing)."""


def discover(blocks: Iterable[Block], lane: str, notes: Counter[str] | None = None) -> Outputs:
    """The records of one lane: mentions for `listen`, all others as events for `person`.

    `notes` counts times that were amended: `skew` (a clock that was not believed), `future` (a time ahead of ours).
    """
    out, counts, listens = Outputs(), Counter[str]() if notes is None else notes, lane == LISTEN
    taken: list[Any] = out.mentions if listens else out.events
    for block in blocks:
        for sequence, entry in enumerate(block.entries, block.first):
            kind = entry.kind
            if (kind == MENTION) is not listens:
                continue
            try:
                found, note = READERS.get(kind, _unknown)(entry, block, sequence)
            except Refused as refused:
                _refuse(out, entry, block, sequence, refused)
            except Exception as error:  # the isolation wall of this stage
                _refuse(out, entry, block, sequence, Refused(STEP_FAILED, type(error).__name__))
            else:
                taken.append(found)
                if note:
                    counts[note] += 1
    return out


def _refuse(out: Outputs, entry: Entry, block: Block, sequence: int, refused: Refused) -> None:
    out.failures.append(
        Failure(
            id=derived_id("failure", STAGE, block.partition, sequence, 0),
            tenant=entry.tenant,
            stage=STAGE,
            reason=refused.reason,
            detail=refused.detail[:_DETAIL],
            body=entry.body,
            received_at=block.received_at,
            partition=block.partition,
            sequence=sequence,
        )
    )
    line = _mention_line if entry.kind == MENTION else _event_line
    out.rows.append(line(entry, block, sequence, refused.reason))


def _event_line(entry: Entry, block: Block, sequence: int, reason: str) -> EventRow:
    return EventRow(
        id=derived_id("event", block.partition, sequence, 0, _FAILED),
        tenant=entry.tenant,
        type=entry.kind,
        event_time=block.received_at,
        received_at=block.received_at,
        partition=block.partition,
        sequence=sequence,
        sub=0,
        derived=entry.kind == "derived",
        trust=entry.trust,
        source=entry.source,
        person="",
        disposition=_FAILED,
        reason=reason,
    )


def _mention_line(entry: Entry, block: Block, sequence: int, reason: str) -> MentionRow:
    return MentionRow(
        id=derived_id("mention", block.partition, sequence, 0),
        tenant=entry.tenant,
        source_type="",
        network="",
        author="",
        text="",
        url="",
        thread="",
        event_time=block.received_at,
        received_at=block.received_at,
        partition=block.partition,
        sequence=sequence,
        language="",
        directed=False,
        disposition=_FAILED,
        reason=reason,
    )
