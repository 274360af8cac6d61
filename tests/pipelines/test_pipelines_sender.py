"""The sender as a real process: killed at every named place, against a web server that keeps the truth."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from intents import intent
from msgspec.structs import replace
from shop import shop
from webhook_sink import Sink

from pipelines.clock import Clock, open_clock, real_now
from pipelines.config import Config, ConfigError
from pipelines.sender import open_channels
from schemas.codec import pack_many, unpack_many
from schemas.records import HOUR, Derived
from schemas.workspace import Sink as Setting
from schemas.workspace import Workspace
from transforms.deliver import POINTS
from transforms.stores.lease import Lease
from transforms.stores.log import LogReader, LogWriter

ROOT = Path(__file__).parent.parent.parent
SECRET = "whsec_" + "a2" * 22


class Site:
    """A data folder with intents in it, the truth about what arrived, and sender processes that come and go."""

    def __init__(self, data: Path, sink: Sink, order: str = "right") -> None:
        self.data, self.sink, self.order = data, sink, order
        self.keys: list[str] = []
        self.kills = 0
        open_clock(data / "clock.json")

    def decide(self, count: int) -> None:
        """The job decides `count` messages more, in several commits."""
        log = LogWriter(self.data / "person", sync=False)
        for _ in range(count):
            message = intent(f"p{len(self.keys)}", expires_at=real_now() + HOUR, caused_at=real_now())
            self.keys.append(message.key)
            log.append(real_now(), {"intents": (pack_many([message]), 1)})
            log.commit()
        log.close()

    def start(self, fault: str = "") -> subprocess.Popen[bytes]:
        path = os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support")))
        environment = {**os.environ, "PYTHONPATH": path, "RAPPORT_SECRET_TEST": SECRET, "RAPPORT_FAULT": fault}
        script = ROOT / "tests" / "support" / "sender_process.py"
        return subprocess.Popen(
            [sys.executable, str(script), str(self.data), str(self.sink.port), self.order], env=environment, cwd=ROOT
        )

    def dies_at(self, fault: str) -> None:
        """Run a sender until it dies where it was told to; it must have had work in hand."""
        process = self.start(fault)
        try:
            assert process.wait(20) == -signal.SIGKILL
        finally:
            process.kill()
            process.wait()
        self.kills += 1

    def delivers(self) -> None:
        """Run a sender until every key has its receipt, then stop it cleanly."""
        process = self.start()
        try:
            until(lambda: len(self.receipts()) >= len(self.keys), process)
            (self.data / "stop").touch()
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
            (self.data / "stop").unlink(missing_ok=True)

    def receipts(self) -> list[Any]:
        reader = LogReader(self.data / "sender", 0, {"receipts"})
        found = []
        while frames := reader.read():
            for frame in frames:
                found += [derived.fact for derived in unpack_many(frame.parts["receipts"].payload, Derived)]
        reader.close()
        return found

    def lost(self) -> set[str]:
        return set(self.keys) - set(self.sink.accepted)


def until(done: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 20.0) -> None:
    """Wait for another process, as long as it lives."""
    end = time.monotonic() + seconds
    while not done():
        assert process.poll() is None, "the process ended"
        assert time.monotonic() < end, "nothing came of it in time"
        select.select([], [], [], 0.01)


@pytest.fixture
def sink() -> Any:
    with Sink() as one:
        yield one


def killed_at_every_point(site: Site, rounds: int) -> None:
    """New intents, and a sender that dies over them, for each named place; in the end a sender that lives."""
    for number in range(rounds):
        for point in POINTS:
            site.decide(20)
            nth = 1 + 4 * number if point == "sender.after_send" else 1
            site.dies_at(f"{point}:{nth}")
    site.delivers()
    assert site.kills == rounds * len(POINTS)
    assert site.lost() == set()
    assert site.sink.contradicted == []
    assert Counter(fact.key for fact in site.receipts()) == Counter(site.keys)
    assert {fact.state for fact in site.receipts()} == {"sent"}


@pytest.mark.parametrize("rounds", [1, pytest.param(5, marks=pytest.mark.chaos)])
def test_kills_at_every_named_place_lose_and_double_nothing(tmp_path: Path, sink: Sink, rounds: int) -> None:
    killed_at_every_point(Site(tmp_path, sink), rounds)


def test_an_outcome_written_before_the_send_is_caught(tmp_path: Path, sink: Sink) -> None:
    site = Site(tmp_path, sink, order="wrong")
    site.decide(10)
    site.dies_at("sender.after_claim:1")
    site.delivers()
    assert site.lost()


def test_a_sender_tells_how_it_is_doing(tmp_path: Path, sink: Sink) -> None:
    site = Site(tmp_path, sink)
    site.decide(5)
    site.delivers()
    figures = msgspec.json.decode((tmp_path / "status" / "sender.json").read_bytes())
    assert (figures["sent"], figures["open"], figures["alarms"]) == (5, 0, {})
    assert figures["latency_p50_ms"] > 0


def test_a_second_sender_is_refused(tmp_path: Path, sink: Sink) -> None:
    site = Site(tmp_path, sink)
    site.decide(1)
    first = site.start()
    try:
        until(lambda: len(site.receipts()) == 1, first)
        assert site.start().wait(20) == 1
        (tmp_path / "stop").touch()
        assert first.wait(20) == 0
    finally:
        first.kill()
        first.wait()


def test_a_paused_sender_that_wakes_after_another_took_over_begins_nothing(tmp_path: Path, sink: Sink) -> None:
    site = Site(tmp_path, sink)
    site.decide(1)
    paused = site.start()
    try:
        until(lambda: len(site.receipts()) == 1, paused)
        paused.send_signal(signal.SIGSTOP)
        Lease(tmp_path / "sender").close()
        site.decide(5)
        paused.send_signal(signal.SIGCONT)
        assert paused.wait(20) == 1
    finally:
        paused.kill()
        paused.wait()
    assert len(sink.accepted) == 1
    site.delivers()
    assert site.lost() == set()


@pytest.mark.parametrize(
    ("sink_of", "problem"),
    [
        (Setting("webhook", "https://shop.example/hook", "secret://none"), "RAPPORT_SECRET_NONE"),
        (Setting("webhook", "https://10.0.0.1/hook", "secret://test"), "public address"),
        (Setting("pigeon"), "expected recorder, webhook or smtp, got 'pigeon'"),
    ],
)
def test_a_sink_that_cannot_be_opened_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sink_of: Setting, problem: str
) -> None:
    monkeypatch.setenv("RAPPORT_SECRET_TEST", SECRET)
    tenants = Workspace({"shop": replace(shop(), sinks={"email": sink_of})}, "test")
    with pytest.raises(ConfigError, match=problem) as raised:
        open_channels(tenants, Config(tmp_path), Clock())
    assert str(raised.value).startswith("shop/email: ")
    assert SECRET not in str(raised.value)
