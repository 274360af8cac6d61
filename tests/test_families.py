"""Families of SDKs beside Segment's: the same fact gives the same record, and every promise of the door holds."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from doorway import BROWSER, SERVER, Door
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from story_told import EXPECTED, FACTS, told
from support_calls import NOON, block, entry, event, read, track

from pipelines.receive import PATHS
from schemas.records import Entry, Event
from transforms.logic.broken import may_refuse
from transforms.logic.discover import PERSON, discover
from transforms.logic.intake import TooLarge
from transforms.logic.posted import POSTHOG, SNOWPLOW, cut
from transforms.logic.repeats import mark
from transforms.logic.routing import NOWHERE, key_of

GOLDEN = sorted((Path(__file__).parent / "golden" / "families").glob("*.json"))
TP2 = "/com.snowplowanalytics.snowplow/tp2"


def recorded(file: Path) -> Iterator[tuple[str, bytes]]:
    """The call of each request and its body, as the SDK sent it."""
    for request in json.loads(file.read_text())["requests"]:
        path, _, query = request["path"].partition("?")
        plain = query.encode() if request["method"] == "GET" else request["body"].encode()
        yield PATHS[path], gzip.compress(plain) if request["gzip"] else plain


def entries(call: str, body: bytes) -> list[Entry]:
    return [entry(piece.body, piece.kind, sent_at=piece.sent_at) for piece in cut(call, body).pieces]


def events(file: Path) -> list[Event]:
    found = [each for call, body in recorded(file) for each in entries(call, body)]
    out = discover([block(*found)], PERSON)
    assert not out.failures
    assert [each.raw for each in out.events] == [each.body for each in found], "the caller's bytes are kept"
    return out.events


# --- the same fact, the same record -----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_the_same_fact_from_each_family_gives_the_same_record(file: Path) -> None:
    assert told(events(file)) == EXPECTED


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_a_repeat_of_a_recorded_body_is_known_as_one(file: Path) -> None:
    for call, body in recorded(file):
        again = body
        for clock in (b'"stm":"17', b"stm=17", b'"sent_at":"20', b'"sentAt":"20'):
            again = again.replace(clock, clock[:-2] + b"19" if clock.endswith(b"17") else clock[:-2] + b"21")
        first, second = (discover([block(*entries(call, each))], PERSON).events for each in (body, again))
        assert [(each.id, mark(each)) for each in first] == [(each.id, mark(each)) for each in second]


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_one_persons_records_have_one_key_on_a_topic(file: Path) -> None:
    keys = {key_of(each, b"s" * 32) for call, body in recorded(file) for each in entries(call, body)}
    assert len(keys - {NOWHERE}) == 1


def test_every_family_was_recorded() -> None:
    told_by = {file.stem.partition("-")[0] for file in GOLDEN}
    assert told_by == {"rudder", "posthog", "jitsu", "snowplow"}
    assert len(GOLDEN) >= 14


# --- PostHog ----------------------------------------------------------------------------------------------------------


def hog(event_name: str, **more: Any) -> dict[str, Any]:
    return {"event": event_name, "distinct_id": "d-1", "uuid": "u-1", **more}


PEOPLE: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "a server's": (hog("X"), ("d-1", "")),
    "a visitor's": (hog("X", properties={"$device_id": "d-1"}), ("", "d-1")),
    "a visitor's after a reset": (hog("X", properties={"$device_id": "k", "$is_identified": False}), ("", "d-1")),
    "nobody's profile": (hog("X", properties={"$process_person_profile": False}), ("", "d-1")),
    "a known one's": (hog("X", properties={"$device_id": "k", "$is_identified": True}), ("d-1", "k")),
    "a login": (hog("$identify", properties={"$anon_distinct_id": "k"}), ("d-1", "k")),
    "a group of a server": (hog("$groupidentify", properties={"$group_key": "g"}), ("", "")),
    "within its properties": ({"event": "X", "properties": {"distinct_id": "d-2"}}, ("d-2", "")),
}


@pytest.mark.parametrize("body, who", PEOPLE.values(), ids=PEOPLE.keys())
def test_one_id_for_known_and_unknown_is_told_apart(body: dict[str, Any], who: tuple[str, str]) -> None:
    ids = event(body, POSTHOG).ids
    assert (ids.customer, ids.cookie) == who


def test_an_alias_of_posthog_has_its_new_id_in_alias() -> None:
    found = event(hog("$create_alias", properties={"alias": "c-1", "distinct_id": "old"}), POSTHOG)
    assert (found.ids.customer, getattr(found.fact, "previous", "")) == ("c-1", "d-1")


def test_what_is_set_once_yields_to_what_is_set() -> None:
    said = {"$set_once": {"email": "old@people.example"}, "$set": {"email": "ana@people.example"}}
    assert event(hog("Signed Up", properties=said), POSTHOG).ids.email == "ana@people.example"


WRAPPED = {
    "one": lambda one: one,
    "a batch": lambda one: b'{"api_key":"k","batch":[%s]}' % one,
    "a list": lambda one: b"[%s]" % one,
    "a form": lambda one: b"data=" + quote(base64.b64encode(one)).encode(),
    "a form of a list, packed": lambda one: b"data=" + quote(base64.b64encode(gzip.compress(b"[%s]" % one))).encode(),
    "packed": lambda one: gzip.compress(b'{"data":[%s]}' % one),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED.keys())
def test_posthogs_wrappings_give_one_record(wrap: Any) -> None:
    one = json.dumps({**hog("X"), "properties": {"token": "k"}}).encode()
    found = cut(POSTHOG, wrap(one))
    assert [(piece.kind, piece.body) for piece in found.pieces] == [(POSTHOG, one)]
    assert found.write_key == "k"


# --- Snowplow ---------------------------------------------------------------------------------------------------------


def coded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def described(name: str, data: Any, *entities: tuple[str, Any], plain: bool = False, **more: Any) -> dict[str, Any]:
    outer = {"schema": "iglu:x/unstruct_event/jsonschema/1-0-0", "data": {"schema": schema(name), "data": data}}
    around = {"schema": schema("contexts"), "data": [{"schema": schema(each), "data": said} for each, said in entities]}
    held = (
        {"ue_pr": json.dumps(outer), "co": json.dumps(around)}
        if plain
        else {"ue_px": coded(outer), "cx": coded(around)}
    )
    return {"e": "ue", "eid": "e-1", "tv": "t", "uid": "c1", **held, **more}


def schema(name: str) -> str:
    return f"iglu:example.shop/{name}/jsonschema/1-0-0"


def shop(kind: str, *entities: tuple[str, Any]) -> dict[str, Any]:
    return described("snowplow_ecommerce_action", {"type": kind}, *entities)


BOOT = {"id": "b", "name": "Boot", "category": "boots", "price": 1.5, "currency": "EUR"}
OURS = {"product_id": "b", "name": "Boot", "category": "boots", "price": 1.5}
CART = ("cart", {"cart_id": "k", "total_value": 3, "currency": "EUR"})
HAT = ("product", {**BOOT, "id": "h", "quantity": 2})
SAME: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "view": (shop("product_view", ("product", BOOT)), track("Product Viewed", **OURS)),
    "GA4 view": (track("view_item", items=[{"item_id": "b", "item_name": "Boot", "price": 1.5}]),
        track("Product Viewed", product_id="b", name="Boot", price=1.5)),
    "add": (shop("add_to_cart", ("product", BOOT), CART),
        track("Product Added", **OURS, cart_id="k", currency="EUR")),
    "GA4 add": (track("add_to_cart", currency="EUR", items=[{"item_id": "b"}]),
        track("Product Added", product_id="b", currency="EUR")),
    "two added": (shop("add_to_cart", ("product", BOOT), HAT, CART),
        track("add_to_cart", cart_id="k", currency="EUR", items=[OURS, {**OURS, "product_id": "h", "quantity": 2}])),
    "remove": (shop("remove_from_cart", HAT, CART),
        track("Product Removed", **{**OURS, "product_id": "h"}, quantity=2, cart_id="k", currency="EUR")),
    "begin": (shop("checkout_step", ("checkout_step", {"step": 1}), CART),
        track("Checkout Started", value=3, currency="EUR")),
    "opt in": (shop("checkout_step", ("checkout_step", {"step": 2, "marketing_opt_in": True}), CART),
        track("Checkout Step Viewed", value=3, currency="EUR", consent=[{"action": "accept", "category": "marketing",
            "channel": "email", "unlimited": True, "proof": "marketing_opt_in"}])),
    "order": (shop("transaction", ("transaction", {"transaction_id": "o", "revenue": 9, "currency": "eur"}), HAT),
        track("purchase", transaction_id="o", value=9, currency="EUR", items=[{**OURS, "product_id": "h",
            "quantity": 2}])),
    "an order of old": ({"e": "tr", "eid": "e", "uid": "c1", "tr_id": "o", "tr_tt": "9.00", "tr_cu": "EUR"},
        track("Order Completed", order_id="o", total=9, currency="EUR")),
    "refund": (shop("refund", ("refund", {"transaction_id": "o", "refund_amount": 4, "currency": "EUR"})),
        track("refund", transaction_id="o", value=4)),
    "list": (shop("list_view", ("product", BOOT)), track("view_item_list")),
    "old name": (track("Viewed Product Category"), track("Product List Viewed")),
    "click": (shop("list_click", ("product", BOOT)), track("select_item")),
    "sign-up": (described("signed_up", {"plan": "x"}), track("Signed Up")),
    "add of old": (described("add_to_cart", {"sku": "b", "unitPrice": 2, "quantity": 3}),
        track("Product Added", sku="b", price=2, quantity=3)),
    "structured": ({"e": "se", "uid": "c1", "se_ca": "news", "se_ac": "Unsubscribed"},
        track("Unsubscribed", category="news")),
    "withdrawn": (described("consent_withdrawn", {"all": True}), track("Unsubscribed", all=True)),
    "withdrawn from one": (described("consent_withdrawn", {"all": False}, ("consent_document", {"name": "news"})),
        track("Unsubscribed", category="news")),
    "screen": (described("screen_view", {"name": "Boots"}), track("screen_view", title="Boots")),
}  # fmt: skip


@pytest.mark.parametrize("theirs, ours", SAME.values(), ids=SAME.keys())
def test_a_fact_has_one_record_in_every_vocabulary(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    found, expected = event(theirs, "track" if "type" in theirs else SNOWPLOW), event(ours)
    assert (found.fact, found.consents, found.ids) == (expected.fact, expected.consents, expected.ids)


def test_nested_json_and_a_query_say_the_same_as_base64() -> None:
    data, around = {"category": "news"}, ("user", {"id": "c1", "email": "ana@people.example"})
    first, second = (described("unsubscribed", data, around, plain=plain) for plain in (False, True))
    found = [event(first, SNOWPLOW), event(second, SNOWPLOW)]
    found += [event(urlencode(each).encode(), SNOWPLOW) for each in (first, second)]
    assert len({repr((each.id, each.fact, each.ids)) for each in found}) == 1
    assert found[0].ids.email == "ana@people.example"


def test_true_time_is_not_corrected_and_a_devices_is() -> None:
    late = str(NOON // 1000 - 5000)
    body = {"e": "pv", "uid": "c1", "dtm": late, "stm": late}
    assert event(body, SNOWPLOW).event_time == NOON
    assert event({**body, "ttm": late}, SNOWPLOW).event_time == NOON - 5_000_000


@pytest.mark.parametrize("inner", ['{"schema":1,"schema":2}', '"\\ud800"', "[" * 500 + "]" * 500, "9" * 2000, "{"])
def test_a_hidden_layer_is_checked_like_the_outer_one(inner: str) -> None:
    for held in ({"ue_pr": inner}, {"ue_px": base64.urlsafe_b64encode(inner.encode()).decode()}):
        out = read(entry({"e": "ue", "eid": "1", "uid": "c1", **held}, SNOWPLOW))
        assert len(out.failures) == 1 and out.failures[0].reason != "step_failed"


# --- the door's promises ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    door = Door(tmp_path_factory.mktemp("door"))
    yield door
    door.close()


NO = [{"action": "reject", "category": "marketing"}]


def leaving(who: str) -> dict[str, tuple[str, Any]]:
    mail = f"{who}@people.example"
    user = ("user", {"id": who, "email": mail})
    spoilt = json.dumps(hog("Unsubscribed", properties={"$set": {"email": mail}}))[:-1].encode()
    plain = described("unsubscribed", {"email": mail}, plain=True)
    return {
        "posthog": ("/batch/", {"batch": [hog("Page"), hog("Unsubscribed", properties={"email": mail})]}),
        "posthog, of the person": ("/capture/", hog("unsubscribe", properties={"$set": {"email": mail}})),
        "posthog, consent": ("/e/", [hog("$identify", properties={"$set": {"email": mail, "consent": NO}})]),
        "posthog, broken": ("/capture/", spoilt + b',"x":"\\ud800"}'),
        "posthog, long": ("/e/", hog("Unsubscribed", properties={"email": mail, "x": "x" * 40_000})),
        "snowplow": (TP2, {"data": [{"e": "pv"}, described("unsubscribed", {}, user)]}),
        "snowplow, plain": (TP2, {"data": [plain]}),
        "snowplow, withdrawn": (TP2, {"data": [described("consent_withdrawn", {"all": True}, user)]}),
        "snowplow, banner": (TP2, {"data": [described("consent_preferences", {"eventType": "deny_all"}, user)]}),
        "snowplow, broken outside": (TP2, {"data": [described("unsubscribed", {}, user, dtm="soon")]}),
        "snowplow, broken inside": (TP2, {"data": [described("unsubscribed", {"x": "\ud800"}, user)]}),
        "snowplow, long": (TP2, {"data": [described("unsubscribed", {"x": "x" * 40_000}, user)]}),
    }


@pytest.mark.parametrize("name", leaving("x"))
def test_an_opt_out_of_each_family_counts_before_its_answer(opened: Door, name: str) -> None:
    who = f"p{list(leaving('x')).index(name)}"
    path, body = leaving(who)[name]
    answer = opened.post(path, body if isinstance(body, bytes) else json.dumps(body).encode(), BROWSER)
    assert (answer.status, answer.text) == (200, '{"success":true}')
    assert opened.stopped(f"{who}@people.example")
    assert not opened.stopped(f"other-{who}@people.example")


CUT_OFF = (
    b'{"e":"ue","uid":"c1","ue_px":"%s' % coded({"data": {"data": {}, "schema": schema("unsubscribed")}})[:-4].encode()
)
UNHEARD = {
    "nobody": (TP2, json.dumps({"data": [described("unsubscribed", {}, uid="")]}).encode()),
    "cut off in base64": (TP2, b'{"data":[%s' % CUT_OFF),
    "a layer that is cut off": (TP2, b'{"data":[%s"}]}' % CUT_OFF),
    "posthog, cut off": ("/e/", json.dumps(hog("Unsubscribed")).encode()[:-5]),
    "posthog, nobody": ("/e/", b'{"event":"Unsubscribed","properties":{}}'),
    "posthog, a form": ("/e/", b"data=" + quote(base64.b64encode(b'{"event":"Unsubscribed"')).encode()),
}


@pytest.mark.parametrize("path, body", UNHEARD.values(), ids=UNHEARD.keys())
def test_an_opt_out_that_cannot_count_is_not_answered_yes(opened: Door, path: str, body: bytes) -> None:
    before = opened.records
    assert opened.post(path, body).status == 400
    assert opened.records == before + 1


HARMLESS = [("/e/", b"hello"), (TP2, b"hello"), ("/e/", b'{"event":"X","timestamp":"soon"}'), (TP2, b'{"data":[{}]}')]


@pytest.mark.parametrize("path, body", [*HARMLESS, (TP2, b'{"data":[{"e":"ue","ue_px":"%%%"},5]}')])
def test_what_is_no_opt_out_is_taken_and_judged_later(opened: Door, path: str, body: bytes) -> None:
    assert opened.post(path, body).status == 200


BODIES = [body for file in GOLDEN for call, body in recorded(file)]
BODIES += [body if isinstance(body, bytes) else json.dumps(body).encode() for _, body in leaving("ana").values()]
FLIPS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6)


def _spoilt(body: bytes, flips: list[tuple[int, int]]) -> bytes:
    spoilt = bytearray(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
    for at, byte in flips:
        spoilt[at % len(spoilt)] = byte
    return bytes(spoilt)


@settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(["/e/", "/batch/", TP2, "/i"]), st.builds(_spoilt, st.sampled_from(BODIES), FLIPS))
def test_whatever_is_posted_is_answered_and_judged(opened: Door, path: str, body: bytes) -> None:
    before = opened.records
    answer = opened.post(path, body)
    try:
        pieces = cut(PATHS[path], body).pieces
    except TooLarge:
        pieces = []
    assert answer.status in ((200, 400) if pieces or answer.status == 200 else (413,))
    assert opened.records == before + len(pieces)
    out = discover([block(*(entry(each.body, each.kind) for each in pieces))], PERSON)
    assert len(out.events) + len(out.failures) == len(pieces)
    assert not [failure for failure in out.failures if failure.reason == "step_failed"]


WRONG = [None, True, 0, -1, 10**30, 1e300, "", "\u202e", "x" * 5000, [], {}, [[]], [{}], [None]]
FIELDS = {
    POSTHOG: ["event", "uuid", "distinct_id", "timestamp", "sent_at", "properties", "$set", "$set_once"],
    SNOWPLOW: ["e", "eid", "dtm", "stm", "ttm", "uid", "duid", "url", "page", "ue_px", "ue_pr", "cx", "co", "se_ac"],
}


@pytest.mark.parametrize("family, field", [(family, field) for family in FIELDS for field in FIELDS[family]])
def test_a_wrong_type_in_any_field(family: str, field: str) -> None:
    good = [hog(name, properties={"$set": {}}) for name in ("X", "$identify", "$set", "$pageview", "$create_alias")]
    if family == SNOWPLOW:
        good = [described("unsubscribed", {}), {"e": "pv"}, {"e": "se"}, {"e": "tr"}, {"e": "pp"}]
    found = [entry({**body, field: wrong}, family) for body in good for wrong in WRONG]
    if field[:1] == "$":
        found += [entry({**body, "properties": {field: wrong}}, family) for body in good for wrong in WRONG]
    out = read(*found)
    assert len(out.events) + len(out.failures) == len(found)
    assert not [failure.detail for failure in out.failures if failure.reason == "step_failed"]


def test_no_failure_of_a_family_tells_what_it_says() -> None:
    canary = "c4n4ry@people.example"
    outer = [hog(canary, **{name: [canary]}) for name in FIELDS[POSTHOG]]
    found = [entry(body, POSTHOG) for body in outer]
    found += [entry({"e": "ue", name: {canary: canary}}, SNOWPLOW) for name in FIELDS[SNOWPLOW]]
    found += [entry({"e": "ue", "ue_pr": inner}, SNOWPLOW) for inner in (f'{{"{canary}":1,"{canary}":2}}', canary)]
    failures = read(*found).failures
    assert failures
    assert not [failure.detail for failure in failures if "c4n4ry" in failure.detail]


def test_a_key_that_is_nobodys_is_refused_wherever_it_stands(opened: Door) -> None:
    for path, body in (("/e/", b'{"api_key":"no","batch":[]}'), (TP2, b'{"data":[{"e":"pv","aid":"no"}]}')):
        assert opened.post(path, body, "", authorization="").status == 401


def test_the_words_that_are_hidden_are_looked_for() -> None:
    assert not may_refuse(CUT_OFF), "else the tests above would show nothing"
    assert FACTS and SERVER
