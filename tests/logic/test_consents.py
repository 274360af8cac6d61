"""Permission is a whole statement or none."""

from __future__ import annotations

from typing import Any

import pytest
from support_calls import event, track

from schemas.records import Consent, ConsentChanged, SignedUp
from transforms.logic.consents import OPT_IN, is_true

GRANT = {"action": "accept", "category": "marketing", "channel": "email", "unlimited": True}
UNTIL = 1_893_456_000_000_000  # 2030-01-01


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (GRANT, Consent(True, "marketing", "email", 0, "")),
        (GRANT | {"proof": "form v3"}, Consent(True, "marketing", "email", 0, "form v3")),
        (GRANT | {"channel": "any"}, Consent(True, "marketing", "*", 0, "")),
        (GRANT | {"channel": None}, Consent(True, "marketing", "*", 0, "")),
        (GRANT | {"category": " Marketing "}, Consent(True, "marketing", "email", 0, "")),
        (GRANT | {"action": "ACCEPT"}, Consent(True, "marketing", "email", 0, "")),
        (GRANT | {"unlimited": False, "valid_until": "2030-01-01"}, Consent(True, "marketing", "email", UNTIL, "")),
        ({"accept": True, "category": "x", "unlimited": "true"}, Consent(True, "x", "*", 0, "")),
        ({"accept": False, "category": "x"}, Consent(False, "x", "*", 0, "")),
        (GRANT | {"action": "reject"}, Consent(False, "marketing", "email", 0, "")),
        # Not whole, so it takes back (V20).
        (GRANT | {"category": None}, Consent(True, "", "email", 0, "", valid=False)),
        (GRANT | {"category": 7}, Consent(True, "", "email", 0, "", valid=False)),
        (GRANT | {"unlimited": None}, Consent(True, "marketing", "email", 0, "", valid=False)),
        (GRANT | {"unlimited": "no"}, Consent(True, "marketing", "email", 0, "", valid=False)),
        (GRANT | {"valid_until": "soon"}, Consent(True, "marketing", "email", 0, "", valid=False)),
        (GRANT | {"action": "maybe"}, Consent(False, "marketing", "email", 0, "", valid=False)),
        (GRANT | {"action": 7}, Consent(False, "marketing", "email", 0, "", valid=False)),
        ({"action": "reject"}, Consent(False, "", "*", 0, "", valid=False)),
    ],
)
def test_one_statement(said: dict[str, Any], expected: Consent) -> None:
    assert event(track("Consent Updated", **said)).consents == (expected,)
    assert event(track("Product Viewed", consent=[said])).consents == (expected,)
    assert event(track("Anything Else", consent=said)).consents == (expected,)


def test_consent_updated_without_a_word_takes_back() -> None:
    found = event(track("Consent Updated"))
    assert isinstance(found.fact, ConsentChanged)
    assert found.consents == (Consent(False, "", "*", 0, "", valid=False),)


def test_a_list_in_consent_updated_stands_for_itself() -> None:
    found = event(track("Consent Updated", consent=[GRANT, GRANT | {"channel": "sms"}]))
    assert [consent.channel for consent in found.consents] == ["email", "sms"]


@pytest.mark.parametrize("said", [None, [], {}])
def test_where_nothing_is_said_nothing_changes(said: object) -> None:
    assert event(track("Product Viewed", consent=said)).consents == ()


@pytest.mark.parametrize(
    ("said", "category"),
    [
        ({"analytics": True, "ads": False}, ""),
        ({"category": "marketing", "channel": "any"}, "marketing"),
        ({"category": "marketing", "granted": True, "unlimited": True, "channel": "any"}, "marketing"),
        ({"action": None, "accept": None}, ""),
    ],
)
def test_a_statement_without_yes_or_no_takes_back(said: dict[str, Any], category: str) -> None:
    for form in (said, [said]):
        assert event(track("Product Viewed", consent=form)).consents == (
            Consent(False, category, "*", 0, "", valid=False),
        )
    assert event(track("Product Viewed", consent=[{}])).consents == (Consent(False, "", "*", 0, "", valid=False),)


@pytest.mark.parametrize("ticked", [True, "true", "True", 1, "1", "yes"])
def test_a_ticked_box_at_sign_up(ticked: object) -> None:
    found = event(track("Signed Up", email="ana@shop.example", marketing_opt_in=ticked))
    assert isinstance(found.fact, SignedUp)
    assert found.consents == (OPT_IN,)


@pytest.mark.parametrize("ticked", [False, "false", 0, None, "", "no", [], {}, 2, 0.5])
def test_an_empty_box_says_nothing(ticked: object) -> None:
    assert event(track("Signed Up", email="ana@shop.example", marketing_opt_in=ticked)).consents == ()
    assert not is_true(ticked)


def test_a_box_anywhere_else_says_nothing() -> None:
    assert event(track("Product Added", product_id="p", marketing_opt_in=True)).consents == ()


def test_at_most_fifty_permissions() -> None:
    assert len(event(track("Product Viewed", consent=[GRANT] * 200)).consents) == 50


def test_eva_takes_back_in_the_last_of_a_hundred_statements() -> None:
    refusal = {"action": "reject", "category": "marketing", "channel": "email"}
    found = event(track("Consent Updated", consent=[*[GRANT] * 99, refusal])).consents
    assert found == (Consent(False, "marketing", "email", 0, ""), *[Consent(True, "marketing", "email", 0, "")] * 49)


def test_no_withdrawal_is_dropped_however_many_there_are() -> None:
    refusals = [{"action": "reject", "category": f"news {number}"} for number in range(300)]
    half = [{"accept": True, "category": "offers"}]  # a yes without an end takes back, too
    found = event(track("Consent Updated", consent=[GRANT, *refusals, *refusals, *half])).consents
    assert [each.category for each in found] == [*(f"news {number}" for number in range(300)), "offers"]
    assert not any(each.accept and each.valid for each in found)


def test_an_identify_call_may_permit() -> None:
    call = {
        "type": "identify",
        "messageId": "m",
        "userId": "c1",
        "traits": {"consent": GRANT, "marketing_opt_in": True},
    }
    assert event(call, "identify").consents == (Consent(True, "marketing", "email", 0, ""), OPT_IN)
