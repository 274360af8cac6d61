"""Bodies that two readers would understand differently are refused, with a reason and at once."""

from __future__ import annotations

import pytest
from posts import cost
from support_calls import event as event_in
from support_calls import refused, track

from schemas.failures import BAD_JSON, BAD_TEXT, BAD_VALUE, DUPLICATE_KEY, LONG_NUMBER, TOO_DEEP, WRONG_TYPE

VIEW = b'{"messageId":"m","userId":"c1","event":"Product Viewed","properties":{"product_id":"p"%s}}'
SIGN_UP = b'{"messageId":"m","userId":"c1","event":"Signed Up","properties":{"email":"ana@shop.example"%s}}'

HOSTILE = [
    (b"", BAD_JSON),
    (b"{", BAD_JSON),
    (b"null", WRONG_TYPE),
    (b"[]", WRONG_TYPE),
    (b'"text"', WRONG_TYPE),
    (b"7", WRONG_TYPE),
    (b"NaN", BAD_JSON),
    (b"\xef\xbb\xbf{}", BAD_JSON),
    (b'{"event":"A"} {"event":"B"}', BAD_JSON),
    (b'{"event":"A",}', BAD_JSON),
    (b"{'event':'A'}", BAD_JSON),
    (VIEW % b',"price":NaN', BAD_JSON),
    (VIEW % b',"price":-Infinity', BAD_JSON),
    (VIEW % b',"price":1e999', BAD_VALUE),
    (VIEW % b',"note":"\xff"', BAD_TEXT),
    (VIEW % b',"note":"\xc0\xaf"', BAD_TEXT),
    (VIEW % b',"note":"\xed\xa0\x80"', BAD_TEXT),
    (VIEW % b',"note":"a\x00b"', BAD_JSON),
    (VIEW % b',"note":"a\\u0000b"', BAD_TEXT),
    (VIEW % b',"note":"\\ud800"', BAD_TEXT),
    (VIEW % b',"note":"\\udc00"', BAD_TEXT),
    (VIEW % b',"note":"\\ud83d x \\ude00"', BAD_TEXT),
    (VIEW % b',"note":"\\ude00\\ud83d"', BAD_TEXT),
    (VIEW % b',"note":"\\ud83d\\n\\ude00"', BAD_TEXT),
    (VIEW % (b',"price":' + b"9" * 5000), LONG_NUMBER),
    (VIEW % (b',"other":' + b"9" * 5000), LONG_NUMBER),
    (VIEW % (b',"other":0.' + b"1" * 5000), LONG_NUMBER),
    (VIEW % (b',"other":' + b"[" * 100_000 + b"]" * 100_000), TOO_DEEP),
    (VIEW % (b',"other":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000), TOO_DEEP),
    (b'{"messageId":"m","userId":"c1","userId":"c2","event":"Product Viewed"}', DUPLICATE_KEY),
    (b'{"messageId":"m","userId":"c1","user\\u0049d":"c2","event":"Product Viewed"}', DUPLICATE_KEY),
    (SIGN_UP % b',"email":"eva@shop.example"', DUPLICATE_KEY),
    (SIGN_UP % b',"nested":{"a":1,"a":1}', DUPLICATE_KEY),
    (SIGN_UP % b',"nested":[[{"a":1,"a":1}]]', DUPLICATE_KEY),
    (VIEW % b',"consent":{"action":"reject","action":"accept","category":"x","unlimited":true}', DUPLICATE_KEY),
    (b'{"event":"Product Viewed","properties":7}', WRONG_TYPE),
    (b'{"event":"Product Viewed","properties":[1]}', WRONG_TYPE),
    (b'{"event":"Product Viewed","context":7}', WRONG_TYPE),
]


@pytest.mark.parametrize(("body", "reason"), HOSTILE, ids=lambda value: str(value)[:60])
def test_a_hostile_body_is_one_typed_failure_within_ten_milliseconds(body: bytes, reason: str) -> None:
    failure = refused(body)
    assert failure.reason == reason
    assert failure.body == body
    assert failure.stage == "discover"
    assert cost(lambda: refused(body)) < 0.01


@pytest.mark.parametrize(
    "more",
    [
        b',"note":"\xc5\x81\xc3\xb3d\xc5\xba"',
        b',"note":"\\u0141\\u00f3d\\u017a \\ud83d\\ude00\\ud83d\\ude00"',
        b',"note":"\\u003cb\\u003e \\u0026 \\"quoted\\" \\\\ud800"',
        b',"note":"{\\"userId\\":\\"x\\"}"',
        b',"nested":{"product_id":"q"}',
        (b',"note":"' + b"x" * 30_000 + b'"'),
        b',"note":1.5e10',
        b',"list":[{"a":1},{"a":1}]',
    ],
    ids=lambda value: str(value)[:40],
)
@pytest.mark.parametrize("body", [VIEW, SIGN_UP], ids=["view", "sign-up"])
def test_honest_bodies_pass(body: bytes, more: bytes) -> None:
    assert event_in(body % more).ids.customer == "c1"


def test_a_failure_costs_its_neighbours_nothing() -> None:
    from support_calls import entry, read

    out = read(entry(b"{"), entry(track("Product Viewed", product_id="p")), entry(b"[]"))
    assert [event.sequence for event in out.events] == [1]
    assert [failure.sequence for failure in out.failures] == [0, 2]
    assert len({failure.id for failure in out.failures}) == 2
