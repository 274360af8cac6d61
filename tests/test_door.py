"""The door over real HTTP: what an SDK sends is in the journal once it hears 200, and nothing hostile gets further."""

from __future__ import annotations

import base64
import errno
import gzip
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from pipelines.accept import Feed, Limits
from pipelines.commit import Room
from pipelines.config import SAMPLE, Config, ConfigError
from pipelines.door import play, serve
from pipelines.workspace import load
from schemas.codec import pack_many, unpack
from schemas.keys import address_of
from schemas.records import Block, Derived, Entry, Ids, Receipt, Silenced
from transforms.sources.files import Columns
from transforms.sources.journal import JournalSource
from transforms.stores.journal import last_counts, pack_place
from transforms.stores.log import LogBusy
from transforms.stores.rows import RowStore
from transforms.stores.suppression import SuppressionView
from transforms.stores.transaction import Change

ROOT = Path(__file__).parent.parent
GOLDEN = sorted((Path(__file__).parent / "golden" / "segment").glob("*.json"))
(TENANT,) = load(SAMPLE).tenants.values()
SERVER, BROWSER = (next(key.key for key in TENANT.keys if key.trust == trust) for trust in ("server", "browser"))
ORIGIN = {"Origin": "https://shop.example"}
NONE: Mapping[str, str] = MappingProxyType({})
PATIENCE = 10.0


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str


@dataclass
class Door:
    """A running door and its data folder; `before` says how many entries are not this test's own."""

    data: Path
    port: int
    before: int = 0

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = NONE) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode())
        finally:
            connection.close()

    def post(self, path: str, body: Any, key: str = SERVER, **headers: str) -> Answer:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", path, sent, {**basic(key), **headers})

    @property
    def entries(self) -> list[Entry]:
        return [entry for block in blocks(self.data) for entry in block.entries][self.before :]


def basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


def blocks(data: Path) -> list[Block]:
    reader = JournalSource(data / "journal", end=True).open(None)
    found = [block for pull in iter(lambda: reader.poll(1000), None) for block in pull.items]
    reader.close()
    return found


def until(true: Callable[[], bool]) -> None:
    """Wait until something another thread or process does is done."""
    for _ in range(int(PATIENCE / 0.005)):
        if true():
            return
        threading.Event().wait(0.005)
    raise AssertionError("expected it to happen within ten seconds")


@contextmanager
def running(data: Path, **more: Any) -> Iterator[Door]:
    """A door in a thread of this process."""
    stop, up = threading.Event(), threading.Event()
    lines: list[str] = []

    def ready(line: str) -> None:
        lines.append(line)
        up.set()

    config = Config(data, port=0, sync=False)
    thread = threading.Thread(target=serve, args=(config, stop.is_set), kwargs={"ready": ready, **more})
    thread.start()
    try:
        assert up.wait(PATIENCE)
        yield Door(data, int(lines[0].rpartition(":")[2]))
    finally:
        stop.set()
        thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with running(tmp_path_factory.mktemp("door")) as opened:
        yield opened


@pytest.fixture
def door(shared: Door) -> Door:
    """A door that other tests use, too; to each it looks new."""
    return Door(shared.data, shared.port, len(shared.entries))


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Door]:
    """A door that nobody has used."""
    with running(tmp_path) as opened:
        yield opened


# --- what SDKs send ---------------------------------------------------------------------------------------------------


def test_every_recorded_body_is_taken_as_it_is(door: Door) -> None:
    expected: list[tuple[str, str, str, int]] = []
    for file in GOLDEN:
        for request in json.loads(file.read_text())["requests"]:
            body = request["body"].encode()
            answer = door.ask(
                "POST", request["path"], gzip.compress(body) if request["gzip"] else body, request["headers"]
            )
            assert (answer.status, answer.text) == (200, '{"success":true}'), file.stem
            trust = "server" if "python" in file.stem or "node" in file.stem else "browser"
            expected += [(each["kind"], each["messageId"], trust, each["sent_at"]) for each in request["expect"]]
    seen = [(e.kind, json.loads(e.body)["messageId"], e.trust, e.sent_at) for e in door.entries]
    assert seen == expected
    assert {entry.tenant for entry in door.entries} == {TENANT.name}


