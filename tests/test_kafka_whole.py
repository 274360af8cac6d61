"""Door, person lane, sender and tables, all on a real Kafka broker; each is killed once with work in flight."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event

import pytest
from client import Client
from doorway import SERVER
from kafka_server import KafkaServer, free_port, missing

from transforms.sources.kafka import close_all
from transforms.topics.client import ensure

ROOT = Path(__file__).parent.parent
PEOPLE = 60


@contextmanager
def process(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of our commands, ended at the end."""
    running = subprocess.Popen([sys.executable, "-m", "pipelines", *words], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        yield running
    finally:
        running.terminate()
        running.wait(60)


@pytest.mark.slow
def test_everybody_is_written_to_once_though_each_process_is_killed(tmp_path: Path) -> None:
    if why := missing():
        pytest.skip(why)
    data, port = tmp_path / "data", free_port()
    with KafkaServer(tmp_path / "kafka") as server, ExitStack() as stack:
        ensure(server.address, "whole")
        where = ["--data", str(data), "--kafka", server.address, "--topics", "whole"]
        commands = {
            "door": ["door", "--port", str(port), *where],
            "person": ["run", "--lane", "person", *where],
            "send": ["send", *where],
            "record": ["record", *where],
        }
        running = {name: stack.enter_context(process(*words)) for name, words in commands.items()}
        client = Client(port, SERVER)
        for number, name in enumerate(commands):
            for who in range(number * PEOPLE // 4, (number + 1) * PEOPLE // 4):
                client.post("/v1/track", _signup(who), patience=1_200)
            running[name].kill()
            running[name].wait()
            stack.enter_context(process(*commands[name]))
        _until_sent(data, client)
        client.close()
    close_all()
    sent = _sent(data)
    assert len(sent) == 2 * PEOPLE
    assert len({(campaign, person) for campaign, person, _ in sent}) == 2 * PEOPLE
    tables = json.loads((data / "tables" / "manifest.json").read_text())["tables"]
    assert sum(file["rows"] for file in tables["events"]) >= PEOPLE


def _signup(who: int) -> dict[str, object]:
    traits = {"email": f"u{who}@people.example"}
    return {
        "type": "track",
        "event": "Signed Up",
        "messageId": f"s{who}",
        "userId": f"u{who}",
        "context": {"traits": traits},
        "properties": {"marketing_opt_in": True},
    }


def _sent(data: Path) -> set[tuple[str, str, str]]:
    """Campaign, person and key of everything that left: a confirmation and a welcome each."""
    file = data / "sent" / "recorder.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return {(line["campaign"], line["person"], line["key"]) for line in lines}


def _until_sent(data: Path, client: Client) -> None:
    """Wait until everybody got something; a page view now and then shows that the door is there."""
    pause = Event()
    for turn in range(300):
        pause.wait(0.2)
        if len(_sent(data)) >= 2 * PEOPLE:
            return
        client.post("/v1/track", {"type": "track", "event": "Product Viewed", "messageId": f"v{turn}", "userId": "u0"})
    raise AssertionError("not everybody was written to")
