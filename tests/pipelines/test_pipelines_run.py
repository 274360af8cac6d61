"""A lane as a process sees it: how far the journal is, what poison leaves behind, what retention may cut."""

from __future__ import annotations

from pathlib import Path

from pipelines.local.poison import Placed
from pipelines.run import Head, refuse
from schemas.codec import pack_many
from schemas.records import Entry, EventRow, Failure, MentionRow
from transforms.stores.log import LogWriter


def entry(kind: str) -> Entry:
    return Entry(kind, "shop", "server", "site", 0, b"{}")


def test_the_head_follows_the_journal(tmp_path: Path) -> None:
    head = Head(tmp_path / "journal")
    assert head.stamp() == 0
    log = LogWriter(tmp_path / "journal", sync=False)
    for stamp in (5, 9):
        log.append(stamp, {"records": (pack_many([entry("track")]), 1)})
        log.commit()
        assert head.stamp() == stamp
    log.append(12, {})
    log.commit()
    assert head.stamp() == 12
    log.close()


def test_poison_is_one_failure_and_one_line_of_the_ledger() -> None:
    failure, row = refuse(Placed(7, 0, 3, entry("track")), ValueError("no"))
    assert isinstance(failure, Failure)
    assert isinstance(row, EventRow)
    assert (row.partition, row.sequence, row.disposition, row.reason) == (0, 3, "failed", "poison")


def test_a_poisonous_mention_is_settled_among_mentions() -> None:
    _, row = refuse(Placed(7, 0, 3, entry("mention")), ValueError("no"))
    assert isinstance(row, MentionRow)
    assert (row.sequence, row.disposition, row.reason) == (3, "failed", "poison")