PLACES: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "basic": ("", basic(BROWSER), {}),
    "basic with a secret": ("", {"Authorization": "Basic " + base64.b64encode(f"{BROWSER}:x".encode()).decode()}, {}),
    "header": ("", {"X-Write-Key": BROWSER}, {}),
    "header with a secret": ("", {"X-Write-Key": f"{BROWSER}:secret"}, {}),
    "query": (f"?a=1&writeKey={BROWSER}", {}, {}),
    "body": ("", {}, {"writeKey": BROWSER}),
}


@pytest.mark.parametrize("query, headers, body", PLACES.values(), ids=PLACES.keys())
def test_a_write_key_is_found_wherever_it_is(
    door: Door, query: str, headers: dict[str, str], body: dict[str, str]
) -> None:
    for path, sent in (("/v1/t", {"event": "X"}), ("/v1/batch", {"batch": [{"type": "track"}]})):
        assert door.ask("POST", path + query, json.dumps({**sent, **body}).encode(), headers).status == 200
    assert {(entry.trust, entry.source) for entry in door.entries} == {("browser", "storefront")}


@pytest.mark.parametrize(
    "headers",
    [{}, basic("nobody"), {"Authorization": "Basic !"}, {"Authorization": "Bearer x"}, {"X-Write-Key": "ü"}],
)
def test_an_unknown_key_is_told_so_in_a_sentence(door: Door, headers: dict[str, str]) -> None:
    answer = door.ask("POST", "/v1/t", b"{}", {**headers, **ORIGIN})
    assert answer.status == 401
    assert "expected a write key" in json.loads(answer.text)["error"]
    assert answer.headers["access-control-allow-origin"] == ORIGIN["Origin"]
    assert not door.entries


def test_content_type_decides_nothing(door: Door) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "image/png"):
        assert door.post("/v1/p", {"name": kind}, **{"Content-Type": kind}).status == 200
    assert [entry.kind for entry in door.entries] == ["page"] * 3


def test_browsers_may_post_across_origins_with_credentials(door: Door) -> None:
    asked = {**ORIGIN, "Access-Control-Request-Headers": "content-type,x-write-key"}
    before = door.ask("OPTIONS", "/v1/t", headers=asked)
    after = door.post("/v1/t", {}, **ORIGIN)
    assert before.status == 204
    assert before.headers["access-control-allow-headers"] == "content-type,x-write-key"
    for answer in (before, after):
        assert answer.headers["access-control-allow-origin"] == ORIGIN["Origin"]
        assert answer.headers["access-control-allow-credentials"] == "true"
    assert "access-control-allow-origin" not in door.post("/v1/t", {}).headers


def test_other_paths_and_methods_are_answered_plainly(door: Door) -> None:
    assert door.ask("GET", "/v1/t").status == 405
    assert door.ask("POST", "/v1/dance").status == 404
    health = door.ask("GET", "/health")
    assert health.status == 200 and json.loads(health.text)["status"] == "ok"


def test_rudderstacks_web_sdk_learns_its_source_with_its_key_alone(door: Door) -> None:
    path = "/sourceConfig/?p=npm&v=3.34.1&build=modern"
    answer = door.ask("GET", path, headers={**basic(BROWSER), **ORIGIN})
    source = json.loads(answer.text)["source"]
    assert (answer.status, source["destinations"], source["id"]) == (200, [], "storefront")
    assert isinstance(source["config"], dict) and answer.headers["access-control-allow-origin"] == ORIGIN["Origin"]
    assert door.ask("GET", f"{path}&writeKey={BROWSER}").status == 200
    assert door.ask("GET", path).status == door.ask("GET", path, headers=basic("nobody")).status == 401
    assert door.ask("OPTIONS", path, headers=ORIGIN).status == 204
    assert BROWSER not in answer.text and SERVER not in answer.text


