"""An opt-out counts before it is answered, however broken it comes; if it cannot count, the answer is never yes."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from doorway import BROWSER, SERVER, TENANT, Door
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from shop import SECRET, shop

from pipelines.accept import Feed
from pipelines.config import Config
from pipelines.door import play
from pipelines.receive import PATHS
from schemas.keys import address_of
from schemas.records import Block, Entry, Event
from transforms.logic import consent, suppress
from transforms.logic.events import event_of
from transforms.logic.intake import TooLarge
from transforms.logic.moment import CutsBook, Moment, Plan
from transforms.logic.posted import cut
from transforms.logic.profile import SUPPRESSED, Person
from transforms.logic.shard import Outputs
from transforms.sources.journal import JournalSource
from transforms.stores.suppression import SuppressionView


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    door = Door(tmp_path_factory.mktemp("door"))
    yield door
    door.close()


# --- broken and applied -----------------------------------------------------------------------------------------------

WHO = b'"context":{"traits":{"email":"NAME@people.example"}}'
LEAVES = b'{"type":"track","event":"Unsubscribed",' + WHO
REJECTS = b'"consent":[{"action":"reject","category":"marketing","channel":"email"}]'

APPLIED = {
    "half a pair": LEAVES + b',"properties":{"why":"\\ud800"}}',
    "half a pair in its name": b'{"type":"track","event":"Unsubscribed","x":"\\udc00","x2":1,' + WHO + b"}",
    "a Latin-1 byte": LEAVES + b',"properties":{"why":"caf\xe9"}}',
    "too long": LEAVES + b',"properties":{"why":"' + b"x" * 40_000 + b'"}}',
    "too deep": LEAVES + b',"a":' + b"[" * 70 + b"]" * 70 + b"}",
    "a NUL": LEAVES + b',"properties":{"why":"\\u0000"}}',
    "a bare NUL": LEAVES + b',"properties":{"why":"\0"}}',
    "NaN": LEAVES + b',"properties":{"why":NaN}}',
    "a line break": LEAVES + b',"properties":{"why":"a\nb"}}',
    "a key twice": LEAVES + b',"a":1,"a":2}',
    "a long number": LEAVES + b',"a":' + b"9" * 2000 + b"}",
    "a bad time": LEAVES + b',"timestamp":"soon"}',
    "properties that are text": LEAVES + b',"properties":"weekly"}',
    "properties that are a list": LEAVES + b',"properties":["weekly"]}',
    "an id of another type": LEAVES + b',"messageId":{"a":1},"userId":[1]}',
    "traits that are text": LEAVES + b',"traits":"none"}',
    "a page of the wrong type": LEAVES[:-1] + b',"page":"x"}}',
    "consent that is no statement": LEAVES + b',"properties":{"consent":5}}',
    "consent within a bad order": b'{"type":"track","event":"Order Completed",' + WHO
    + b',"properties":{"order_id":"","revenue":-1,' + REJECTS + b"}}",
    "consent within a long identify": b'{"type":"identify","traits":{"email":"NAME@people.example",'
    + REJECTS + b',"bio":"' + b"x" * 40_000 + b'"}}',
    "a consent event with a spoilt name": b'{"type":"track","event":"Consent Updated",' + WHO
    + b',"properties":{"action":"reject","category":"marketing","by":"\\ud800"}}',
    "a complaint": b'{"type":"track","event":"Email Marked as Spam",' + WHO
    + b',"properties":{"email_id":"' + b"0" * 32 + b"-" + b"0" * 32 + b'"}}',
    "consent in the traits around an identify": b'{"type":"identify","traits":{"email":"NAME@people.example"},'
    b'"context":{"traits":{' + REJECTS + b"}}}",
    "consent in the traits of a track": b'{"type":"track","event":"Clicked","traits":{' + REJECTS + b"}," + WHO + b"}",
    "consent around a track": b'{"type":"track","event":"Clicked","traits":{"email":"NAME@people.example"},'
    b'"context":{"traits":{' + REJECTS + b"}}}",
    "consent around a broken track": b'{"type":"track","event":"Clicked","traits":{"email":"NAME@people.example"},'
    b'"timestamp":"soon","context":{"traits":{' + REJECTS + b"}}}",
    "consent in the properties of an alias": b'{"type":"alias","previousId":"o",' + WHO
    + b',"properties":{' + REJECTS + b"}}",
    "consent in the properties of a group": b'{"type":"group","groupId":"g",' + WHO
    + b',"properties":{' + REJECTS + b"}}",
    "a line break in its name": b'{"type":"track","event":"Unsubscribed\n",' + WHO + b"}",
    "another space in its name": '{"type":"track","event":"Email\u00a0Unsubscribed",'.encode() + WHO + b"}",
    "too many statements": b'{"type":"track","event":"Clicked",' + WHO
    + b',"properties":{"consent":[' + b"{}," * 2000 + b"{}]}}",
}  # fmt: skip


@pytest.mark.parametrize("name", APPLIED)
def test_a_broken_opt_out_counts_before_its_answer(opened: Door, name: str) -> None:
    for at, wrap in enumerate((("/v1/t", b"%s"), ("/v1/batch", b'{"batch":[{"type":"page"},%s]}'))):
        who = f"p{list(APPLIED).index(name)}-{at}"
        if at == 0:
            _, _, _, call, *_ = APPLIED[name].split(b'"')
            wrap = (f"/v1/{call.decode()}", b"%s")
        answer = opened.post(wrap[0], wrap[1] % APPLIED[name].replace(b"NAME", who.encode()), BROWSER)
        assert (answer.status, answer.text) == (200, '{"success":true}')
        assert opened.stopped(f"{who}@people.example"), wrap[0]
        assert not opened.stopped(f"other-{who}@people.example")


@pytest.mark.parametrize(
    "body",
    [b"\xef\xbb\xbf%s", gzip.compress(b"%s")[:-4], gzip.compress(gzip.compress(b"%s"))],
    ids=["bom", "torn", "two"],
)
def test_what_only_its_wrapping_makes_unreadable_counts_too(opened: Door, body: bytes) -> None:
    whole = LEAVES.replace(b"NAME", b"wrapped%d" % len(body)) + b"}"
    if body.startswith(b"\x1f\x8b"):
        once = gzip.compress(whole)
        body = gzip.compress(once) if body == gzip.compress(gzip.compress(b"%s")) else once[:-4]
    else:
        body = body % whole
    assert opened.post("/v1/t", body).status == 200
    assert opened.stopped(json.loads(whole)["context"]["traits"]["email"])


def test_a_record_without_its_type_counts(opened: Door) -> None:
    assert opened.post("/v1/batch", b'{"batch":[{"event":"Unsubscribed","userId":"c-no-type"}]}').status == 200
    assert opened.stopped("c-no-type", "customer")


# --- broken and not applied -------------------------------------------------------------------------------------------

UNHEARD = {
    "a spoilt address": b'{"type":"track","event":"Unsubscribed","properties":{"email":"an\xe9@people.example"}}',
    "a spoilt customer": b'{"type":"track","event":"Unsubscribed","userId":"c\\ud800","a":1}',
    "nobody": b'{"type":"track","event":"Unsubscribed"}',
    "a cookie that the job will not see": b'{"type":"track","event":"Unsubscribed","anonymousId":"k","timestamp":"x"}',
    "cut off": LEAVES,
    "hidden and cut off": b'{"type":"track","event":"unsubscri\\u0062ed","userId":"c',
    "wide letters, cut off": '{"event":"Unsubscribed"'.encode("utf-16"),
    "much too long": LEAVES + b',"a":"' + b"x" * 300_000 + b'"}',
    "no statement": b'{"type":"page","userId":"c-1","properties":{"consent":["never"]}}',
    "very deep": b'{"type":"page","userId":"c-1","properties":{"consent":' + b"[" * 5000 + b"]" * 5000 + b"}}",
    "a consent that is only no": b'{"type":"page","userId":"c-1","properties":{"consent":false}}',
    "a spoilt customer beside a cookie": b'{"event":"Unsubscribed","userId":"c\\u200b","anonymousId":"k"}',
    "a name beside an address beside a cookie": b'{"event":"Unsubscribed","anonymousId":"k",'
    b'"properties":{"email":"Ann <ann@people.example>"}}',
    "deep": b'{"type":"page","userId":"c-1","properties":{"consent":' + b"[" * 900 + b"]" * 900 + b"}}",
}


@pytest.mark.parametrize("body", UNHEARD.values(), ids=UNHEARD.keys())
def test_what_may_be_an_opt_out_and_cannot_count_is_not_answered_yes(opened: Door, body: bytes) -> None:
    before = opened.records
    answer = opened.post("/v1/p" if b"page" in body else "/v1/t", body)
    assert answer.status == 400
    assert "record 1 may be an opt-out and could not be applied" in json.loads(answer.text)["error"]
    batch = opened.post("/v1/batch", b'{"batch":[{"type":"page","userId":"c"},%s]}' % body)
    assert batch.status == 400
    assert "record 2 may be" in json.loads(batch.text)["error"]
    assert opened.records == before + 3, "all of it is kept"


@pytest.mark.parametrize(
    "body",
    [
        b'[{"event":"Unsubscribed","userId":"c-1"}]',
        b'{"batch":{"event":"Unsubscribed"}}',
        b'{"batch":["opt-out"]}',
        b'{"messages":[{"type":"track","userId":"c-1","event":"Unsubscribed"}]}',
        b'{"data":[{"type":"track","userId":"c-1","event":"Unsubscribed"}]}',
        b'{"Batch":[{"type":"track","userId":"c-1","event":"Unsubscribed"}]}',
        b'{"batch":[{"type":"unsubscribe","userId":"c-1"}]}',
    ],
)
def test_a_batch_that_is_none_is_not_answered_yes_either(opened: Door, body: bytes) -> None:
    assert opened.post("/v1/batch", body).status == 400


def test_a_complaint_that_the_job_will_refuse_is_not_answered_yes(opened: Door) -> None:
    good = b'{"key":"' + b"0" * 32 + b"-" + b"0" * 32 + b'","state":"complained"%s}'
    assert opened.post("/v1/receipts", good % b"").status == 200
    for bad in (b',"a":"\\ud800"', b',"at":"soon"', b',"state":"complained"', b',"a":NaN'):
        assert opened.post("/v1/receipts", good % bad).status == 400, bad


HARMLESS = (
    ("/v1/t", b'{"event":"Unsubscribed","anonymousId":"k","userId":null,"properties":{"email":""}}'),
    ("/v1/i", b'{"userId":"c","traits":{"marketing_opt_in":false}}'),
    ("/v1/batch", b'{"batch":[{"type":"page","userId":"c","context":{"page":{"url":"/unsubscribe"}}}]}'),
    ("/v1/t", b"hello"),
    ("/v1/p", b'{"name":"\\ud800"}'),
    ("/v1/p", b'{"userId":"c","context":{"page":{"url":"/unsubscribe"}},"timestamp":"soon"}'),
    ("/v1/p", b'{"userId":"c","timestamp":"soon","properties":{"consent":[]}}'),
    ("/v1/i", b'{"userId":"c","timestamp":"soon","traits":{"consent":[{"action":"accept","category":"news"}]}}'),
    ("/v1/mentions", b'{"text":"how do I unsubscribe \\ud800'),
    ("/v1/receipts", b'{"state":"opened","key":"\\ud800"}'),
)


@pytest.mark.parametrize("path, body", HARMLESS)
def test_what_is_no_opt_out_is_taken_and_judged_later(opened: Door, path: str, body: bytes) -> None:
    assert opened.post(path, body).status == 200


def test_a_body_in_an_encoding_that_nobody_reads_is_not_taken(opened: Door) -> None:
    before = opened.records
    assert opened.post("/v1/t", b"\x0b\x02\x80", content_encoding="br").status == 415
    assert opened.records == before
    assert opened.post("/v1/t", gzip.compress(b'{"event":"X"}'), content_encoding="gzip").status == 200


def test_an_opt_out_in_a_file_counts_or_is_named_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "leavers.jsonl"
    file.write_bytes(b"\n".join([APPLIED["half a pair"].replace(b"NAME", b"ana"), b"{}", UNHEARD["cut off"], b"\xff"]))
    with caplog.at_level("WARNING"):
        assert play(Config(tmp_path / "data", sync=False), [Feed(file, SERVER)]) == 4
    assert caplog.messages == ["record 3 of leavers.jsonl may be an opt-out and was not applied; see failures"]
    view = SuppressionView(tmp_path / "data" / "door")
    ana = address_of(Config(tmp_path / "data").secret(), TENANT.name, "email", "ana@people.example")
    assert view.blocks(TENANT.name, [ana], "marketing", "marketing")
    view.close()


# --- the door and the job agree ---------------------------------------------------------------------------------------

NAMES = ("marketing", "news", "orders", "offers")
WORDS: st.SearchStrategy[Any] = st.sampled_from(
    [*NAMES, "News", " news ", "weekly", "all", "*", "", "\u202enews", 7, 0, True, None, ["news"], {}]
)
ASKED = st.dictionaries(st.sampled_from(["category", "list", "list_id", "list_name", "all"]), WORDS)


def _unsubscribed(said: dict[str, Any]) -> Event:
    body = json.dumps({"event": "Unsubscribed", "userId": "c-ana", "properties": said}).encode()
    return event_of(Entry("track", "shop", "browser", "site", 0, body), Block(1, 0, 0, []), 0)[0]


@settings(max_examples=120, deadline=None, database=None)
@given(ASKED, st.sets(st.sampled_from(NAMES), min_size=1), st.sampled_from(NAMES))
def test_the_door_and_the_job_suppress_the_same(said: dict[str, Any], sold: set[str], asked: str) -> None:
    base = shop()
    tenant = replace(base, campaigns=tuple(replace(base.campaigns[0], category=name) for name in sorted(sold)))
    event, person = _unsubscribed(said), Person("ab" * 16, "shop", 1)
    consent.unsubscribe(
        Moment(Plan.of(tenant, SECRET), person, 1, Outputs(), lambda _: CutsBook([]), event, False, False)
    )
    job = consent.is_suppressed(SUPPRESSED.read(person.suppressed), (asked, consent.ANY))
    refusals = suppress.Refusals()
    for change in suppress.changes(event, suppress.Scope(SECRET, tenant.categories)):
        refusals = suppress.fold(refusals, change)
    assert suppress.blocked([refusals], "marketing", asked) == job
    assert any(suppress.blocked([refusals], "marketing", name) for name in sold), "nobody leaves in vain"


def test_who_leaves_a_list_of_ours_leaves_nothing_else() -> None:
    scope = suppress.Scope(SECRET, frozenset(("marketing", "news")))
    told = {change.category for change in suppress.changes(_unsubscribed({"list_id": "News"}), scope)}
    assert told == {"news"}
    for said in ({"list": "weekly"}, {"list_id": 4711}, {"category": ["news"]}, {"list_name": "\u200b"}):
        assert {change.category for change in suppress.changes(_unsubscribed(said), scope)} == {"*"}, said
    elsewhere = suppress.Scope(SECRET, frozenset(("news",)))
    assert {change.category for change in suppress.changes(_unsubscribed({}), elsewhere)} == {"*"}


# --- anything at all --------------------------------------------------------------------------------------------------

GOLDEN = sorted((Path(__file__).parent / "golden" / "segment").glob("*.json"))
VALID = [
    *(request["body"].encode() for file in GOLDEN for request in json.loads(file.read_text())["requests"]),
    *(body.replace(b"NAME", b"ana") for body in (*APPLIED.values(), *UNHEARD.values()) if len(body) < 2000),
    b'{"receipts":[{"key":"k","state":"complained","at":1}]}',
    b'{"mentions":[{"text":"\\ud83d\\ude00"},{"id":1,"text":"hi","author":{"handle":"@x"}}]}',
]
FLIPS = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(0, 255), st.sampled_from(["flip", "drop", "add"])), max_size=6
)


def _spoilt(body: bytes, flips: list[tuple[int, int, str]]) -> bytes:
    spoilt = bytearray(body)
    for at, byte, how in flips:
        place = at % max(len(spoilt), 1)
        spoilt[place : place + (how != "add")] = b"" if how == "drop" else bytes([byte])
    return bytes(spoilt)


SPOILT = st.builds(_spoilt, st.sampled_from(VALID), FLIPS)
ANYTHING = (
    st.binary(max_size=300) | SPOILT | SPOILT.map(gzip.compress) | st.builds(_spoilt, SPOILT.map(gzip.compress), FLIPS)
)
QUIET = settings(max_examples=250, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@QUIET
@given(st.sampled_from(sorted(PATHS)), ANYTHING)
def test_whatever_is_posted_is_answered_and_accounted_for(opened: Door, path: str, body: bytes) -> None:
    before = opened.records
    answer = opened.post(path, body)
    try:
        expected = len(cut(PATHS[path], body).pieces)
    except TooLarge:
        expected = 0
    assert answer.status in ((200, 400) if expected or answer.status == 200 else (413,))
    assert opened.records == before + expected


@settings(max_examples=8, deadline=None, database=None)
@given(st.lists(ANYTHING.map(lambda body: body.replace(b"\n", b" ")), max_size=8))
def test_whatever_a_file_holds_is_played_and_accounted_for(tmp_path_factory: Any, lines: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("file")
    (folder / "any").write_bytes(b"\n".join(lines))
    played = play(Config(folder / "data", sync=False), [Feed(folder / "any", SERVER)])
    assert played == len([line for line in lines if line.strip()])
    reader = JournalSource(folder / "data" / "journal", end=True).open(None)
    entries = [
        entry for pull in iter(lambda: reader.poll(1000), None) for block in pull.items for entry in block.entries
    ]
    reader.close()
    assert len(entries) == played


PRICE = 10.0
HOSTILE = (b"\\ud800", b"\\n", b"\\", b'"', b"[", b"{", b'{"a":', b"\\u0062", b"\0", b"\xff", b'"a":1,', b"9", b'["",')


@pytest.mark.parametrize("start, bad", list(product((LEAVES + b',"a":"', LEAVES + b',"a":[', LEAVES + b","), HOSTILE)))
def test_a_hostile_opt_out_costs_less_than_ten_milliseconds(start: bytes, bad: bytes) -> None:
    body = start + bad * (32_000 // len(bad))
    (piece,) = cut("track", body).pieces
    entry, scope = Entry(piece.kind, "shop", "browser", "site", 0, piece.body), suppress.Scope(SECRET, frozenset())
    prices = []
    for _ in range(3):
        before = time.process_time()
        suppress.hear(piece, entry, Block(1, 0, 0, []), scope)
        prices.append((time.process_time() - before) * 1000)
    assert min(prices) < PRICE
