"""What became of sends, found again in the journal and in what waits for the door."""

from __future__ import annotations

from pathlib import Path

from intents import NOON, intent

from pipelines.books import ReceiptsLog
from pipelines.config import Config
from pipelines.history import receipts_of
from schemas.codec import pack
from schemas.records import Derived, Entry, Receipt
from transforms.logic.delivery import ACCEPTED, Answer, Sink, begin, claim, receipt, settle
from transforms.stores.journal import Draft, Journal


def told(name: str) -> Derived:
    message = intent(name)
    send = claim(None, message, NOON)
    assert send
    ended = settle(begin(send, NOON), Answer(ACCEPTED, "200"), Sink("A", 10**12, 20_000), NOON)
    return receipt(message.key, message.tenant, ended, message.channel)


def test_receipts_in_the_journal_and_those_that_wait_are_found(tmp_path: Path) -> None:
    config = Config(tmp_path, sync=False)
    config.folder("sender").mkdir()
    journal = Journal(config.folder("journal"), sync=False)
    strange = Entry("derived", "shop", "own", "sender", 0, b"\x00")
    call = Entry("track", "shop", "server", "backend", 0, b"{}")
    journal.write(Draft([call, strange, Entry("derived", "shop", "own", "sender", 0, pack(told("ana")))]), NOON)
    journal.close()
    log = ReceiptsLog(config)
    log.write([told("bo")], NOON)
    log.close()
    expected = [told(name).fact for name in ("ana", "bo")]
    assert list(receipts_of(config)) == expected
    assert all(isinstance(fact, Receipt) and fact.state == "sent" for fact in expected)
