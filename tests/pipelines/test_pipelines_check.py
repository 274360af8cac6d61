"""The ledgers of a small data folder: whole, under way, and with one record missing or doubled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from intents import NOON, intent
from logs import decision, event, mention, receipt

from pipelines.census import census
from pipelines.check import check, check_data
from pipelines.config import Config
from pipelines.settled import Lines
from pipelines.tables import TableWriter
from schemas.codec import pack, pack_many
from schemas.records import Derived, Entry, Ids, Message, Record, Said
from transforms.logic.delivery import ACCEPTED, Answer, Sink, begin, settle
from transforms.sources.journal import JournalReader
from transforms.stores.journal import Draft, Journal
from transforms.stores.rows import RowStore
from transforms.stores.segments import make_folder, reach
from transforms.stores.sends import Sends
from transforms.stores.transaction import Change

A = Sink("A", 10**12, 20_000)
FACT = Said("m", ("Fernweh",), True, "negative", 0.9, "en", "")
SENT = decision(1, "SENT", key=intent().key)
SAID = Derived("said-1", "shop", NOON, Ids(handle="chirp:ana"), FACT)


class Folder:
    """A data folder written by hand: the door takes records 0 (track), 1 (mention) and pulls 2 (derived)."""

    def __init__(self, data: Path) -> None:
        self.config = Config(data)
        self.stamp = NOON

    def door(self, *entries: Entry, pulled: int = 0) -> None:
        make_folder(self.config.folder("door"), sync=False)
        journal = Journal(self.config.folder("journal"), sync=False)
        cursors = {"listen": (0, pulled)} if pulled else {}
        journal.write(Draft(list(entries), cursors=cursors), NOON)
        journal.close()

    def lane(self, name: str, *rows: Record, intents: Sequence[Message] = (), feedback: Sequence[Derived] = ()) -> None:
        """A lane commits, having read the whole journal."""
        self.stamp += 1
        reader = JournalReader(self.config.folder("journal"), None)
        while reader.poll(1000):
            pass
        topics = {"rows": rows, "intents": intents, "feedback": feedback}
        parts = {topic: (pack_many(records), len(records)) for topic, records in topics.items() if records}
        store = RowStore(self.config.folder(name), graph=name, sync=False)
        store.commit(Change(self.stamp, reader.position(), parts=parts))
        store.close()
        reader.close()

    def sender(self, *messages: Message, ends: bool = True) -> None:
        """The sender reads everything and sends it, or leaves it open."""
        store = RowStore(self.config.folder("sender"), graph="sender", sync=False)
        sends = Sends(store)
        for key, send in sends.admit(messages, NOON):
            if ends:
                assert send.message
                sends.end(key, send.message, settle(begin(send, NOON), Answer(ACCEPTED, "200"), A, NOON))
        sends.commit(NOON, reach(self.config.folder("person")).to_bytes(8))
        store.close()

    def off(self) -> list[str]:
        return [problem.partition(":")[0] for problem in check_data(self.config).problems]


def track() -> Entry:
    return Entry("track", "shop", "server", "backend", 0, b"{}")


def post() -> Entry:
    return Entry("mention", "shop", "server", "backend", 0, b"{}")


def derived() -> Entry:
    return Entry("derived", "shop", "own", "listen", 0, pack(SAID), ("listen", 0))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A loop gone round once: one welcome for one sign-up, one post given back, all of it ended."""
    made = Folder(tmp_path)
    made.door(track(), post())
    made.lane("listen", mention(1), feedback=[SAID])
    made.door(derived(), pulled=1)
    made.lane("person", event(0), event(2, derived=True), SENT, intent(), intents=[intent()])
    return made


def test_an_empty_folder_adds_up(tmp_path: Path) -> None:
    assert check_data(Config(tmp_path)).problems == []


def test_what_is_under_way_is_no_problem(folder: Folder) -> None:
    report = check_data(folder.config)
    assert report.problems == []
    intents = next(line for line in report.lines if line.name == "intents")
    assert (intents.expected, intents.found, intents.underway) == (1, 0, 1)


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("sealed", [True, False])
def test_a_loop_gone_round_adds_up_in_files_and_in_logs(folder: Folder, ends: bool, sealed: bool) -> None:
    folder.sender(intent(), ends=ends)
    if sealed:
        TableWriter(folder.config).finish()
    assert folder.off() == []


def test_what_no_lane_has_read_is_under_way(folder: Folder) -> None:
    folder.sender(intent())
    folder.door(track(), track(), post())
    report = check_data(folder.config)
    assert report.problems == []
    assert report.lines[0].underway == 3


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (event(0), "records with two ends"),
        (mention(0), "records with two ends"),
        (event(2, derived=True), "records with two ends"),
        (event(7), "records from outside"),
        (decision(1, "SENT"), "candidates with two ends"),
        (decision(2, "SENT"), "decisions to send"),
        (intent("ben"), "decisions to send"),
    ],
)
def test_a_line_too_many_is_found(folder: Folder, row: Record, problem: str) -> None:
    folder.sender(intent())
    folder.lane("person", row)
    assert problem in folder.off()


def test_a_record_that_a_lane_passed_without_a_line_is_found(folder: Folder) -> None:
    folder.door(track())
    folder.lane("person", receipt(intent(), "sent", NOON))
    assert "records from outside" in folder.off()


def test_an_intent_that_the_sender_passed_without_a_claim_is_found(folder: Folder) -> None:
    folder.sender()
    assert folder.off() == ["intents"]


def test_a_record_on_its_way_between_two_addresses_is_under_way(folder: Folder) -> None:
    folder.sender(intent())
    folder.door(track())
    folder.lane("person", event(3, disposition="forwarded"))
    report = check_data(folder.config)
    assert report.problems == []
    assert report.lines[0].underway == 1


def test_ledgers_that_are_not_there_are_not_called_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(Config(tmp_path / "typo")) == 0
    assert "not checked" in capsys.readouterr().out


def test_the_exit_status_says_whether_all_is_right(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(folder.config) == 0
    folder.lane("person", event(0))
    assert check(folder.config) == 1
    assert "records with two ends: expected 0, found 1" in capsys.readouterr().out


def test_a_count_during_which_files_were_merged_away_is_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Config] = []

    def lines(config: Config) -> Lines:
        calls.append(config)
        if len(calls) < 3:
            raise FileNotFoundError("merged in this moment")
        return Lines(config)

    monkeypatch.setattr("pipelines.census.Lines", lines)
    assert census(Config(tmp_path)).external == 0
    assert len(calls) == 3
