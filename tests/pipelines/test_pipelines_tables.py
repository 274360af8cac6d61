"""Each row stands in exactly one file that the manifest counts, whatever is killed when."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from intents import NOON, intent
from logs import append, classification, decision, event, mention, one_of_each, receipt
from msgspec.structs import replace

from pipelines.config import Config
from pipelines.tables import TableWriter, run
from pipelines.views import connect
from schemas.codec import pack_many
from schemas.records import DAY, HOUR, MINUTE, SECOND, TABLES
from transforms.stores.log import LogWriter
from transforms.stores.parquet import MERGE_AT, POINTS, read_manifest, read_rows

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tmp_path)


def write(config: Config) -> TableWriter:
    """Everything that the logs hold now, and a clean stop."""
    writer = TableWriter(config)
    writer.finish()
    return writer


def ids(config: Config, table: str = "events") -> list[str]:
    return read_rows(config.folder("tables"), table).column("id").to_pylist()


def files(config: Config, table: str = "events") -> list[tuple[str, int, int]]:
    return [(file.log, file.first, file.last) for file in read_manifest(config.folder("tables")).tables[table]]


def numbered(first: int, last: int) -> list[str]:
    return [f"event-{number}" for number in range(first, last)]


def test_every_table_gets_its_rows(config: Config) -> None:
    append(config.folder("person"), (NOON, one_of_each()))
    write(config)
    assert {table: read_rows(config.folder("tables"), table).num_rows for table in TABLES} == dict.fromkeys(TABLES, 1)


def test_a_file_ends_with_its_minute(config: Config) -> None:
    stamps = [NOON, NOON + 20 * SECOND, NOON + MINUTE, NOON + 61 * SECOND, NOON + 5 * MINUTE]
    append(config.folder("person"), *((stamp, [event(number)]) for number, stamp in enumerate(stamps)))
    write(config)
    assert files(config) == [("person", 0, 1), ("person", 2, 3), ("person", 4, 4)]
    assert ids(config) == numbered(0, 5)


def test_a_file_ends_when_it_is_full(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.tables.SMALL", 10)
    append(config.folder("person"), *((NOON, [event(4 * frame + number) for number in range(4)]) for frame in range(7)))
    write(config)
    assert files(config) == [("person", 0, 11), ("person", 12, 23), ("person", 24, 27)]


def test_a_file_covers_the_same_rows_however_the_log_is_read(config: Config, tmp_path: Path) -> None:
    frames = [(NOON + number * 7 * SECOND, [event(number)]) for number in range(40)]
    append(config.folder("person"), *frames)
    writer = TableWriter(config)
    while writer.turn():
        pass
    other = Config(tmp_path / "other")
    for frame in frames:
        append(other.folder("person"), frame)
        if frame is frames[0]:
            late = TableWriter(other)
        late.turn()
    late.finish()
    writer.finish()
    assert files(config) == files(other)


def test_logs_keep_their_own_numbers(config: Config) -> None:
    append(config.folder("person"), (NOON, [event(0), event(1)]))
    append(config.folder("listen"), (NOON, [mention(2)]))
    write(config)
    append(config.folder("person"), (NOON + SECOND, []), (NOON + SECOND, [event(3)]))
    write(config)
    assert ids(config) == ["event-0", "event-1", "event-3"]
    assert ids(config, "mentions") == ["mention-2"]


def test_what_no_manifest_names_is_removed(config: Config) -> None:
    append(config.folder("person"), (NOON, [event(0)]))
    write(config)
    folder = config.folder("tables") / "events"
    (folder / "person-000000000001-000000000009.parquet").write_bytes(b"an orphan")
    (folder / "half.new").write_bytes(b"half")
    write(config)
    assert len(list(folder.iterdir())) == 1


def test_rows_that_the_log_no_longer_has_are_counted(config: Config) -> None:
    log = LogWriter(config.folder("person"), segment_bytes=1, sync=False)
    for number in range(3):
        log.append(NOON + number, {"rows": (pack_many([event(number)]), 1)})
        log.commit()
    log.drop_before(log.end)
    log.close()
    assert write(config).figures()["lost"] == {"person": 2}
    assert ids(config) == ["event-2"]


# --- merging ----------------------------------------------------------------------------------------------------------


def test_many_small_files_of_a_day_become_one_without_repeats(config: Config) -> None:
    frames = [(NOON + number * MINUTE, [event(number), event(0)]) for number in range(MERGE_AT)]
    append(config.folder("person"), *frames)
    writer = TableWriter(config)
    writer.finish()
    assert len(files(config)) == MERGE_AT
    writer = TableWriter(config)
    writer.turn()
    assert [log for log, _, _ in files(config)] == ["merged"]
    assert ids(config) == numbered(0, MERGE_AT)


def test_readers_keep_merged_files_until_the_next_merge(config: Config) -> None:
    append(config.folder("person"), *((NOON + number * MINUTE, [event(number)]) for number in range(MERGE_AT)))
    write(config)
    before = connect(config.folder("tables"))
    TableWriter(config).turn()
    assert before.execute("SELECT count(*) FROM events").fetchone() == (MERGE_AT,)


def test_files_of_two_days_are_not_merged(config: Config) -> None:
    half = MERGE_AT // 2
    for day in (0, 1):
        frames = [(NOON + day * DAY + number * MINUTE, [event(number + day * half)]) for number in range(half)]
        append(config.folder("person"), *frames)
    write(config)
    TableWriter(config).turn()
    assert len(files(config)) == MERGE_AT


def test_messages_are_told_apart_by_key_and_revision(config: Config) -> None:
    rows = [intent(revision=number % 2) for number in range(MERGE_AT)]
    append(config.folder("person"), *((NOON + number * MINUTE, [row]) for number, row in enumerate(rows)))
    write(config)
    TableWriter(config).turn()
    assert read_rows(config.folder("tables"), "messages").column("revision").to_pylist() == [0, 1]


# --- kills ------------------------------------------------------------------------------------------------------------

ONCE = "import sys; from pathlib import Path; from pipelines.config import Config; from pipelines.tables import run;"
ONCE += "turns = iter([False] * 40); run(Config(Path(sys.argv[1])), lambda: next(turns, True))"


def killed_at(config: Config, fault: str) -> int:
    """Run a table writer that may die at a fault point; its exit status."""
    environment = {**os.environ, "RAPPORT_FAULT": fault}
    return subprocess.run([sys.executable, "-c", ONCE, str(config.data)], cwd=ROOT, env=environment).returncode


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_point_neither_loses_nor_repeats_a_row(config: Config, point: str) -> None:
    frames = [(NOON + number * MINUTE, [event(number), mention(number)]) for number in range(MERGE_AT + 4)]
    append(config.folder("person"), *frames)
    nth = 2 if point != "tables.after_merge" else 1
    assert killed_at(config, f"{point}:{nth}") == -signal.SIGKILL
    append(config.folder("person"), (NOON + HOUR, [event(99)]))
    write(config)
    assert sorted(ids(config)) == sorted([*numbered(0, MERGE_AT + 4), "event-99"])
    assert len(ids(config, "mentions")) == MERGE_AT + 4
    named = {file.name for listed in read_manifest(config.folder("tables")).tables.values() for file in listed}
    found = {f"{path.parent.name}/{path.name}" for path in config.folder("tables").glob("*/*")}
    assert named == found


def test_a_clean_stop_seals_what_is_there(config: Config) -> None:
    append(config.folder("person"), (NOON, [event(0)]))
    run(config, lambda: True)
    assert ids(config) == ["event-0"]


# --- questions --------------------------------------------------------------------------------------------------------


def question(title: str) -> str:
    """The query under a heading of docs/tables.md."""
    found = re.search(rf"### {re.escape(title)}\n.*?```sql\n(.*?)```", PAGE, re.DOTALL)
    assert found, title
    return found.group(1)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two welcomes, three cart reminders (one bought in time, one late), refusals, and what people say."""
    config = Config(tmp_path_factory.mktemp("data"))
    welcomes = [intent(who) for who in ("ana", "ben")]
    carts = [
        replace(intent(who, trigger="cart-1"), campaign="cart", key=f"cart-{who}") for who in ("cem", "dan", "eva")
    ]
    late = replace(intent("fay"), key="welcome-fay")
    sent = [receipt(message, "sent", NOON + 40_000 * (place + 1)) for place, message in enumerate([*welcomes, *carts])]
    orders = [
        event(10, carts[0].person, type="order_placed", event_time=NOON + 2 * DAY),
        event(11, carts[1].person, type="order_placed", event_time=NOON + 4 * DAY),
        event(12, carts[2].person, type="order_placed", event_time=NOON + DAY, disposition="filtered"),
        event(13, derived=True),
        event(14, disposition="forwarded"),
        event(14),
    ]
    decided = [decision(1, "NO_CONSENT"), decision(2, "NO_CONSENT"), decision(3, "CAPPED", campaign="cart")]
    decided += [decision(4, "DEFERRED_QUIET", final=False), decision(5, "SENT")]
    said = [
        classification(1, "Fernweh", "positive", NOON),
        classification(2, "Fernweh", "negative", NOON + MINUTE),
        classification(3, "Kompass", "neutral", NOON + HOUR),
    ]
    refused = receipt(late, "refused", NOON, "EXPIRED")
    append(config.folder("person"), (NOON, [*welcomes, *carts, late, *sent, refused, *orders, *decided]))
    append(config.folder("listen"), (NOON, [mention(20), *said]))
    write(config)
    return connect(config.folder("tables"))


