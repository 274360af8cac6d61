"""Mentions as feeds hand them over."""

from __future__ import annotations

from typing import Any

import pytest
from support_calls import NOON, entry, read

from schemas.failures import BAD_JSON, BAD_TEXT, BAD_TIME, MISSING_FIELD, WRONG_TYPE
from schemas.records import HOUR, Mention, MentionRow
from transforms.logic.discover import LISTEN

POST = {
    "id": "p-1",
    "text": "The Fernweh shoe fell apart",
    "author": {"network": "Chirp", "handle": "@Ana", "followers": 120},
    "source_type": "social",
    "directed": True,
    "url": "https://chirp.example/p-1",
    "thread": "t-1",
    "parent": "p-0",
    "timestamp": "2027-01-15T07:00:00Z",
}


def mention(**changes: Any) -> Mention:
    (found,) = read(entry(POST | changes, "mention"), lane=LISTEN).mentions
    return found


def test_a_post() -> None:
    found = mention()
    assert (found.network, found.author, found.followers) == ("chirp", "ana", 120)
    assert (found.text, found.source_type, found.directed) == ("The Fernweh shoe fell apart", "social", True)
    assert (found.url, found.thread, found.parent) == ("https://chirp.example/p-1", "t-1", "p-0")
    assert (found.id, found.event_time, found.received_at) == ("p-1", NOON - HOUR, NOON)


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"author": None}, "author", ""),
        ({"author": {}}, "network", "web"),
        ({"author": "@Ana", "network": "Chirp"}, "author", "ana"),
        ({"author": [1]}, "author", ""),
        ({"author": {"network": "chirp", "handle": "a b"}}, "author", ""),
        ({"author": {"network": "chirp", "handle": "a", "followers": -1}}, "followers", 0),
        ({"author": {"network": "chirp", "handle": "a", "followers": "many"}}, "followers", 0),
        ({"author": {"network": "chirp", "handle": "a", "followers": True}}, "followers", 0),
        ({"directed": None}, "directed", None),
        ({"directed": "yes"}, "directed", None),
        ({"directed": False}, "directed", False),
        ({"source_type": None}, "source_type", "post"),
        ({"timestamp": None}, "event_time", NOON),
        ({"timestamp": None, "created_at": 1_799_996_400}, "event_time", NOON - HOUR),
        ({"timestamp": "2032-01-01"}, "event_time", NOON),
        ({"url": 7}, "url", ""),
        ({"messageId": "m-1"}, "id", "m-1"),
        ({"text": "line\none\ttab\x07bell"}, "text", "line\none\ttab bell"),
        ({"text": "x" * 20_000}, "text", "x" * 10_000),
        ({"text": "Łódź \U0001f600"}, "text", "Łódź \U0001f600"),
    ],
)
def test_a_post_that_says_less(changes: dict[str, Any], field: str, expected: object) -> None:
    assert getattr(mention(**changes), field) == expected


def test_a_post_without_an_id_is_known_by_its_bytes() -> None:
    assert mention(id=None).id == mention(id=None).id != mention(id=None, text="x").id


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (POST | {"text": None}, MISSING_FIELD),
        (POST | {"text": ""}, MISSING_FIELD),
        (POST | {"text": " \n"}, MISSING_FIELD),
        (POST | {"text": ["a"]}, MISSING_FIELD),
        (POST | {"timestamp": "soon"}, BAD_TIME),
        (POST | {"author": 7}, WRONG_TYPE),
        ([], WRONG_TYPE),
        (b"{", BAD_JSON),
        (b'{"text":"\\ud800"}', BAD_TEXT),
        (b'{"text":"\xff"}', BAD_TEXT),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_post_that_is_none(body: Any, reason: str) -> None:
    out = read(entry(body, "mention"), lane=LISTEN)
    (failure,), (row,) = out.failures, out.rows
    assert failure.reason == reason
    assert isinstance(row, MentionRow)
    assert (row.disposition, row.reason) == ("failed", reason)
