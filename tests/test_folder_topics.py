"""Topics as files: what is flushed is there, what is torn is not, and writers do not meet."""

from __future__ import annotations

import pickle
from contextlib import closing
from pathlib import Path

import pytest
from intents import intent
from logs import one_of_each

from transforms.hand_over import publisher
from transforms.topics.folder import FolderReader, FolderTopics, read


def write(folder: Path, *people: str) -> Path:
    """Intents for some people by a writer of its own; its file."""
    with closing(FolderTopics(folder).open()) as topics:
        topics.publish("intents", [intent(who) for who in people])
        topics.flush()
    return max((folder / "intents").iterdir(), key=lambda path: path.stat().st_mtime_ns)


def test_what_was_flushed_is_read_back(tmp_path: Path) -> None:
    with closing(FolderTopics(tmp_path / "topics").open()) as topics:
        topics.publish("intents", [intent("ana"), intent("bo")])
        topics.publish("rows", one_of_each())
        assert read(tmp_path / "topics", "intents") == []
        topics.flush()
    assert read(tmp_path / "topics", "intents") == [intent("ana"), intent("bo")]
    assert read(tmp_path / "topics", "rows") == one_of_each()
    assert read(tmp_path / "topics", "feedback") == []


def test_each_writer_has_files_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, "ana")
    write(tmp_path, "bo")
    assert len(list((tmp_path / "intents").iterdir())) == 2
    assert {message.to for message in read(tmp_path, "intents")} == {"ana@people.example", "bo@people.example"}


@pytest.mark.parametrize("cut", [1, 7, 8, 9, 50])
def test_a_torn_end_is_not_there_and_comes_when_it_is_whole(tmp_path: Path, cut: int) -> None:
    file = write(tmp_path, "ana", "bo")
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut])
    reader = FolderReader(tmp_path, "intents")
    assert reader.read() == [intent("ana")]
    assert reader.read() == []
    file.write_bytes(whole)
    assert reader.read() == [intent("bo")]


def test_a_spoilt_record_ends_its_file(tmp_path: Path) -> None:
    file = write(tmp_path, "ana", "bo")
    spoilt = bytearray(file.read_bytes())
    spoilt[-3] ^= 1
    file.write_bytes(spoilt)
    assert read(tmp_path, "intents") == [intent("ana")]


def test_topics_travel_and_share_one_publisher(tmp_path: Path) -> None:
    topics = FolderTopics(tmp_path)
    assert publisher(pickle.loads(pickle.dumps(topics))) is publisher(topics)


def test_an_unknown_topic_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected one of intents, feedback, rows, failures, got 'letters'"):
        FolderTopics(tmp_path).open().publish("letters", [intent()])
