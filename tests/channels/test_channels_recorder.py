"""The recorder keeps each key's first message for ever, whatever is killed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import pytest
from intents import NOON, intent

from schemas.records import Message
from transforms.channels.recorder import Recorder
from transforms.logic.delivery import ACCEPTED, AGAIN, CONFLICT, NEVER, Answer


def send(file: Path, *messages: Message) -> list[Answer]:
    async def together() -> list[Answer]:
        recorder = Recorder(file, lambda: NOON)
        answers = await asyncio.gather(*(recorder.send(message) for message in messages))
        await recorder.close()
        return answers

    return asyncio.run(together())


def lines(file: Path) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]


def test_a_message_becomes_a_line(tmp_path: Path) -> None:
    file = tmp_path / "sent" / "recorder.jsonl"
    assert send(file, intent()) == [Answer(ACCEPTED, "recorded")]
    (line,) = lines(file)
    assert line["key"] == intent().key
    assert line["at"] == NOON
    assert line["body"] == {"subject": "Hello", "text": "Welcome, ana"}


def test_messages_of_one_moment_share_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = []
    monkeypatch.setattr(os, "fdatasync", syncs.append)
    send(tmp_path / "recorder.jsonl", *(intent(f"p{number}") for number in range(100)))
    assert len(syncs) == 1
    assert len(lines(tmp_path / "recorder.jsonl")) == 100


def test_a_repeated_key_is_recognised_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "recorder.jsonl"
    send(file, intent())
    assert send(file, intent()) == [Answer(ACCEPTED, "repeated")]
    assert len(lines(file)) == 1


def test_another_body_under_a_known_key_is_a_conflict(tmp_path: Path) -> None:
    file = tmp_path / "recorder.jsonl"
    send(file, intent())
    assert send(file, intent(body=b'{"text":"other"}')) == [Answer(CONFLICT, "another_body")]


@pytest.mark.parametrize("torn", [1, 10, 100])
def test_a_torn_line_is_cut_and_its_key_is_free(tmp_path: Path, torn: int) -> None:
    file = tmp_path / "recorder.jsonl"
    send(file, intent("ana"), intent("ben"))
    file.write_bytes(file.read_bytes()[:-torn])
    assert send(file, intent("ana"), intent("ben")) == [Answer(ACCEPTED, "repeated"), Answer(ACCEPTED, "recorded")]
    assert [line["to"] for line in lines(file)] == ["ana@people.example", "ben@people.example"]


def test_a_full_disk_is_no_loss_and_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "recorder.jsonl"
    send(file, intent("ana"))

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", full)
        assert send(file, intent("ben")) == [Answer(AGAIN, "disk", throttle=True)]
    assert send(file, intent("ben")) == [Answer(ACCEPTED, "recorded")]
    assert len(lines(file)) == 2


def test_a_body_that_is_no_json_is_refused(tmp_path: Path) -> None:
    assert send(tmp_path / "recorder.jsonl", intent(body=b"{oops")) == [Answer(NEVER, "unreadable_body")]
