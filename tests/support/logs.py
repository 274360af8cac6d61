"""Logs of table rows as the engine's store writes them, for tests of everything that reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from intents import NOON, intent

from schemas.codec import pack_many
from schemas.records import (
    Classification,
    Decision,
    EventRow,
    Failure,
    MentionRow,
    Message,
    ReceiptRow,
    Record,
    SegmentChange,
)
from transforms.stores.log import LogWriter


def append(folder: Path, *frames: tuple[int, Sequence[Record]]) -> None:
    """Frames of rows, each with its stamp."""
    log = LogWriter(folder, sync=False)
    for stamp, rows in frames:
        log.append(stamp, {"rows": (pack_many(rows), len(rows))} if rows else {"other": (b"x", 1)})
        log.commit()
    log.close()


def event(number: int, person: str = "p", **changes: Any) -> EventRow:
    """Record `number` of the journal, applied."""
    values = {
        "id": f"event-{number}",
        "tenant": "shop",
        "type": "viewed",
        "event_time": NOON + number,
        "received_at": NOON + number,
        "partition": 0,
        "sequence": number,
        "sub": 0,
        "derived": False,
        "trust": "server",
        "source": "backend",
        "person": person,
        "disposition": "applied",
        "reason": "",
        "properties": b'{"n":1}',
    }
    return EventRow(**{**values, **changes})


def mention(number: int) -> MentionRow:
    name = f"mention-{number}"
    where = ("social", "chirp", "chirp:ana", "Love it", "https://chirp.example/1", "t1")
    return MentionRow(name, "shop", *where, NOON, NOON + number, 0, number, "en", True, "applied", "")


def classification(number: int, brand: str, sentiment: str, received_at: int) -> Classification:
    name = f"classification-{number}"
    return Classification(name, "m", "shop", brand, "en", 0.9, sentiment, 0.8, True, "s@1", received_at)


def decision(number: int, reason: str, *, final: bool = True, campaign: str = "welcome", key: str = "") -> Decision:
    name, trigger = f"d-{number}", f"t-{number}"
    return Decision(name, "shop", "p", campaign, 1, trigger, reason, final, NOON, NOON, "email", key, "")


def receipt(message: Message, state: str, at: int, code: str = "200") -> ReceiptRow:
    name = f"receipt-{message.key}-{state}"
    return ReceiptRow(name, "shop", message.key, state, at, "email", code, 1, True, at)


def one_of_each() -> list[Record]:
    """One row for each table."""
    return [
        event(1),
        mention(2),
        classification(1, "Fernweh", "positive", NOON),
        decision(1, "SENT"),
        intent(),
        receipt(intent(), "sent", NOON + 40_000),
        Failure("f-1", "shop", "discover", "bad_json", "line 1", b"\xff{", NOON, 0, 3),
        SegmentChange("s-1", "shop", "p", "New", "Champion", NOON, "fixed-1", "order", 5, 5, 5),
    ]