HOUR_OF_NOON = datetime.fromtimestamp(NOON / 1e6, UTC)

ANSWERS = {
    "How many messages left, and how fast?": [("cart", 3, 161.0, 200.2), ("welcome", 2, 61.0, 80.6)],
    "What was refused, and why?": [("welcome", "NO_CONSENT", 2), ("cart", "CAPPED", 1), ("welcome", "EXPIRED", 1)],
    "Who bought within three days of a cart reminder?": [(3, 1, 33.3)],
    "How do people feel about each brand, hour by hour?": [
        (HOUR_OF_NOON, "Fernweh", 2, 1, 1),
        (HOUR_OF_NOON.replace(hour=13), "Kompass", 1, 0, 0),
    ],
    "Does the ledger add up?": [(5, 0)],
}


@pytest.mark.parametrize("title", ANSWERS)
def test_the_questions_of_the_page_have_answers(tables: Any, title: str) -> None:
    assert tables.execute(question(title)).fetchall() == ANSWERS[title]


def test_the_page_asks_five_questions() -> None:
    assert re.findall(r"^### (.*)$", PAGE, re.MULTILINE) == list(ANSWERS)


@pytest.mark.parametrize("title", ANSWERS)
def test_the_questions_can_be_asked_of_empty_tables(tmp_path: Path, title: str) -> None:
    connect(tmp_path).execute(question(title)).fetchall()
