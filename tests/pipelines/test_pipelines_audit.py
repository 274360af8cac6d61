"""What is missing or damaged in a data folder is said, and nobody calls it whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from intents import NOON, intent
from logs import decision, event, receipt
from msgspec import structs

from pipelines.audit import recorded, unwritten
from pipelines.check import check, check_data
from pipelines.config import Config
from pipelines.tables import TableWriter
from pipelines.trouble import told
from schemas.codec import pack, pack_many
from schemas.records import Derived, Entry, Ids, Receipt, Record
from transforms.logic.delivery import ACCEPTED, Answer, Sink, begin, settle
from transforms.sources.journal import JournalReader
from transforms.stores.journal import Draft, Journal
from transforms.stores.parquet import TablesDamaged
from transforms.stores.rows import RowStore
from transforms.stores.segments import make_folder, reach
from transforms.stores.sends import Sends
from transforms.stores.transaction import Change

A = Sink("A", 10**12, 20_000)
TENANT = "wanderlodge"
WELCOME = intent()
RECEIPT = structs.replace(receipt(WELCOME, "sent", NOON), tenant=TENANT)


def entry(kind: str, body: bytes = b"{}") -> Entry:
    return Entry(kind, "shop", "server", "test", 0, body)


def journaled(config: Config, *entries: Entry, cursors: dict[str, tuple[int, int]] | None = None) -> None:
    journal = Journal(config.folder("journal"), sync=False)
    journal.write(Draft(list(entries), cursors=cursors or {}), NOON)
    journal.close()


def lane(config: Config, stamp: int, rows: Sequence[Record], topics: dict[str, Sequence[Record]]) -> None:
    reader = JournalReader(config.folder("journal"), None)
    while reader.poll(1000):
        pass
    parts = {topic: (pack_many(found), len(found)) for topic, found in {"rows": rows, **topics}.items() if found}
    store = RowStore(config.folder("person"), graph="person", sync=False)
    store.commit(Change(stamp, reader.position(), parts=parts))
    store.close()
    reader.close()


def sent(config: Config) -> None:
    store = RowStore(config.folder("sender"), graph="sender", sync=False)
    sends = Sends(store)
    ((key, send),) = sends.admit([WELCOME], NOON)
    assert send.message
    sends.end(key, send.message, settle(begin(send, NOON), Answer(ACCEPTED, "200"), A, NOON))
    sends.commit(NOON, reach(config.folder("person")).to_bytes(8))
    store.close()
    file = config.data / "sent" / "recorder.jsonl"
    file.parent.mkdir()
    file.write_text(json.dumps({"key": WELCOME.key}) + "\n")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """One sign-up, one welcome, its receipt back in the tables; all of it sealed."""
    made = Config(tmp_path / "data", sync=False)
    make_folder(made.folder("door"), sync=False)
    journaled(made, entry("track"), entry("track"))
    lane(made, NOON + 1, [event(0), event(1), decision(1, "SENT", key=WELCOME.key), WELCOME], {"intents": [WELCOME]})
    sent(made)
    back = Derived("r", "shop", NOON, Ids(), Receipt(WELCOME.key, "sent", NOON, "email", "200", 1))
    journaled(made, entry("derived", pack(back)), cursors={"sender": (reach(made.folder("sender")), 1)})
    lane(made, NOON + 2, [event(2, derived=True), RECEIPT], {})
    TableWriter(made).finish()
    return made


def problems(config: Config) -> str:
    return "\n".join(check_data(config).problems)


def test_what_is_whole_has_no_problem(config: Config) -> None:
    report = check_data(config)
    assert (report.problems, report.notes) == ([], [])


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("sender", "the door has read"),
        ("person", "the sender has read"),
        ("journal", "the person lane has read"),
        ("door", "it is not there: the door rebuilds"),
    ],
)
def test_a_folder_that_is_gone_is_said(config: Config, folder: str, words: str) -> None:
    shutil.rmtree(config.folder(folder))
    assert words in problems(config)


def test_tables_that_are_gone_are_said(config: Config) -> None:
    shutil.rmtree(config.folder("tables"))
    assert "the table writer has not run yet, or somebody removed its work" in "\n".join(unwritten(config))


@pytest.mark.parametrize("folder", ["journal", "person", "sender"])
def test_a_flipped_byte_in_a_log_is_said_before_anything_is_counted(config: Config, folder: str) -> None:
    (file,) = config.folder(folder).glob("*.log")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    report = check_data(config)
    assert report.lines == []
    assert str(config.folder(folder)) in report.problems[0]


def test_a_torn_manifest_is_a_sentence(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = config.folder("tables") / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:100])
    assert check(config) == 1
    assert "restore the folder from a copy" in capsys.readouterr().out
    with pytest.raises(TablesDamaged) as raised:
        TableWriter(config)
    assert told(raised.value) is not None


def test_a_manifest_that_is_gone_from_its_files_is_said(config: Config) -> None:
    (config.folder("tables") / "manifest.json").unlink()
    assert "no file of the tables counts" in problems(config)


@pytest.mark.parametrize("table", ["events", "decisions", "messages", "receipts"])
def test_a_file_with_other_rows_than_were_written_is_named(config: Config, table: str) -> None:
    (file,) = (config.folder("tables") / table).glob("*.parquet")
    pq.write_table(pq.read_table(file).slice(1), file)
    assert f"in {file}, found" in problems(config)
    file.write_bytes(b"PAR1")
    assert f"{file} cannot be read" in problems(config)


def changed(config: Config, table: str, column: str, change: Callable[[list[str]], list[str]]) -> None:
    (file,) = (config.folder("tables") / table).glob("*.parquet")
    rows = pq.read_table(file)
    at = rows.schema.get_field_index(column)
    fresh = pa.array(change(rows[column].to_pylist()), rows.schema.field(at).type)
    pq.write_table(rows.set_column(at, rows.schema.field(at), fresh), file)


def test_a_failure_without_a_reason_is_found(config: Config) -> None:
    changed(config, "events", "disposition", lambda found: ["failed", *found[1:]])
    assert "failed records with a reason: expected 1, found 0" in problems(config)


def test_messages_under_other_keys_than_decided_are_found(config: Config) -> None:
    changed(config, "messages", "key", lambda found: ["x" for _ in found])
    assert "keys only decided or only written: expected 0, found 2" in problems(config)


def test_a_receipt_that_is_not_in_the_tables_is_found(config: Config) -> None:
    changed(config, "receipts", "state", lambda found: ["delivered" for _ in found])
    assert "receipts that came back: expected 1, found 0" in problems(config)


def recorder(config: Config, *keys: str) -> list[str]:
    """What is said of a recorder that holds these keys, where messages of the test's tenant go there."""
    text = "".join(json.dumps({"key": key}) + "\n" for key in keys)
    (config.data / "sent" / "recorder.jsonl").write_text(text + '{"key": "torn')
    return list(recorded(config))


def test_the_recorder_is_held_against_what_was_sent(config: Config) -> None:
    assert recorder(config, WELCOME.key) == []
    assert "stand in" in recorder(config, WELCOME.key, WELCOME.key)[0]
    assert "known to nobody" in recorder(config, WELCOME.key, "stranger")[0]
    assert "told to be sent and are not in" in recorder(config)[0]
    assert list(recorded(replace(config, redis="redis://x"))) == []
