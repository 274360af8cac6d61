"""The envelope: who, when, under which id; and what discover does with what is no call of an SDK."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from support_calls import BROWSER, NOON, SERVER, block, entry, event, give_back, read, refused, track

from schemas.codec import pack
from schemas.failures import (
    BAD_TIME,
    BAD_VALUE,
    MISSING_FIELD,
    NOT_TRUSTED,
    UNKNOWN_KIND,
    UNKNOWN_VERSION,
    UNREADABLE,
    WRONG_TYPE,
)
from schemas.records import (
    DAY,
    HOUR,
    MINUTE,
    OWN,
    SECOND,
    Aliased,
    Custom,
    Derived,
    Entry,
    Handover,
    Identified,
    Ids,
    Past,
    Place,
    Receipt,
    Route,
    Said,
    Traits,
    Viewed,
)
from transforms.logic.discover import PERSON, discover

KEY = "a" * 32 + "-" + "b" * 32
AT = "2027-01-15T08:00:00Z"  # NOON


def test_an_event_knows_its_place_and_keeps_its_bytes() -> None:
    first = entry(track("Cart Emptied"), trust=BROWSER)
    out = discover([block(first, at=NOON, first=40), block(first, first, at=NOON + 1, first=41)], PERSON)
    assert [each.order for each in out.events] == [(NOON, 0, 40, 0), (NOON + 1, 0, 41, 0), (NOON + 1, 0, 42, 0)]
    assert {(each.tenant, each.trust, each.source, each.id) for each in out.events} == {("shop", BROWSER, "web", "m-1")}
    assert out.events[0].raw == first.body


@pytest.mark.parametrize(
    ("given", "expected"),
    [("m-1", "m-1"), (7, "7"), ("é" * 100, "é" * 100)],
)
def test_the_senders_id_is_kept(given: object, expected: str) -> None:
    assert event({"event": "x", "messageId": given}).id == expected


@pytest.mark.parametrize("given", ["x" * 101, None, "", [], {}, True, -1, 1.5])
def test_an_id_that_is_none_is_a_hash(given: object) -> None:
    found = event({"event": "x", "messageId": given})
    assert len(found.id) == 32
    assert found.id == event({"event": "x", "messageId": given}).id
    assert found.id != event({"event": "y", "messageId": f"{given}" * 101}).id


@pytest.mark.parametrize(
    ("times", "sent_at", "expected"),
    [
        ({}, 0, NOON),
        ({"timestamp": None}, 0, NOON),
        ({"timestamp": AT}, 0, NOON),
        ({"timestamp": "2027-01-15T07:00:00Z"}, 0, NOON - HOUR),
        ({"timestamp": (NOON - HOUR) // 1000}, 0, NOON - HOUR),
        ({"timestamp": "2027-01-15T07:00:00Z", "sentAt": "2027-01-15T07:00:01Z"}, 0, NOON - SECOND),
        ({"timestamp": "2027-01-15T07:00:00Z"}, NOON - HOUR + SECOND, NOON - SECOND),
        ({"originalTimestamp": "2027-01-15T07:00:00Z", "timestamp": AT}, 0, NOON - HOUR),
        ({"timestamp": "2020-01-01T00:00:00Z"}, 0, 1_577_836_800_000_000),
        ({"timestamp": "2027-01-15T08:04:00Z"}, 0, NOON),
        ({"timestamp": "2032-01-15T08:04:00Z"}, 0, NOON),
    ],
)
def test_when_it_happened(times: dict[str, Any], sent_at: int, expected: int) -> None:
    (found,) = read(entry(track("Cart Emptied") | times, sent_at=sent_at)).events
    assert found.event_time == expected


@pytest.mark.parametrize("when", ["tomorrow", -5, 1e300, "+055000-01-01T00:00:00Z", [], True])
@pytest.mark.parametrize("field", ["timestamp", "originalTimestamp", "sentAt"])
def test_no_time_at_all_is_refused(field: str, when: object) -> None:
    if when != []:
        assert refused(track("Cart Emptied") | {field: when}).reason in (BAD_TIME, BAD_VALUE)


def test_amended_times_are_counted() -> None:
    notes = Counter[str]()
    ahead = track("Cart Emptied") | {"timestamp": "2027-01-16T08:00:00Z"}
    slow = track("Cart Emptied") | {"timestamp": AT, "sentAt": "2027-01-10T08:00:00Z"}
    discover([block(entry(ahead), entry(slow), entry(track("Cart Emptied")))], PERSON, notes)
    assert notes == {"future": 1, "skew": 1}


@pytest.mark.parametrize(
    ("call", "kind", "expected"),
    [
        ({"userId": "c1", "anonymousId": "k1"}, "page", Ids(customer="c1", cookie="k1")),
        ({"userId": None, "anonymousId": "k1"}, "page", Ids(cookie="k1")),
        ({"userId": 5}, "page", Ids(customer="5")),
        ({"userId": "undefined", "anonymousId": "null"}, "page", Ids()),
        ({"userId": ["c1"]}, "page", Ids()),
        ({"context": {"traits": {"email": "Ana@Shop.example"}}}, "page", Ids(email="ana@shop.example")),
        ({"traits": {"email": "ana@shop.example", "phone": "+48 601 234 567"}}, "identify",
         Ids(email="ana@shop.example", phone="+48601234567")),
        ({"traits": {"email": "a@b.example"}, "context": {"traits": {"email": "x@y.example", "phone": "+48601234567"}}},
         "identify", Ids(email="a@b.example", phone="+48601234567")),
        ({"traits": {"twitter": "@Ana"}}, "identify", Ids(handle="twitter:ana")),
        ({"traits": {"handles": {"mastodon": "ana@m.example"}}}, "identify", Ids(handle="mastodon:ana@m.example")),
        ({"traits": {"handles": ["ana"], "x": "ana"}}, "identify", Ids()),
        ({"traits": []}, "identify", Ids()),
        ({"context": [], "traits": None}, "identify", Ids()),
        ({"event": "Signed Up", "properties": {"email": "ana@shop.example", "phone": "0048601234567"}}, "track",
         Ids(email="ana@shop.example", phone="+48601234567")),
        ({"event": "Signed Up", "properties": {"email": "a@b.c, evil@x.y"}}, "track", Ids()),
        ({"event": "Order Completed", "properties": {"order_id": "o", "email": "ana@shop.example"}}, "track",
         Ids(email="ana@shop.example")),
        ({"event": "Product Viewed", "properties": {"email": "friend@shop.example"}}, "track", Ids()),
        ({"event": "Gift Sent", "properties": {"email": "friend@shop.example"}}, "track", Ids()),
    ],
)  # fmt: skip
def test_whose_it_is(call: dict[str, Any], kind: str, expected: Ids) -> None:
    assert event({"messageId": "m"} | call, kind).ids == expected


@pytest.mark.parametrize(
    ("traits", "expected"),
    [
        ({"firstName": "Ana", "lastName": "Nowak"}, Traits("Ana", "Nowak")),
        ({"first_name": "Ana", "last_name": "Nowak"}, Traits("Ana", "Nowak")),
        ({"name": "Ana Maria Nowak"}, Traits("Ana", "Maria Nowak")),
        ({"name": "Ana"}, Traits("Ana")),
        ({"firstName": "Ana", "name": "Someone Else"}, Traits("Ana")),
        ({"firstName": "A\u202en\u200ba\x07"}, Traits("Ana")),
        ({"firstName": "  Ana  \n"}, Traits("Ana")),
        ({"firstName": "Zoe\u0301" + "\u0301" * 5000}, Traits("Zoe\u0301\u0301\u0301")),
        ({"firstName": "x" * 5000}, Traits("x" * 100)),
        ({"firstName": "\U0001f600" * 10_000}, Traits("\U0001f600" * 100)),
        ({"firstName": 7, "lastName": ["x"], "name": {}}, None),
        ({"locale": "pl-PL", "timezone": "Europe/Warsaw"}, Traits(locale="pl-PL", timezone="Europe/Warsaw")),
        ({"locale": "../../etc", "timezone": "../../etc/passwd"}, None),
        ({"locale": "x" * 100}, None),
        ({"birthday": "1990-02-29"}, None),
        ({"birthday": "1990-02-28T00:00:00Z"}, Traits(birthday="1990-02-28")),
        ({"birthday": 19900228}, None),
        ({"address": {"country": "PL", "city": "Kraków"}}, Traits(country="PL")),
        ({"address": "Kraków"}, None),
        ({"address": [1]}, None),
        ({"country": "Poland", "address": {"country": "PL"}}, Traits(country="Poland")),
        ({"company": {"name": "Acme"}}, Traits(company="Acme")),
        ({"company": "Acme"}, Traits(company="Acme")),
        ({"company": 5}, None),
        ({}, None),
    ],
)
def test_what_is_said_about_the_person(traits: dict[str, Any], expected: Traits | None) -> None:
    call = {"messageId": "m", "userId": "c1", "traits": traits}
    assert event(call, "identify").traits == expected
    rudder = {"messageId": "m", "userId": "c1", "context": {"traits": traits}}
    assert event(rudder, "identify").traits == expected


def test_the_calls_own_traits_come_first() -> None:
    around = {"traits": {"firstName": "Eva", "lastName": "Berg"}, "locale": "de", "timezone": "Europe/Berlin"}
    found = event({"messageId": "m", "traits": {"firstName": "Ana"}, "context": around}, "identify")
    assert found.traits == Traits("Ana", "Berg", "de", "Europe/Berlin")


def test_a_sign_up_learns_the_language_and_a_view_learns_nothing() -> None:
    around = {"context": {"locale": "pl-PL", "timezone": "Europe/Warsaw"}}
    assert event(track("Signed Up") | around).traits == Traits(locale="pl-PL", timezone="Europe/Warsaw")
    assert event(track("Product Viewed") | around).traits is None


@pytest.mark.parametrize(
    ("kind", "call", "fact"),
    [
        ("identify", {}, Identified()),
        ("alias", {"previousId": "k1"}, Aliased("k1")),
        ("group", {"groupId": "g"}, Custom("Group")),
        ("page", {}, Viewed("page")),
        ("screen", {}, Viewed("screen")),
    ],
)
def test_calls_that_are_no_tracks(kind: str, call: dict[str, Any], fact: object) -> None:
    assert event({"messageId": "m", "userId": "c1"} | call, kind).fact == fact


@pytest.mark.parametrize("previous", [None, "", "null", [], "x" * 500])
def test_an_alias_of_nobody(previous: object) -> None:
    assert refused({"userId": "c1", "previousId": previous}, "alias").reason == MISSING_FIELD


@pytest.mark.parametrize(("kind", "reason"), [("unreadable", UNREADABLE), ("poem", UNKNOWN_KIND), ("", UNKNOWN_KIND)])
def test_other_kinds(kind: str, reason: str) -> None:
    assert refused(b"\xff\x00", kind).reason == reason


def test_each_lane_takes_its_own() -> None:
    both = block(entry({"text": "hi"}, "mention"), entry(track("Cart Emptied")))
    assert not discover([both], PERSON).mentions
    assert len(discover([both], PERSON).events) == 1
    assert not discover([both], "listen").events
    assert len(discover([both], "listen").mentions) == 1
    broken = block(entry(b"{", "mention"), entry(b"{"))
    assert [row.reason for row in discover([broken], "listen").rows] == ["bad_json"]  # type: ignore[union-attr]


# --- what comes back ------------------------------------------------------------------------------------------------

RECEIPT = {"key": KEY, "state": "delivered", "at": AT, "channel": "email", "code": 250, "attempt": 2}


def test_a_receipt() -> None:
    found = event(RECEIPT, "receipt")
    assert found.fact == Receipt(KEY, "delivered", NOON, "email", "250", 2)
    assert found.ids == Ids() and not found.derived


@pytest.mark.parametrize(
    ("changes", "trust", "reason"),
    [
        ({}, BROWSER, NOT_TRUSTED),
        ({"state": "lost"}, SERVER, BAD_VALUE),
        ({"state": None}, SERVER, BAD_VALUE),
        ({"state": ["sent"]}, SERVER, BAD_VALUE),
        ({"at": "later"}, SERVER, BAD_TIME),
    ],
)
def test_receipts_that_are_refused(changes: dict[str, Any], trust: str, reason: str) -> None:
    assert refused(RECEIPT | changes, "receipt", trust).reason == reason


def test_a_receipt_needs_no_time_and_no_attempt() -> None:
    assert event({"key": KEY, "state": "sent", "attempt": "x"}, "receipt").fact == Receipt(KEY, "sent", NOON)


def test_a_derived_record_is_the_jobs_own() -> None:
    said = Said("m", ("Acme",), True, "negative", 0.9, "en", "bad")
    derived = Derived("d-1", "shop", NOON - MINUTE, Ids(handle="twitter:ana"), said)
    (found,) = read(give_back(derived)).events
    assert (found.id, found.trust, found.derived, found.fact, found.route) == ("d-1", OWN, True, said, None)
    assert found.event_time == NOON - MINUTE


def test_a_handover_knows_its_way() -> None:
    derived = Derived("d-1", "shop", NOON, Ids(), Handover(b"parts", b"from"), address=b"to", hops=1)
    (found,) = read(give_back(derived)).events
    assert found.route == Route("d-1", b"to", 1)


def test_a_forward_is_its_original_at_a_new_place() -> None:
    original = event(track("Cart Emptied"), trust=BROWSER)
    past = Past(5)
    forward = Derived("f-1", "shop", 0, original.ids, original.fact, "m-1", b"to", 2, original, past)
    (found,) = discover([block(give_back(forward), at=NOON + DAY, first=99)], PERSON).events
    assert found.order == (NOON + DAY, 0, 99, 0)
    assert (found.id, found.trust, found.raw, found.event_time) == ("m-1", BROWSER, original.raw, original.event_time)
    assert found.derived and found.route == Route("f-1", b"to", 2, past, (Place(NOON, 0, 0, 0, False),))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", UNKNOWN_VERSION),
        (b"\x02abc", UNKNOWN_VERSION),
        (b"\x01", WRONG_TYPE),
        (b"\x01\xc1", WRONG_TYPE),
        (pack(["d"]), WRONG_TYPE),
        (pack({"id": 1}), WRONG_TYPE),
    ],
)
def test_a_derived_record_that_is_none(body: bytes, reason: str) -> None:
    out = read(Entry("derived", "shop", OWN, "engage", 0, body))
    (failure,), (row,) = out.failures, out.rows
    assert failure.reason == reason
    assert row.derived  # type: ignore[union-attr]


@pytest.mark.parametrize("trust", [SERVER, BROWSER])
def test_nobody_else_may_send_derived_records(trust: str) -> None:
    assert refused(pack(Derived("d", "shop", 0, Ids(), Custom("x"))), "derived", trust).reason == NOT_TRUSTED