def test_posthogs_sdks_learn_that_no_flag_is_on(door: Door) -> None:
    for method, path in (("POST", "/flags/?v=2"), ("POST", "/decide/?v=3"), ("GET", "/array/k/config")):
        answer = door.ask(method, path, b'{"token":"k","distinct_id":"c-1"}' if method == "POST" else b"", ORIGIN)
        assert answer.status == 200 and answer.headers["access-control-allow-origin"] == ORIGIN["Origin"]
        assert not json.loads(answer.text).get("flags")
    assert json.loads(answer.text)["sessionRecording"] is False
    assert not door.entries


def test_a_query_of_snowplows_is_a_record_and_its_answer_an_image(door: Door) -> None:
    query = f"e=pv&url=https%3A%2F%2Fshop.example&eid=e-1&aid={BROWSER}"
    answer = http.client.HTTPConnection("127.0.0.1", door.port, timeout=PATIENCE)
    answer.request("GET", f"/i?{query}")
    image = answer.getresponse()
    assert (image.status, image.getheader("content-type"), image.read()[:3]) == (200, "image/gif", b"GIF")
    answer.close()
    assert [(entry.kind, entry.body, entry.trust) for entry in door.entries] == [
        ("snowplow", query.encode(), "browser")
    ]
    assert door.ask("GET", "/i?e=pv&aid=nobody").status == 401


def test_mentions_and_receipts(door: Door) -> None:
    assert door.post("/v1/mentions", {"text": "nice boots"}).status == 200
    assert door.post("/v1/mentions", {"mentions": [{"text": "a"}, {"text": "b"}]}).status == 200
    assert door.post("/v1/receipts", {"receipts": [{"key": "k", "state": "opened"}]}).status == 200
    assert door.post("/v1/receipts", {"key": "k"}, BROWSER).status == 403
    assert door.post("/v1/mentions", {"text": "forged"}, BROWSER).status == 403
    assert [entry.kind for entry in door.entries] == ["mention"] * 3 + ["receipt"]


# --- hostile ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"hello", b"[" * 100_000, b'{"a":' * 100_000, b"\x1f\x8bno", b"\xff\xfe"])
@pytest.mark.parametrize("path", ["/v1/t", "/v1/batch", "/v1/mentions"])
def test_what_is_no_json_is_kept_as_unreadable_and_answered_200(door: Door, path: str, body: bytes) -> None:
    assert door.post(path, body).status == 200
    assert [(entry.kind, entry.body) for entry in door.entries] == [("unreadable", body[: 32 * 1024])]


def test_a_large_batch_is_taken_and_a_huge_one_refused(door: Door) -> None:
    event = {"type": "track", "event": "X", "properties": {"x": "y" * 1000}}
    assert door.post("/v1/batch", {"batch": [event] * 3_000}).status == 200
    assert len(door.entries) == 3_000
    assert door.post("/v1/batch", {"batch": [event] * 4_500}).status == 413
    assert door.post("/v1/batch", gzip.compress(b" " * 50_000_000)).status == 413
    assert len(door.entries) == 3_000


