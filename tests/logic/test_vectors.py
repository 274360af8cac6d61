"""The acceptance vectors (V1 …) that engage decides, as lives of named people, however the input is cut."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lives import NO, YES, Lives, address, words
from shop import CUTS, campaign, shop
from story import at

from schemas.records import Consent, CutsPublished, Past, Seen
from transforms.logic.assign import bucket

SIZES = ((1,), (2,), (3, 1), (1000,))


@pytest.fixture(params=SIZES, ids=str)
def sizes(request: pytest.FixtureRequest) -> Iterator[tuple[int, ...]]:
    return request.param


def test_v1_one_welcome_for_a_signup_with_consent(sizes: tuple[int, ...]) -> None:
    lives = (
        Lives().at("09:00").signs_up("ana").at("09:01").signs_up("ana").at("09:02").consents("ana", YES).until("10:00")
    )
    result = lives.play(sizes)
    (welcome,) = result.messages("ana", "welcome")
    assert welcome.decided_at == at("09:00") == welcome.caused_at
    assert [reason for name, reason in result.reasons("ana") if name == "welcome"] == ["SENT"]


def test_v2_a_late_signup_gets_the_late_welcome(sizes: tuple[int, ...]) -> None:
    result = Lives().at("12:00").signs_up("ana", happened="10:30").play(sizes)
    (welcome,) = result.messages("ana", "welcome")
    assert welcome.variant == "late"
    assert words(welcome)["text"] == "We are late, but glad: welcome."


def test_v2_a_signup_a_day_late_is_too_late(sizes: tuple[int, ...]) -> None:
    result = Lives().at("1d 12:00").signs_up("ana", happened="11:00").play(sizes)
    assert ("welcome", "TOO_LATE") in result.reasons("ana")


def test_v3_without_consent_only_the_confirmation_goes(sizes: tuple[int, ...]) -> None:
    result = Lives().at("09:00").signs_up("ana", NO).play(sizes)
    assert result.reasons("ana") == [("confirm", "SENT"), ("welcome", "NO_CONSENT")]


def test_v5_one_reminder_for_the_newest_cart(sizes: tuple[int, ...]) -> None:
    lives = (
        Lives()
        .at("08:00")
        .customer("ana")
        .at("10:00")
        .fills_cart("ana", "boots")
        .at("11:00")
        .fills_cart("ana", "rope")
        .until("20:00")
    )
    for played in (lives, lives.permuted([0, 1, 3, 2])):
        (reminder,) = played.play(sizes).messages("ana", "cart")
        assert reminder.decided_at == at("15:00")
        assert words(reminder)["text"].splitlines() == ["1 x Boots", "1 x Rope"]
        assert reminder.trigger == "m-3"


def test_v5_permuting_arrivals_changes_no_message() -> None:
    lives = Lives().at("08:00").customer("ana").at("10:00").fills_cart("ana", "boots").at("11:00").empties_cart("ana")
    lives.at("12:00").fills_cart("ana", "rope").at("12:30").views("ana", "tent").until("20:00")
    expected = [message.key for message in lives.play().messages("ana")]
    for order in ([0, 1, 4, 3, 2, 5], [0, 1, 3, 2, 4, 5], [0, 1, 5, 4, 2, 3]):
        found = lives.permuted(order).play()
        assert [message.key for message in found.messages("ana")] == expected
        assert words(found.messages("ana", "cart")[0])["text"] == "1 x Rope\n"


def test_v10_a_second_marketing_mail_within_16_hours_is_capped(sizes: tuple[int, ...]) -> None:
    lives = Lives().at("05:00").customer("ana").at("05:00").fills_cart("ana", "boots").until("09:00")
    (first,) = lives.until("09:01").play(sizes).messages("ana", "cart")
    lives.at("09:01").reports(first.key)
    lives.at("20:00").orders("ana", "o-2", "tent", value=60_000).until("1d 00:00")
    result = lives.play(sizes)
    assert first.decided_at == at("09:00")
    assert ("segments", "CAPPED") in result.reasons("ana")
    assert ("receipt", at("20:00")) in result.sent("ana")


def test_v10_after_16_hours_the_next_may_go() -> None:
    lives = Lives().at("05:00").customer("ana").at("05:00").fills_cart("ana", "boots").until("09:00")
    (first,) = lives.until("09:01").play().messages("ana", "cart")
    lives.at("09:01").reports(first.key).at("1d 01:01").orders("ana", "o-2", "tent", value=60_000)
    assert ("segments", "SENT") in lives.play().reasons("ana")


def test_v10_a_refused_send_frees_its_place() -> None:
    lives = Lives().at("05:00").customer("ana").at("05:00").fills_cart("ana", "boots").until("09:00")
    (first,) = lives.until("09:01").play().messages("ana", "cart")
    lives.at("09:01").reports(first.key, "refused").at("10:00").orders("ana", "o-2", "tent", value=60_000)
    assert ("segments", "SENT") in lives.play().reasons("ana")


def test_v19_care_hold_after_a_negative_directed_mention(sizes: tuple[int, ...]) -> None:
    lives = Lives().at("08:00").customer("ana")
    for who in ("bob", "eve"):
        lives.customer(who)
    lives.at("09:00").fills_cart("ana", "boots").fills_cart("bob", "boots").fills_cart("eve", "boots")
    lives.at("10:00").says("ana").says("eve", directed=False).until("16:00")
    result = lives.play(sizes)
    assert ("cart", "CARE_HOLD") in result.reasons("ana")
    assert [campaign for campaign, _ in result.sent("bob") if campaign == "cart"] == ["cart"]
    assert [campaign for campaign, _ in result.sent("eve") if campaign == "cart"] == ["cart"]


def test_v19_the_hold_ends_after_72_hours() -> None:
    lives = (
        Lives()
        .at("08:00")
        .customer("ana")
        .at("10:00")
        .says("ana")
        .at("3d 06:30")
        .fills_cart("ana", "boots")
        .until("4d 00:00")
    )
    assert ("cart", "SENT") in lives.play().reasons("ana")


def test_v20_a_consent_without_category_revokes(sizes: tuple[int, ...]) -> None:
    nothing = Consent(True, "", "email", 0, "", valid=False)
    lives = Lives().at("08:00").customer("ana").at("09:00").consents("ana", nothing)
    lives.at("10:00").fills_cart("ana", "boots").until("16:00")
    assert ("cart", "NO_CONSENT") in lives.play(sizes).reasons("ana")


def test_v21_an_anonymous_visit_becomes_part_of_the_profile(sizes: tuple[int, ...]) -> None:
    past = Past(at("09:00"), (Seen("boots", 2, at("09:10"), "Boots"),), (), 0)
    result = Lives().at("1d 09:00").signs_up("ana", past=past).play(sizes)
    person = result.person("ana")
    assert person.first_seen == at("09:00")
    assert [(campaign, reason) for campaign, reason in result.reasons("ana")] == [
        ("confirm", "SENT"),
        ("welcome", "SENT"),
    ]


def test_v21_the_bucket_of_the_older_person_stays(sizes: tuple[int, ...]) -> None:
    lives = Lives().at("09:00").signs_up("ana", kind="email").at("1d 09:00").orders("ana", "o-1", "boots").joins("ana")
    result = lives.play(sizes)
    older = address("ana", "email").hex()
    assert result.person("ana").id == older
    assert bucket("shop", "cart", result.person("ana").id) == bucket("shop", "cart", older)


def test_v26_a_second_order_moves_the_person_at_once(sizes: tuple[int, ...]) -> None:
    lives = Lives().at("08:00").customer("ana").at("1d 09:00").orders("ana", "o-2", "boots").until("2d 00:00")
    result = lives.play(sizes)
    assert [(move.old, move.new, move.cause, move.as_of) for move in result.moves] == [
        ("", "New", "order", at("08:00")),
        ("New", "Potential loyalist", "order", at("1d 09:00")),
    ]
    assert ("segments", at("1d 09:00")) in result.sent("ana")


def test_v26_new_cut_points_alone_recut_and_start_nothing(sizes: tuple[int, ...]) -> None:
    stricter = CutsPublished("cuts-2", (5, 10, 240, 300), CUTS.frequency, CUTS.monetary)
    lives = Lives().at("08:00").customer("ana").at("1d 09:00").orders("ana", "o-2", "boots")
    lives.at("12d 00:00").publishes_cuts(stricter).at("13d 00:00").gets_back("ana", "o-9", 5).until("20d 00:00")
    result = lives.play(sizes)
    assert [(move.old, move.new, move.cause) for move in result.moves][-1] == (
        "Potential loyalist",
        "About to sleep",
        "recut",
    )
    assert [decision.trigger for decision in result.decisions if decision.campaign == "segments"] == ["m-2"]


def test_decay_moves_only_after_it_held_for_an_hour(sizes: tuple[int, ...]) -> None:
    lives = Lives().at("08:00").customer("ana").until("40d 00:00")
    move = lives.play(sizes).moves[-1]
    assert (move.old, move.new, move.cause) == ("New", "Promising", "decay")
    assert move.as_of == at("23d 09:00")  # bought on day -8 at 08:00: the 31st day is full on day 23


def test_control_decides_and_sends_nothing(sizes: tuple[int, ...]) -> None:
    everybody = shop(campaign("welcome", control=10_000))
    assert Lives(everybody).at("09:00").signs_up("ana").play(sizes).reasons("ana")[-1] == ("welcome", "CONTROL")
