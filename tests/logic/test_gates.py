"""Each gate refuses for its own reason, in the published order; what cannot check says so."""

from __future__ import annotations

import pytest
from lives import NO, YES, Lives, words
from msgspec.structs import replace
from shop import campaign, shop
from story import at

from schemas.keys import address_in
from schemas.records import DAY, HOUR, Confirmed, Ids, ReceiptRow, Traits
from schemas.workspace import Content
from transforms.logic.caps import CONFIRMED_AFTER
from transforms.logic.gates import GATES
from transforms.logic.identity import identifiers


def test_the_gates_stand_in_their_order() -> None:
    assert [gate.name for gate in GATES] == [
        "duplicate",
        "live",
        "identity",
        "suppression",
        "consent",
        "reachable",
        "exception",
        "reentry",
        "care_hold",
        "recently_bought",
        "audience",
        "control",
        "arbitration",
        "channel",
        "timing",
        "render",
        "cap",
    ]


def test_decisions_name_what_was_not_checked() -> None:
    result = Lives().at("09:00").signs_up("ana").play()
    confirm, welcome = result.decisions
    assert confirm.not_checked == ("channel",)
    assert welcome.not_checked == ("recently_bought", "audience", "arbitration", "channel", "timing")


def cart(lives: Lives) -> str:
    """What became of ana's cart reminder."""
    (reason,) = [reason for name, reason in lives.play().reasons("ana") if name == "cart"]
    return reason


def with_cart(**changes: object) -> Lives:
    return Lives(shop(campaign("cart", **changes))).at("08:00").customer("ana").at("09:00").fills_cart("ana", "boots")


@pytest.mark.parametrize(
    ("lives", "reason"),
    [
        (with_cart(), "SENT"),
        (with_cart(live=False), "PAUSED"),
        (with_cart().at("10:00").unsubscribes("ana"), "SUPPRESSED"),
        (with_cart().at("10:00").consents("ana", NO), "NO_CONSENT"),
        (with_cart().at("10:00").consents("ana", replace(YES, valid_until=at("11:00"))), "NO_CONSENT"),
        (with_cart().at("10:00").starts_checkout("ana"), "EXCEPTION_EVENT"),
        (with_cart().at("10:00").empties_cart("ana"), "EXCEPTION_EVENT"),
        (with_cart().at("10:00").orders("ana", "o-1", "boots"), "EXCEPTION_EVENT"),
        (with_cart().at("10:00").orders("ana", "o-1", "tent", value=0), "SENT"),
        (with_cart().at("10:00").gets_back("ana", "ana-0"), "CARE_HOLD"),
        (with_cart().at("10:00").opens_case("ana"), "CARE_HOLD"),
        (with_cart(control=10_000), "CONTROL"),
        (with_cart(content={}), "RENDER_FAILED"),
        (with_cart(content={"email": {"en": Content({"text": "{{ 1 // 0 }}"})}}), "RENDER_FAILED"),
        (with_cart(channels=("sms",)), "NO_CONSENT"),
    ],
)
def test_reasons(lives: Lives, reason: str) -> None:
    assert cart(lives.until("20:00")) == reason


def test_unreachable_where_consent_has_no_address() -> None:
    lives = with_cart(channels=("sms",)).at("10:00").consents("ana", replace(YES, channel="*")).until("20:00")
    assert cart(lives) == "UNREACHABLE"


def test_the_next_channel_is_taken_where_the_first_is_refused() -> None:
    lives = with_cart(channels=("sms", "email")).until("20:00")
    (message,) = lives.play().messages("ana", "cart")
    assert message.channel == "email"


def test_a_claimed_person_gets_only_what_a_signup_asks_for() -> None:
    lives = Lives().at("09:00").signs_up("ana", trust="browser").fills_cart("ana", "boots", trust="browser")
    lives.until("20:00")
    assert lives.play().reasons("ana") == [("confirm", "SENT"), ("welcome", "SENT"), ("cart", "IDENTITY_LOW")]


def test_reentry_counts_from_the_last_entry() -> None:
    lives = with_cart().at("2d 09:00").fills_cart("ana", "rope").at("9d 09:00").fills_cart("ana", "tent")
    for message in with_cart().until("20:00").play().messages("ana", "cart"):
        lives.at("13:01").reports(message.key)
    reasons = [reason for name, reason in lives.until("10d 00:00").play().reasons("ana") if name == "cart"]
    assert reasons == ["SENT", "NOT_REENTRANT", "SENT"]


def test_at_most_three_confirmations_to_one_address_and_day() -> None:
    lives = Lives()
    for hour in range(5):
        lives.at(f"{9 + hour}:00").signs_up("ana", NO)
    lives.at("1d 09:00").signs_up("ana", NO)
    reasons = [reason for name, reason in lives.play().reasons("ana") if name == "confirm"]
    assert reasons == ["SENT", "SENT", "SENT", "NOT_REENTRANT", "NOT_REENTRANT", "SENT"]