def test_a_tenant_that_is_too_fast_comes_again_later(tmp_path: Path) -> None:
    with running(tmp_path, limits=Limits(rate=0.01, burst=3)) as door:
        answers = [door.post("/v1/t", {}) for _ in range(5)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert len(door.entries) == 3


def test_when_too_much_waits_callers_come_again_but_pulled_records_do_not(tmp_path: Path) -> None:
    feedback(tmp_path, 1, 4)
    with running(tmp_path, limits=Limits(room=Room(records=-1))) as door:
        answer = door.post("/v1/t", {})
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        until(lambda: len(door.entries) == 3)


def test_a_full_disk_is_503_until_there_is_room(fresh: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fresh.post("/v1/t", {"n": 1}).status == 200

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.pwrite", full)
        answer = fresh.post("/v1/t", {"n": 2})
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert fresh.ask("GET", "/health").status == 503
    assert fresh.post("/v1/t", {"n": 3}).status == 200
    assert [json.loads(entry.body)["n"] for entry in fresh.entries] == [1, 3]
    assert [block.first for block in blocks(fresh.data)] == [0, 1]


# --- who may not be written to ----------------------------------------------------------------------------------------

UNSUBSCRIBED = {
    "type": "track",
    "event": "Unsubscribed",
    "messageId": "m-1",
    "userId": "c-ana",
    "timestamp": "2026-11-24T08:00:00Z",
    "context": {"traits": {"email": "Ana@People.example"}},
}


def stopped(data: Path, value: str, kind: str = "email", category: str = "marketing") -> bool:
    key = address_of(Config(data).secret(), TENANT.name, kind, value)
    view = SuppressionView(data / "door")
    try:
        return view.blocks(TENANT.name, [key], "marketing", category)
    finally:
        view.close()


def test_an_unsubscribe_counts_before_the_answer(fresh: Door) -> None:
    assert not stopped(fresh.data, "ana@people.example")
    assert fresh.post("/v1/t", UNSUBSCRIBED, BROWSER).status == 200
    assert stopped(fresh.data, "ana@people.example")
    assert stopped(fresh.data, "c-ana", "customer")
    assert not stopped(fresh.data, "ben@people.example")


def test_a_rejected_consent_counts_from_within_a_batch(fresh: Door) -> None:
    no = {"action": "reject", "category": "news", "channel": "email"}
    events = [
        {"type": "page", "messageId": "m-1", "userId": "c-ben", "properties": {"consent": []}},
        {"type": "identify", "messageId": "m-2", "userId": "c-ana", "traits": {"email": "ana@people.example"}},
        {"type": "track", "event": "X", "messageId": "m-3", "userId": "c-ana", "properties": {"consent": [no]}},
    ]
    assert fresh.post("/v1/batch", {"batch": events}).status == 200
    assert stopped(fresh.data, "c-ana", "customer", "news")
    assert not stopped(fresh.data, "c-ana", "customer", "offers")
    assert not stopped(fresh.data, "c-ben", "customer", "news")


@pytest.mark.parametrize(
    "spoilt",
    [{"timestamp": "yesterday"}, {"messageId": 7}, {"context": {"traits": {"email": "Ana@People.example", "age": []}}}],
)
def test_an_unsubscribe_counts_even_if_it_will_be_refused(fresh: Door, spoilt: dict[str, Any]) -> None:
    assert fresh.post("/v1/t", {**UNSUBSCRIBED, **spoilt}).status == 200
    assert stopped(fresh.data, "ana@people.example")


def test_only_a_servers_confirmation_lifts_it(fresh: Door) -> None:
    confirmed = {**UNSUBSCRIBED, "event": "Confirmed", "messageId": "m-2"}
    fresh.post("/v1/t", UNSUBSCRIBED)
    fresh.post("/v1/t", confirmed, BROWSER)
    assert stopped(fresh.data, "ana@people.example")
    fresh.post("/v1/t", confirmed, SERVER)
    assert not stopped(fresh.data, "ana@people.example")


# --- what comes back from the job -------------------------------------------------------------------------------------


def feedback(data: Path, first: int, end: int, name: str = "person", topic: str = "feedback") -> None:
    """Let a process of the job hand over derived records."""
    store = RowStore(data / name, graph="test", sync=False)
    place = bytes(8) if name == "sender" else pack_place(0, 0)
    for n in range(first, end):
        fact = Receipt(f"k-{n}", "opened", n)
        derived = Derived(f"{name}-{n}", TENANT.name, n, Ids(email="ana@people.example"), fact)
        store.commit(Change(n, place, parts={topic: (pack_many([derived]), 1)}))
    store.close()


def derived_in(data: Path) -> list[tuple[str, tuple[str, int] | None]]:
    entries = [entry for block in blocks(data) for entry in block.entries if entry.kind == "derived"]
    return [(unpack(entry.body, Derived).id, entry.origin) for entry in entries]


def test_derived_records_are_journaled_once_across_restarts(tmp_path: Path) -> None:
    feedback(tmp_path, 0, 5)
    with running(tmp_path) as door:
        until(lambda: len(derived_in(tmp_path)) == 5)
        feedback(tmp_path, 0, 2, "sender", "receipts")
        until(lambda: len(derived_in(tmp_path)) == 7)
        door.post("/v1/t", {})
    feedback(tmp_path, 5, 8)
    with running(tmp_path):
        until(lambda: len(derived_in(tmp_path)) >= 10)
    expected = [(f"person-{n}", ("person", n)) for n in range(8)] + [(f"sender-{n}", ("sender", n)) for n in range(2)]
    assert sorted(derived_in(tmp_path)) == sorted(expected)
    assert (last_counts(tmp_path / "journal").external, last_counts(tmp_path / "journal").derived) == (1, 10)
    assert {(e.tenant, e.trust) for b in blocks(tmp_path) for e in b.entries if e.origin} == {(TENANT.name, "own")}


def test_a_refusal_that_the_job_hands_back_counts_for_every_address(tmp_path: Path) -> None:
    """Also across a restart; what was taken back since, by number, stays taken back."""
    secret = Config(tmp_path).secret()
    ana, ben = (address_of(secret, TENANT.name, "email", f"{who}@people.example") for who in ("ana", "ben"))
    told = [
        Silenced((ana, ben), (("*", "*"),), 1, 7),
        Silenced((ben,), (), 2, 8),
        Silenced((ben,), (("*", "*"),), 1, 7),
    ]
    records = [Derived(f"s-{at}", TENANT.name, at, Ids(), fact, "m", ana) for at, fact in enumerate(told)]
    store = RowStore(tmp_path / "person", graph="test", sync=False)
    store.commit(Change(1, pack_place(0, 0), parts={"feedback": (pack_many(records), 3)}))
    store.close()
    with running(tmp_path):
        until(lambda: stopped(tmp_path, "ana@people.example"))
        until(lambda: len(derived_in(tmp_path)) == 3)
    assert not stopped(tmp_path, "ben@people.example")


def test_a_complaint_counts_for_the_person_of_its_message(fresh: Door) -> None:
    person = address_of(Config(fresh.data).secret(), TENANT.name, "email", "ana@people.example")
    for state in ("complained", "COMPLAINED"):
        key = f"{person.hex()}-{'0' * 32}"
        assert fresh.post("/v1/receipts", {"key": key, "state": state}, SERVER).status == 200
        assert stopped(fresh.data, "ana@people.example")


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_file_is_played_once_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    file.write_text('{"type":"track","event":"X"}\n{"type":"mention","text":"hi"}\nnonsense\n')
    config = Config(tmp_path / "data", sync=False)
    assert play(config, [Feed(file)]) == 3
    assert play(config, [Feed(file)]) == 0
    with file.open("a") as more:
        more.write('{"type":"page"}')
    assert play(config, [Feed(file, BROWSER)]) == 1
    entries = [entry for block in blocks(tmp_path / "data") for entry in block.entries]
    assert [(entry.kind, entry.trust) for entry in entries] == [
        ("track", "server"),
        ("mention", "server"),
        ("unreadable", "server"),
        ("page", "browser"),
    ]


def test_a_table_is_played_by_its_mapping(tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("id,mail\n7,ana@people.example\n")
    columns = Columns({"id": "userId", "mail": "traits.email"}, {"type": "identify"})
    assert play(Config(tmp_path / "data", sync=False), [Feed(file, columns=columns)]) == 1
    ((entry,),) = (block.entries for block in blocks(tmp_path / "data"))
    assert json.loads(entry.body) == {"type": "identify", "userId": "7", "traits": {"email": "ana@people.example"}}


def test_a_file_can_be_followed_by_a_serving_door(tmp_path: Path) -> None:
    file = tmp_path / "live.jsonl"
    file.write_text('{"type":"page"}\n{"type":')
    with running(tmp_path / "data", feeds=[Feed(file)]) as door:
        until(lambda: len(door.entries) == 1)
        with file.open("a") as more:
            more.write('"screen"}\n')
        until(lambda: [entry.kind for entry in door.entries] == ["page", "screen"])


def test_a_file_of_an_unknown_key_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"type":"page"}\n')
    with pytest.raises(ConfigError, match="expected a write key"):
        play(Config(tmp_path / "data"), [Feed(file, "nobody")])
    with pytest.raises(ConfigError, match="expected a write key"):
        serve(Config(tmp_path / "data", port=0), feeds=[Feed(file, "nobody")])


# --- living and dying -------------------------------------------------------------------------------------------------


def test_time_passes_in_the_journal_while_nobody_comes(door: Door) -> None:
    reader = JournalSource(door.data / "journal").open(None)
    reader.poll(1)
    before = reader.watermark()
    until(lambda: reader.poll(1) is None and reader.watermark() > before)
    reader.close()


def test_figures_are_written_for_people(tmp_path: Path) -> None:
    with running(tmp_path) as door:
        door.post("/v1/t", {})
        door.post("/v1/t", {}, "nobody")
    figures = json.loads((tmp_path / "status" / "door.json").read_text())
    assert figures["requests"] == 2
    assert figures["records"] == 1
    assert figures["refused"] == {"unknown_key": 1}
    assert figures["journal_end"] > 0 and figures["stamp"] > 0


def test_there_is_one_door_a_folder_and_one_a_port(door: Door, tmp_path: Path) -> None:
    with pytest.raises(LogBusy, match="only writer"):
        serve(Config(door.data, port=0))
    with pytest.raises(ConfigError, match="free"):
        serve(Config(tmp_path / "other", port=door.port))


@dataclass
class Process:
    """A door in a process of its own, which may be killed."""

    data: Path
    fault: str = ""
    door: Door = field(init=False)

    def __enter__(self) -> Process:
        command = [sys.executable, "-m", "pipelines", "door", "--data", str(self.data), "--port", "0"]
        surroundings = {**os.environ, "RAPPORT_FAULT": self.fault}
        self.process = subprocess.Popen(command, cwd=ROOT, env=surroundings, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.door = Door(self.data, int(re.findall(r":(\d+)", self.process.stdout.readline())[-1]))
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()


def test_a_killed_door_goes_on_with_the_next_number(tmp_path: Path) -> None:
    for life in range(2):
        with Process(tmp_path) as process:
            for n in range(3):
                assert process.door.post("/v1/t", {"n": 3 * life + n}).status == 200
    found = blocks(tmp_path)
    assert [json.loads(entry.body)["n"] for block in found for entry in block.entries] == list(range(6))
    assert [block.first for block in found] == list(range(6))
    assert sorted({block.received_at for block in found}) == [block.received_at for block in found]


def test_a_door_killed_between_journal_and_suppression_makes_good_before_it_serves(tmp_path: Path) -> None:
    with Process(tmp_path, "door.after_commit:1") as process:
        with pytest.raises((http.client.HTTPException, OSError)):
            process.door.post("/v1/t", UNSUBSCRIBED)
        assert process.process.wait(PATIENCE) == -signal.SIGKILL
    assert not stopped(tmp_path, "ana@people.example")
    with Process(tmp_path):
        assert stopped(tmp_path, "ana@people.example")


@pytest.mark.parametrize("fault", ["door.before_commit:2", "door.after_commit:1"])
def test_a_door_killed_while_it_pulls_neither_loses_nor_repeats(tmp_path: Path, fault: str) -> None:
    feedback(tmp_path, 0, 5)
    with Process(tmp_path, fault) as process:
        assert process.process.wait(PATIENCE) == -signal.SIGKILL
    with running(tmp_path):
        until(lambda: len(derived_in(tmp_path)) >= 5)
    assert derived_in(tmp_path) == [(f"person-{n}", ("person", n)) for n in range(5)]


def test_a_door_told_to_stop_ends_cleanly(tmp_path: Path) -> None:
    with Process(tmp_path) as process:
        assert process.door.post("/v1/t", {}).status == 200
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(PATIENCE) == 0
