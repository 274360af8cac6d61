"""Replay: a fresh process recomputes what really left, and sees every difference there is."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from pipelines.config import Config, ConfigError
from pipelines.replay import CLOSE, Output, compare, replay
from schemas.records import Classification, Derived, Failure, Ids, Said
from transforms.stores.journal import pack_place
from transforms.stores.log import LogWriter
from transforms.stores.state import POSITION

ROOT = Path(__file__).parent.parent.parent
FAILURE = Failure("f", "shop", "discover", "not_json", "", b"{", 1, 0, 2)
SAID = Derived("s", "shop", 1, Ids(handle="chirp:ana"), Said("m", ("Fernweh",), True, "positive", 0.8, "en", "…"))
SCORED = Classification("c", "m", "shop", "Fernweh", "en", 0.9, "positive", 0.8, True, "sentiment@1", 1)


def output(*rows: object, feedback: tuple[Derived, ...] = ()) -> Output:
    found = Output()
    found.add("rows", rows)
    found.add("feedback", feedback)
    return found


def test_the_same_in_another_order_is_equal() -> None:
    other = replace(FAILURE, id="g")
    assert not list(compare(output(FAILURE, other), output(other, FAILURE)))


def test_each_side_s_own_records_are_named() -> None:
    assert [line[:9] for line in compare(output(FAILURE), output())] == ["only live"]
    assert [line[:13] for line in compare(output(), output(FAILURE))] == ["only replayed"]
    assert len(list(compare(output(FAILURE), output(replace(FAILURE, body=b"["))))) == 2


def test_a_difference_names_its_fields_and_never_what_they_hold() -> None:
    changed = replace(FAILURE, id="ana@people.example", detail="ana@people.example", body=b"ana@people.example")
    first, second = compare(output(changed), output(replace(changed, detail="", body=b"{")))
    assert first.startswith("only live, 1 times: rows: Failure ") and first.endswith(" differs in detail, body")
    assert second.startswith("only replayed") and "ana@" not in first + second
    named = replace(FAILURE, id="0f" * 16)
    assert list(compare(output(named), output())) == [f"only live, 1 times: rows: Failure {named.id}"]


def test_a_record_that_left_twice_is_a_difference() -> None:
    assert list(compare(output(FAILURE, FAILURE), output(FAILURE)))


@pytest.mark.parametrize("off, seen", [(CLOSE / 2, 0), (CLOSE * 2, 1)])
def test_scores_may_differ_by_a_thousandth(off: float, seen: int) -> None:
    moved = replace(SAID, fact=replace(SAID.fact, score=SAID.fact.score + off))
    assert len(list(compare(output(feedback=(SAID,)), output(feedback=(moved,))))) == seen
    assert len(list(compare(output(SCORED), output(replace(SCORED, score=SCORED.score + off))))) == seen


def test_labels_may_not() -> None:
    assert list(compare(output(SCORED), output(replace(SCORED, sentiment="negative"))))


def command(*words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "pipelines", *words]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_real_run_is_recomputed_byte_for_byte_however_it_is_cut(tmp_path: Path) -> None:
    played = command("demo", "--data", str(tmp_path), "--plain", "--seconds", "8")
    assert played.returncode == 0, played.stdout + played.stderr
    for bundle, shards in (("1", "1"), ("333", "7"), ("5000", "3")):
        again = command("replay", "--verify", "--data", str(tmp_path), "--bundle", bundle, "--shards", shards)
        assert again.returncode == 0, again.stdout
        assert again.stdout.count("equal, byte for byte") == 2
    checked = command("check", "--data", str(tmp_path))
    assert checked.returncode == 0, checked.stdout


# --- nothing, and not all ---------------------------------------------------------------------------------------------


def journal(config: Config, frames: int = 1) -> LogWriter:
    """A journal of several segments, each with one tick."""
    log = LogWriter(config.folder("journal"), segment_bytes=1, sync=False)
    for stamp in range(1, frames + 1):
        log.append(stamp, {})
        log.commit()
    return log


def has_read(config: Config, lane: str) -> None:
    store = LogWriter(config.folder(lane))
    store.append(1, {POSITION: (pack_place(0, 0), 1)})
    store.commit()
    store.close()


@pytest.mark.parametrize("verify", [False, True])
def test_where_there_is_no_journal_there_is_nothing_to_replay_and_nothing_is_made(tmp_path: Path, verify: bool) -> None:
    for folder in (tmp_path / "missing", tmp_path):
        with pytest.raises(ConfigError, match=r"expected a journal in .*, there is none to replay"):
            replay(Config(folder), verify=verify)
    assert list(tmp_path.iterdir()) == []


def test_where_no_lane_has_read_there_is_nothing_to_replay(tmp_path: Path) -> None:
    journal(Config(tmp_path)).close()
    with pytest.raises(ConfigError, match="expected a lane that has read the journal"):
        replay(Config(tmp_path), verify=True)
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]


def test_without_its_key_no_journal_is_replayed(tmp_path: Path) -> None:
    journal(Config(tmp_path)).close()
    has_read(Config(tmp_path), "person")
    with pytest.raises(ConfigError, match=r"expected the key .*, there is none; restore it"):
        replay(Config(tmp_path), verify=True)
    assert not Config(tmp_path).secret_file.exists()


def test_a_journal_whose_beginning_is_gone_is_never_called_equal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config(tmp_path)
    config.secret()
    with closing(journal(config, frames=3)) as log:
        log.drop_before(log.starts[1])
    has_read(config, "person")
    assert replay(config, verify=True) == 1
    told = capsys.readouterr().out
    assert "journal dropped what was older than --keep" in told
    assert "start door and lanes with a longer --keep" in told
    assert "equal" not in told
