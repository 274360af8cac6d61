"""Whatever comes, discover and identify give each record exactly one place and never break."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support_calls import NOON, block, entry, read

from schemas.records import EventRow, MentionRow
from transforms.logic import calls, posts, properties
from transforms.logic.discover import LISTEN, PERSON, discover
from transforms.logic.pointers import Pointers
from transforms.logic.repeats import Repeats
from transforms.logic.returns import Report
from transforms.logic.vocabulary import NAMES
from transforms.stores.memory import MemoryRows

KINDS = (
    "track",
    "identify",
    "page",
    "screen",
    "alias",
    "group",
    "receipt",
    "derived",
    "mention",
    "unreadable",
    "poem",
    "posthog",
    "snowplow",
)
SHAPES = (
    calls.Call, calls.Context, calls.Words, calls.Page, calls.Place, posts.Post, posts.Author, Report,
    *(shape for shape in vars(properties).values() if isinstance(shape, type) and issubclass(shape, msgspec.Struct)),
)  # fmt: skip
FIELDS = sorted({field.encode_name for shape in SHAPES for field in msgspec.structs.fields(shape)})
EVENTS = sorted({names[0] for names in NAMES.values()})
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30)
    | st.sampled_from(
        [*EVENTS, "accept", "ana@shop.example", "+48601234567", "2027-01-15T08:00:00Z", "sent", "a" * 65, "null"]
    )
)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6)


VALUES = st.recursive(LEAVES, _nested, max_leaves=12)
CALLS = st.fixed_dictionaries(
    {},
    optional={
        "event": st.sampled_from(EVENTS) | LEAVES,
        "messageId": LEAVES,
        "userId": LEAVES,
        "anonymousId": LEAVES,
        "timestamp": LEAVES,
        "properties": st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=8) | VALUES,
        "traits": st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=8) | VALUES,
        "context": st.dictionaries(st.sampled_from(["traits", "page", "locale", "timezone"]), VALUES) | VALUES,
        "text": LEAVES,
        "author": VALUES,
        "key": LEAVES,
        "state": LEAVES,
    },
)
BODIES = st.binary(max_size=200) | CALLS.map(json.dumps).map(str.encode) | VALUES.map(json.dumps).map(str.encode)
QUIET = settings(max_examples=250, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@QUIET
@given(st.lists(st.tuples(st.sampled_from(KINDS), BODIES, st.sampled_from(["server", "browser", "own"])), max_size=8))
def test_every_entry_has_exactly_one_place(records: list[tuple[str, bytes, str]]) -> None:
    entries = [entry(body, kind, trust) for kind, body, trust in records]
    mentions = {place for place, (kind, _, _) in enumerate(records) if kind == "mention"}
    for lane, expected in ((PERSON, {*range(len(records))} - mentions), (LISTEN, mentions)):
        out = discover([block(*entries)], lane)
        places = [each.sequence for each in (*out.events, *out.mentions, *out.failures)]
        assert sorted(places) == sorted(expected)
        lines = [row.sequence for row in out.rows if isinstance(row, EventRow | MentionRow)]
        assert lines == [failure.sequence for failure in out.failures]
        assert not [failure for failure in out.failures if failure.reason == "step_failed"]
        assert all(failure.body == records[failure.sequence][1] for failure in out.failures)


@QUIET
@given(st.lists(st.tuples(st.sampled_from(KINDS[:7]), BODIES, st.sampled_from(["server", "browser"])), max_size=12))
def test_every_event_has_exactly_one_place_after_identify(records: list[tuple[str, bytes, str]]) -> None:
    events = discover([block(*(entry(body, kind, trust) for kind, body, trust in records))], PERSON).events
    if not events:
        return
    transaction = MemoryRows().begin()
    fresh = Repeats().run(transaction.shard("repeats", 0), events)
    named = Pointers(b"s" * 32).run(transaction.shard("pointers", 0), fresh.events)
    taken = [known.event.sequence for known in named.known if not known.link]
    lines = [row.sequence for row in (*fresh.rows, *named.rows) if isinstance(row, EventRow)]
    assert sorted([*taken, *lines]) == [event.sequence for event in events]
    assert [known.order for known in named.known] == sorted(known.order for known in named.known)


WRONG = [None, True, 0, -1, 10**30, 1e300, "", "\u202e", "x" * 5000, [], {}, [[]], [{}], [None]]


@pytest.mark.parametrize("field", FIELDS)
def test_a_wrong_type_in_any_field(field: str) -> None:
    entries = []
    for kind, value in product(KINDS[:7], WRONG):
        body = {"event": "Order Completed", "userId": "c", "previousId": "k", "key": "k", "state": "sent", "text": "t"}
        wrong = {"properties": {field: value}, "traits": {field: value}}
        entries += [entry(body | wrong | {field: value}, kind)]
        entries += [entry(body | {"context": {"traits": {field: value}, "page": {field: value}}}, kind)]
    entries += [entry({"event": name, "properties": {field: value}}) for name, value in product(EVENTS, WRONG)]
    out = read(*entries, at=NOON)
    assert len(out.events) + len(out.failures) == len(entries)
    assert not [failure.detail for failure in out.failures if failure.reason == "step_failed"]


GOLDEN = sorted((Path(__file__).parent.parent / "golden" / "segment").glob("*.json"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_sdk_is_understood(path: Path) -> None:
    for request in json.loads(path.read_text(encoding="utf-8"))["requests"]:
        body = json.loads(request["body"])
        records = body.get("batch", [body])
        for record, expected in zip(records, request["expect"], strict=True):
            out = read(entry(record, expected["kind"], sent_at=expected["sent_at"]))
            assert not out.failures
            (found,) = out.events
            assert found.id == expected["messageId"]
            assert found.ids.customer or found.ids.cookie or found.ids.email
