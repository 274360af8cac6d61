"""Marked values are planted in every field of every kind of bad record; none comes out but where records belong.

What a failure keeps as `body` is the quarantine: it holds the record as it came, so that it can be played again, and
is erased with it. Everywhere else (reasons, details, logs, output, answers) only the form of a value may be told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from doorway import BROWSER, SERVER, Door
from shop import SECRET, shop
from support_calls import NOON, block, entry
from told import Blocks

from models.registry import Models, OpenModels
from pipelines.local.runner import EmbeddedRunner, Limits
from pipelines.replay import Output, compare
from pipelines.stream import Job, build
from schemas.failures import REASONS
from schemas.records import Block, Entry, Known
from transforms.logic import discover
from transforms.logic.engage import Engage
from transforms.logic.pointers import Pointers
from transforms.logic.shard import Outputs, Shard
from transforms.logic.vocabulary import NAMES
from transforms.stores.memory import MemoryRows

MARK = "c4n4ry"
TP2 = "/com.snowplowanalytics.snowplow/tp2"
MAIL, PHONE, TOKEN = "c4n4ry.ana@people.example", "+48c4n4ry600123123", "c4n4ry" + "0" * 26 + "-" + "5" * 32
VALUES: tuple[Any, ...] = (MAIL, [PHONE], {TOKEN: [MAIL]})
CALLS = (
    "track",
    "identify",
    "page",
    "screen",
    "alias",
    "group",
    "receipt",
    "mention",
    "derived",
    "unreadable",
    MAIL,
    "posthog",
    "snowplow",
)
TOP = [
    "messageId", "userId", "anonymousId", "previousId", "timestamp", "originalTimestamp", "sentAt", "event", "name",
    "type", "context", "traits", "properties", "consent", "key", "state", "at", "channel", "code", "attempt", "id",
    "text", "author", "network", "url", "thread", "parent", "created_at",
]  # fmt: skip
SAID = [
    "order_id", "transaction_id", "checkout_id", "revenue", "total", "value", "refund_amount", "currency", "products",
    "items", "cart_id", "product_id", "sku", "price", "quantity", "email", "phone", "token", "category", "list",
    "list_id", "list_name", "all", "action", "accept", "channel", "valid_until", "unlimited", "proof", "consent",
    "case_id", "version", "recency", "frequency", "monetary", "email_id", "key", "code", "reason", "url", "title",
    "path",
]  # fmt: skip
EVENTS = sorted({names[0] for names in NAMES.values()})
GOOD = {
    "userId": "c-1", "event": "Order Completed", "previousId": "k", "key": "k", "state": "sent", "text": "Fernweh",
    "properties": {"order_id": "o-1", "revenue": 1},
}  # fmt: skip
RAW = (
    b'{"%s":1,"%s":2}', b'{"%s":"%s","%s":"%s","event":"Signed Up"}', b'{"a":"%s","b":NaN}', b'{"a":"%s',
    b'"%s"', b"%s", b'{"event":"%s\\ud800"}', b'{"event":"%s\xe9"}', b'{"userId":"%s\\u0000"}', b'{"%s\xff":1}',
    b'{"userId":"%s","a":' + b"9" * 2000 + b"}", b'{"a":"%s","b":' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"event":"Unsubscribed","properties":{"email":"%s\xe9"}}', b'{"state":"complained","key":"%s\\ud800"}',
)  # fmt: skip


def bodies() -> Iterator[bytes]:
    """Every field with every value, and what cannot be read at all."""
    for value in VALUES:
        for field in TOP:
            yield _json({**GOOD, field: value})
        for field in SAID:
            yield _json({**GOOD, "properties": {**GOOD["properties"], field: value}})  # type: ignore[dict-item]
            yield _json({**GOOD, "traits": {field: value}, "context": {"traits": {field: value}, field: value}})
        for name in EVENTS:
            yield _json({**GOOD, "event": name, "properties": dict.fromkeys(SAID, value)})
            yield _json({"event": name, "properties": {"email": value}})
    for name, field in product(EVENTS, SAID):
        yield _json(
            {**GOOD, "event": name, "properties": {"order_id": "o", "case_id": "c", "version": "v", field: MAIL}}
        )
    yield from (raw.replace(b"%s", MAIL.encode()) for raw in RAW)


def _json(record: dict[str, Any]) -> bytes:
    return json.dumps({"messageId": f"m-{hash(str(record))}", **record}).encode()


def journal() -> list[Block]:
    """All bodies as each kind of entry, each id once with other words, and what breaks rules of ours."""
    entries = [
        entry(body, kind, "own" if kind == "derived" else ("server", "browser")[number % 2])
        for number, body in enumerate(bodies())
        for kind in ("track", CALLS[number % len(CALLS)])
    ]
    conflict = [entry({"messageId": MAIL, "userId": "c-1", "event": "X", "n": n}) for n in range(2)]
    breaking = [entry({"messageId": f"{name}-{MAIL}", "userId": "c-1", "event": "X"}) for name in BREAKING]
    post = entry({"messageId": "p", "text": f"Fernweh {MAIL}", "author": {"handle": MARK}}, "mention")
    return [block(*entries, *conflict, post, at=NOON), block(*breaking, at=NOON + 1, first=100_000)]


BREAKING = ("identify", "engage", "poison")


def lanes(blocks: Sequence[Block]) -> list[Any]:
    """The rows of both lanes, in memory."""
    rows: list[Any] = []
    for lane in ("person", "listen"):
        store, pipeline = MemoryRows(), Pipeline(options=PipelineOptions([]))
        build(pipeline, Blocks([[each] for each in blocks]), Job({"shop": shop()}, SECRET, Models(), 2), (lane,))
        engine = EmbeddedRunner(store, Limits(bundle=1, idle=0.0)).open(pipeline)
        engine.run_until_done()
        engine.close()
        rows += store.topics["rows"]
    return rows


@pytest.fixture
def broken_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules of ours that fail on some records, with errors that hold what the records say."""
    place, run, refuse = Pointers._place, Engage.run, Engage.refuse

    def reader(entry: Entry, block: Block, sequence: int) -> Any:
        raise ValueError(entry.body)

    def placed(self: Pointers, event: Any, *more: Any) -> None:
        if event.id == f"identify-{MAIL}":
            raise KeyError(MAIL)
        place(self, event, *more)

    def engaged(self: Engage, shard: Shard, items: Sequence[Known]) -> Outputs:
        if any(item.event.id in (f"engage-{MAIL}", f"poison-{MAIL}") for item in items):
            raise ValueError(f"cannot take {items!r}")
        return run(self, shard, items)

    def refused(self: Engage, item: Known, error: Exception) -> Outputs:
        if item.event.id == f"poison-{MAIL}":
            raise RuntimeError(f"cannot refuse {item!r}") from error
        return refuse(self, item, error)

    def scored(_: OpenModels, texts: Sequence[str]) -> Any:
        raise ValueError(f"cannot score {texts!r}")

    monkeypatch.setattr(OpenModels, "score", scored)
    monkeypatch.setattr(discover, "READERS", {**discover.READERS, "group": reader})
    monkeypatch.setattr(Pointers, "_place", placed)
    monkeypatch.setattr(Engage, "run", engaged)
    monkeypatch.setattr(Engage, "refuse", refused)