def test_a_token_confirms_once_and_for_seven_days() -> None:
    signed_up = Lives().at("09:00").signs_up("ana", trust="browser")
    token = words(signed_up.play().messages("ana", "confirm")[0])["text"].partition("token=")[2]
    confirmed = signed_up.at("10:00").confirms("ana", token, trust="browser")
    assert confirmed.play().person("ana").verified
    for late in (Lives().at("09:00").signs_up("ana", trust="browser").at("7d 09:00"),):
        assert not late.confirms("ana", token, trust="browser").play().person("ana").verified
    assert not Lives().at("10:00").confirms("ana", "guess", trust="browser").play().person("ana").verified


def test_a_browser_never_widens_the_consent_of_somebody_known() -> None:
    lives = Lives().at("08:00").orders("ana", "o-1", "boots", happened=at("08:00") - 8 * DAY)
    lives.at("09:00").consents("ana", YES, trust="browser").fills_cart("ana", "rope").until("20:00")
    assert cart(lives) == "NO_CONSENT"
    lives.at("10:00").confirms("ana")
    result = lives.play()
    assert ("welcome", "SENT") in result.reasons("ana")
    assert cart(lives) == "CAPPED"


def test_history_fires_nothing() -> None:
    lives = Lives().at("10:00")
    before = at("10:00") - 7 * DAY - 1
    lives.signs_up("ana", happened=before).orders("ana", "o-1", "boots", happened=before)
    lives.fills_cart("ana", "rope", happened=before).until("20:00")
    result = lives.play()
    assert not result.decisions
    assert len(result.applied) == 3
    assert [move.new for move in result.moves] == ["New"]


def test_what_should_have_stopped_a_reminder_is_regretted_once() -> None:
    lives = with_cart().at("13:05").orders("ana", "o-1", "boots", happened="12:59")
    lives.at("13:10").empties_cart("ana", happened="12:30")
    notes = [row for row in lives.play().decisions if not row.final]
    assert [(note.campaign, note.detail) for note in notes] == [("cart", "regretted 300")]
    in_time = with_cart().at("13:05").orders("ana", "o-1", "boots", happened="13:01")
    assert all(row.final for row in in_time.play().decisions)


def test_an_open_reservation_counts_until_72_hours_after_its_expiry() -> None:
    lives = with_cart(expires=4 * HOUR)
    sent = at("13:00")
    freed = sent + 4 * HOUR + CONFIRMED_AFTER
    lives._now = lives.end = freed - 1
    assert ("segments", "CAPPED") in lives.orders("ana", "o-2", "tent").play().reasons("ana")
    lives = with_cart(expires=4 * HOUR)
    lives._now = lives.end = freed
    assert ("segments", "SENT") in lives.orders("ana", "o-2", "tent").play().reasons("ana")


def test_a_receipt_without_reservation_is_a_ghost_and_counts() -> None:
    lives = with_cart()
    (message,) = lives.until("14:00").play().messages("ana", "cart")
    ghost = message.key[:-1] + ("0" if message.key[-1] != "0" else "1")
    lives.at("12:00").reports(ghost).until("20:00")
    result = lives.play()
    assert [row.matched for row in result.lines(ReceiptRow)] == [False]
    assert ("cart", "CAPPED") in result.reasons("ana")


def test_a_hard_bounce_stops_even_transactional_mail() -> None:
    lives = with_cart()
    (message,) = lives.until("14:00").play().messages("ana", "cart")
    lives.at("14:00").reports(message.key, "bounced", "550").at("15:00").orders("ana", "o-2", "tent")
    assert ("receipt", "SUPPRESSED") in lives.play().reasons("ana")


def test_the_words_are_in_the_persons_language() -> None:
    lives = Lives().at("09:00").signs_up("ana", traits=Traits(first_name="Ana", locale="pl-PL"))
    assert words(lives.play().messages("ana", "welcome")[0])["subject"] == "Witaj, Ana"


def test_the_intent_carries_what_the_sender_needs() -> None:
    (message,) = with_cart().until("14:00").play().messages("ana", "cart")
    assert message.to == "ana@people.example"
    assert len(message.suppression) == 2
    assert message.expires_at == at("13:00") + 72 * HOUR
    welcome = Lives().at("09:00").signs_up("ana").play().messages("ana", "welcome")[0]
    assert len(welcome.life) == 32
    assert message.life == ""


def test_a_consent_may_come_with_any_event() -> None:
    lives = Lives().at("09:00").orders("ana", "o-1", "boots").at("10:00").opens_page("ana", consents=(YES,))
    result = lives.play()
    assert ("welcome", "SENT") in result.reasons("ana")
    assert lives.at("11:00").consents("ana", YES).play().reasons("ana") == result.reasons("ana")


def test_what_a_token_confirms_is_the_address_that_it_was_sent_to() -> None:
    lives = Lives().at("09:00").signs_up("ana", trust="browser")
    token = words(lives.play().messages("ana", "confirm")[0])["text"].partition("token=")[2]
    lives.at("10:00").put(address_in(token), Confirmed(token), ids=Ids(), trust="browser")
    lives.at("11:00").orders("ana", "o-1", "boots", trust="browser")
    result = lives.play()
    (mail,) = [each for each in identifiers(result.person("ana")) if each.kind == "email"]
    assert (mail.proven, mail.sure) == (True, False)
    assert ("receipt", "SENT") in result.reasons("ana")