def test_no_lane_tells_what_a_bad_record_says(
    broken_rules: None, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level("INFO"):
        rows = lanes(journal())
    told = {(row.reason, getattr(row, "detail", "")) for row in rows if hasattr(row, "reason")}
    reasons = {reason for reason, _ in told}
    assert reasons >= set(REASONS) - {"unknown_version"} | {"poison", "model_error"}, (
        "each kind of bad record was there"
    )
    assert not [each for each in told if MARK in str(each).lower()]
    assert "cannot be taken" in caplog.text, "the poison was logged"
    assert MARK not in caplog.text.lower()
    assert MARK not in "".join(capfd.readouterr()).lower()


def test_no_difference_of_a_replay_tells_what_a_record_says(broken_rules: None) -> None:
    live, again = Output(), Output()
    live.add("rows", lanes(journal()))
    differences = [*compare(live, again), *compare(again, live)]
    assert len(differences) > 1000
    assert not [line for line in differences if MARK in line.lower()]


def test_the_door_answers_and_logs_without_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    door = Door(tmp_path)
    with caplog.at_level("INFO"):
        answers = [
            door.post(path, body, key)
            for number, body in enumerate(bodies())
            for path in ("/v1/t", ("/v1/i", "/v1/batch", "/v1/receipts", "/v1/mentions", "/e/", TP2)[number % 6])
            for key in (SERVER, BROWSER, MAIL)[: 3 if number % 19 == 0 else 1]
        ]
    door.close()
    assert {answer.status for answer in answers} == {200, 400, 401, 403}
    assert MARK not in "".join([answer.text for answer in answers]).lower()
    assert MARK not in caplog.text.lower()
    assert MARK not in "".join(capfd.readouterr()).lower()
