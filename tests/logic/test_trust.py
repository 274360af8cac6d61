"""What a stranger with the public browser key can make of somebody known: nothing that changes what they get, or where.

Ana is a customer of whom the shop's server has told. Mallory knows her customer number, reads his own mail only, and
has the key that stands in every page of the shop.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from lives import NO, YES, Lives, Result, address, email, words
from shop import SECRET, campaign, shop
from story import at

from schemas.keys import address_in, address_of
from schemas.records import CartUpdated, Confirmed, Consent, Ids, Item, Message, OrderPlaced, SignedUp, Traits
from schemas.workspace import Content
from transforms.logic import consent
from transforms.logic.decide import decide
from transforms.logic.identity import identifiers
from transforms.logic.moment import Candidate, CutsBook, Moment, Plan
from transforms.logic.profile import PERMISSIONS
from transforms.logic.shard import Outputs
from transforms.logic.words import title

MALLORY = "mallory@evil.example"
AS_ANA = Ids("c-ana", MALLORY)
"""Ana's number, Mallory's mailbox."""


def ana(since: str = "08:00") -> Lives:
    """Ana, as the shop's server knows her: number, address, name and consent."""
    lives = Lives().at(since).customer("ana")
    return lives.is_known_as("ana", Traits(first_name="Ana"))


def told(who: str = "ana", **more: Any) -> dict[str, Any]:
    """A record of the shop's server that knows the number alone."""
    return {"ids": Ids(f"c-{who}"), **more}


def mails(result: Result, to: str) -> list[Message]:
    return [message for message in result.out.intents if message.to == to]


def token(result: Result, to: str) -> str:
    """The token in the newest confirmation to an address."""
    newest = [message for message in mails(result, to) if message.campaign == "confirm"][-1]
    return words(newest)["text"].partition("token=")[2]


def clicks(lives: Lives, secret: str) -> Lives:
    """Somebody follows the link of a confirmation, on any browser."""
    return lives.put(address_in(secret), Confirmed(secret), ids=Ids(), trust="browser")


# --- sign-ups ---------------------------------------------------------------------------------------------------------


def test_mallorys_sign_up_with_anas_number_is_about_his_own_address() -> None:
    lives = ana().at("09:00").put(address("ana"), SignedUp(), ids=AS_ANA, trust="browser", consents=(YES,))
    result = lives.play()
    assert result.reasons("ana") == []
    assert {message.person for message in mails(result, MALLORY)} == {
        address_of(SECRET, "shop", "email", MALLORY).hex()
    }
    assert [message.campaign for message in mails(result, MALLORY)] == ["confirm", "welcome"]
    assert "Ana" not in "".join(message.body.decode() for message in mails(result, MALLORY))
    assert MALLORY not in {each.value for each in identifiers(result.person("ana"))}


def test_and_redeeming_its_token_brings_him_none_of_anas_mail() -> None:
    lives = ana().at("09:00").put(address("ana"), SignedUp(), ids=AS_ANA, trust="browser", consents=(YES,))
    clicks(lives.at("09:10"), token(lives.play(), MALLORY))
    lives.at("10:00").orders("ana", "o-1", "boots", **told())
    result = lives.play()
    assert [message.campaign for message in mails(result, email("ana"))] == ["receipt", "segments"]
    assert [message.campaign for message in mails(result, MALLORY)] == ["confirm", "welcome"]


def test_ana_may_sign_up_again_at_her_own_address_and_is_greeted_by_name() -> None:
    lives = ana().at("09:00").signs_up("ana", trust="browser")
    (confirm,) = lives.play().messages("ana", "confirm")
    assert confirm.to == email("ana")
    (welcome,) = lives.play().messages("ana", "welcome")
    assert words(welcome)["subject"] == "Welcome, Ana"


def test_a_token_from_before_the_server_spoke_gives_nothing_to_mallory() -> None:
    """He claims the number first; by the time he clicks, the shop has told whose it is."""
    lives = Lives().at("08:00").put(address("ana"), SignedUp(), ids=AS_ANA, trust="browser", consents=(YES,))
    secret = token(lives.play(), MALLORY)
    clicks(lives.at("09:00").is_known_as("ana", Traits(first_name="Ana"), **told()).at("09:10"), secret)
    result = lives.at("10:00").orders("ana", "o-1", "boots", **told()).play()
    assert ("receipt", "UNREACHABLE") in result.reasons("ana")
    assert [message.campaign for message in mails(result, MALLORY)] == ["confirm", "welcome"]


def test_what_a_token_proved_stands_back_once_a_server_speaks() -> None:
    """He claims the number of a customer to be and proves his mailbox; then Ana becomes that customer."""
    lives = Lives().at("08:00").put(address("ana"), SignedUp(), ids=AS_ANA, trust="browser", consents=(YES,))
    clicks(lives.at("08:10"), token(lives.play(), MALLORY))
    lives.at("09:00").orders("ana", "o-1", "boots", **told()).at("10:00").is_known_as("ana", Traits(first_name="Ana"))
    result = lives.at("11:00").orders("ana", "o-2", "boots", **told()).play()
    assert [reason for name, reason in result.reasons("ana") if name == "receipt"] == ["UNREACHABLE", "SENT"]
    assert [message.to for message in result.messages("ana", "receipt")] == [email("ana")]


def test_even_if_all_that_the_server_tells_is_a_page_view() -> None:
    lives = Lives().at("08:00").put(address("ana"), SignedUp(), ids=AS_ANA, trust="browser", consents=(YES,))
    clicks(lives.at("08:10"), token(lives.play(), MALLORY))
    lives.at("09:00").views("ana", "boots", **told()).at("10:00").orders("ana", "o-1", "boots", **told())
    result = lives.play()
    assert ("receipt", "UNREACHABLE") in result.reasons("ana")
    assert [message.campaign for message in mails(result, MALLORY)] == ["confirm", "welcome"]


def test_a_browsers_order_after_such_a_view_goes_nowhere_either() -> None:
    lives = Lives().at("08:00").put(address("ana"), SignedUp(), ids=AS_ANA, trust="browser", consents=(YES,))
    clicks(lives.at("08:10"), token(lives.play(), MALLORY))
    lives.at("09:00").views("ana", "boots", **told())
    result = lives.at("10:00").orders("ana", "o-1", "boots", ids=Ids(), trust="browser").play()
    assert ("receipt", "UNREACHABLE") in result.reasons("ana")


def test_the_first_proven_address_of_a_number_keeps_it() -> None:
    """No server ever speaks of Ana; her own click is worth more than a later one of Mallory's."""
    lives = Lives().at("08:00").signs_up("ana", trust="browser")
    clicks(lives.at("08:10"), token(lives.play(), email("ana")))
    lives.at("09:00").put(address("ana"), SignedUp(), ids=AS_ANA, trust="browser", consents=(YES,))
    clicks(lives.at("09:10"), token(lives.play(), MALLORY))
    result = lives.at("10:00").orders("ana", "o-1", "boots", trust="browser").play()
    assert [message.to for message in result.messages("ana", "receipt")] == [email("ana")]
    assert [message.campaign for message in mails(result, MALLORY)] == ["confirm", "welcome"]


# --- where mail goes --------------------------------------------------------------------------------------------------


def test_a_claimed_address_gets_no_mail_of_somebody_verified() -> None:
    lives = Lives().at("08:00").orders("ana", "o-1", "boots", **told())
    lives.at("09:00").opens_page("ana", ids=AS_ANA, trust="browser")
    result = lives.at("10:00").orders("ana", "o-2", "boots", **told()).play()
    assert [reason for name, reason in result.reasons("ana") if name == "receipt"] == ["UNREACHABLE"] * 2
    assert mails(result, MALLORY) == []


def test_a_claim_does_not_bring_back_an_address_that_a_server_replaced() -> None:
    lives = Lives().at("08:00").orders("ana", "o-1", "boots", ids=Ids("c-ana", "old@people.example"))
    lives.at("09:00").is_known_as("ana", Traits(first_name="Ana"))
    lives.at("10:00").fills_cart("ana", "rope", ids=Ids("c-ana", "old@people.example"), trust="browser")
    result = lives.at("11:00").orders("ana", "o-2", "boots", **told()).play()
    assert [message.to for message in result.messages("ana", "receipt")] == ["old@people.example", email("ana")]


def test_somebody_claimed_is_welcomed_at_the_newest_address() -> None:
    lives = Lives().at("08:00").opens_page("ana", ids=Ids("c-ana", "old@people.example"), trust="browser")
    result = lives.at("09:00").signs_up("ana", trust="browser").play()
    assert [message.to for message in result.messages("ana", "welcome")] == [email("ana")]


@pytest.mark.parametrize(("to", "subject"), [(MALLORY, "Welcome, friend"), (email("ana"), "Welcome, Ana")])
def test_no_name_goes_to_an_address_that_is_not_the_persons_for_certain(to: str, subject: str) -> None:
    lives = ana()
    person = lives.play().person("ana")
    moment = Moment(Plan.of(lives.tenant, bytes(32)), person, at("09:00"), Outputs(), lambda _: CutsBook([]))
    (campaign,) = moment.plan.of_trigger("welcome")
    decide(moment, Candidate(campaign, "m-1", moment.now, moment.now, ("email",), {}, "welcome", to=to))
    assert words(moment.out.intents[0])["subject"] == subject


# --- permission -------------------------------------------------------------------------------------------------------


def test_too_many_words_on_permission_become_one_no() -> None:
    """Mallory talks ten thousand categories into Ana's profile; what is left is small, and means no."""
    lives = ana().at("09:00")
    for batch in range(10):
        named = [Consent(batch % 2 > 0, f"c{batch}-{number}", "*", 0, "") for number in range(100)]
        lives.consents("ana", *named, trust="browser")
    words = PERMISSIONS.read(lives.play().person("ana").permissions)
    assert len(words.given) + len(words.asked) <= 2 * consent.MOST
    assert not consent.permits(words, "marketing", "email", at("10:00"))


def gone(lives: Lives) -> Lives:
    """Ana unsubscribes, asks again in her browser, and gets a new confirmation there."""
    lives.at("09:00").unsubscribes("ana").consents("ana", NO).at("10:00")
    return lives.signs_up("ana", trust="browser")


def test_a_token_ends_no_refusal_as_it_ends_none_at_the_door() -> None:
    lives = gone(ana())
    clicks(lives.at("10:10"), token(lives.play(), email("ana")))
    lives.at("11:00").fills_cart("ana", "rope").until("20:00")
    result = lives.play()
    assert ("cart", "SUPPRESSED") in result.reasons("ana")
    assert not consent.permits(PERMISSIONS.read(result.person("ana").permissions), "marketing", "email", at("11:00"))


def test_a_servers_confirmation_ends_the_refusal_as_it_does_at_the_door() -> None:
    lives = gone(ana()).at("10:10").confirms("ana")
    lives.at("11:00").fills_cart("ana", "rope").until("20:00")
    result = lives.play()
    assert ("welcome", "SENT") in result.reasons("ana")
    assert ("cart", "SUPPRESSED") not in result.reasons("ana")


def test_a_token_gives_what_was_asked_for_and_never_refused() -> None:
    lives = Lives().at("08:00").is_known_as("ana", Traits(first_name="Ana")).at("09:00")
    lives.signs_up("ana", trust="browser")
    clicks(lives.at("09:10"), token(lives.play(), email("ana")))
    assert lives.play().reasons("ana") == [("confirm", "SENT"), ("welcome", "NO_CONSENT"), ("welcome", "SENT")]


def test_a_page_that_passes_on_any_token_with_the_servers_key_confirms_nothing() -> None:
    """Mallory has seen Ana's person id in a token; the shop's page relays whatever stands in its link."""
    lives = Lives().at("08:00").is_known_as("ana", Traits(first_name="Ana"))
    lives.at("09:00").consents("ana", YES, trust="browser")
    made_up = f"{address('ana').hex()}-{'0' * 32}"
    lives.at("10:00").put(address_in(made_up), Confirmed(made_up), ids=Ids())
    words = PERMISSIONS.read(lives.play().person("ana").permissions)
    assert not consent.permits(words, "marketing", "email", at("10:00"))
    assert len(words.asked) == 1


# --- words ------------------------------------------------------------------------------------------------------------

HOSTILE = "Account locked: help@evil.example, https://evil.example/?x=1, www.evil.example"
LONG = shop(
    campaign("receipt", content={"email": {"en": Content({"text": "{{ order.id }}, {{ order.value }}: {% for item in "
    "order.items %}{{ item.name }}{{ item.category }}{{ item.variant }}{{ item.product }}{% endfor %}"})}}),
    campaign("cart", content={"email": {"en": Content({"text": "{% for item in cart.items %}{{ item.name }} "
    "{{ item.category }} {{ item.variant }} {{ item.product }}{% endfor %}"})}}),
)  # fmt: skip
LINK = re.compile(r"\w\.[a-z]|:|@")
"""What a mail program makes a link of."""


def hostile(order: str = "o-1") -> OrderPlaced:
    return OrderPlaced(order, 6_000, "EUR", (Item(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 6_000, 1),))


def test_an_order_that_mallory_claims_for_ana_brings_her_none_of_his_words() -> None:
    lives = Lives(LONG).at("08:00").is_known_as("ana", Traits(first_name="Ana"))
    lives.at("09:00").add("ana", hostile(), trust="browser")
    lives.at("10:00").add("ana", hostile(f"9, see {HOSTILE}"), trust="browser")
    found = [words(message)["text"] for message in lives.play().messages("ana", "receipt")]
    assert found == ["o-1, 60.00: ", ", 60.00: "]


def test_an_order_that_the_server_tells_of_is_confirmed_in_full() -> None:
    lives = Lives(LONG).at("08:00").customer("ana").at("09:00").orders("ana", "o-1", "boots")
    assert [words(message)["text"] for message in lives.play().messages("ana", "receipt")] == [
        "o-1, 60.00: Bootsgearboots"
    ]


def test_no_more_than_three_orders_a_day_are_confirmed_on_a_browsers_word() -> None:
    lives = Lives().at("08:00").is_known_as("ana", Traits(first_name="Ana")).at("09:00")
    for number in range(5):
        lives.orders("ana", f"o-{number}", "boots", trust="browser")
    lives.at("1d 10:30").orders("ana", "o-9", "boots", trust="browser").at("1d 11:00").orders("ana", "o-10", "boots")
    reasons = [reason for name, reason in lives.play().reasons("ana") if name == "receipt"]
    assert reasons == ["SENT"] * 3 + ["NOT_REENTRANT"] * 2 + ["SENT", "SENT"]


def test_a_cart_that_mallory_fills_for_ana_takes_her_nowhere() -> None:
    lives = Lives(LONG).at("08:00").customer("ana").at("09:00")
    lives.add("ana", CartUpdated("add", "cart", "EUR", hostile().items), trust="browser").until("20:00")
    (reminder,) = lives.play().messages("ana", "cart")
    assert "Account locked" in words(reminder)["text"]
    assert not LINK.search(words(reminder)["text"])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Kolibri 1.5 l, blau (S/M)", "Kolibri 1.5 l, blau (S/M)"),
        ("Łódź – plecak", "Łódź – plecak"),
        ("हिन्दी जूते", "हिन्दी जूते"),
        ("Dr.Martens", "Dr. Martens"),
        ("evil.example", "evil. example"),
        ("пример.рф", "пример. рф"),
        ("evil\u3002example", "evil example"),
        ("javascript:alert(1)", "javascript alert(1)"),
        ("x" * 500, "x" * 80),
    ],
)
def test_a_title_is_a_title(name: str, shown: str) -> None:
    assert title(name) == shown


# --- orders -----------------------------------------------------------------------------------------------------------


def receipts(lives: Lives) -> list[str]:
    """Why ana's order confirmations went or did not."""
    return [reason for name, reason in lives.play().reasons("ana") if name == "receipt"]


def test_mallory_cannot_keep_ana_from_hearing_of_her_order() -> None:
    """He tells of her next order before she places it, at another price."""
    lives = Lives().at("08:00").is_known_as("ana", Traits(first_name="Ana"))
    lives.at("09:00").orders("ana", "o-1", "boots", value=1, trust="browser")
    lives.at("10:00").orders("ana", "o-1", "boots", value=9_900)
    assert receipts(lives) == ["SENT", "SENT"]
    assert "99.00" in words(lives.play().messages("ana", "receipt")[1])["text"]


def test_an_order_that_page_and_server_tell_of_alike_is_confirmed_once() -> None:
    lives = Lives().at("08:00").is_known_as("ana", Traits(first_name="Ana"))
    lives.at("09:00").orders("ana", "o-1", "boots", trust="browser").at("09:01").orders("ana", "o-1", "boots")
    assert receipts(lives) == ["SENT"]
    lives.at("1d 09:00").orders("ana", "o-2", "boots", trust="browser").at("1d 09:01").orders("ana", "o-2", "boots")
    assert receipts(lives) == ["SENT", "SENT"]
    assert lives.play().messages("ana", "receipt")[1].trigger == lives.records[-1].event.id, "the server's, in full"


def test_an_order_that_was_only_claimed_of_a_stranger_is_confirmed_when_the_server_tells() -> None:
    lives = Lives().at("09:00").orders("ana", "o-1", "boots", trust="browser").at("09:01").orders("ana", "o-1", "boots")
    assert receipts(lives) == ["IDENTITY_LOW", "SENT"]


def test_orders_that_mallory_makes_up_make_nobody_a_champion_whose_orders_the_server_tells() -> None:
    lives = Lives().at("08:00").orders("ana", "o-0", "boots").at("09:00")
    for number in range(9):
        lives.orders("ana", f"made-up-{number}", "boots", value=90_000, trust="browser")
    lives.gets_back("ana", "o-0", trust="browser")
    assert [(move.new, move.frequency) for move in lives.play().moves] == [("New", 1)]


def test_where_no_server_tells_of_orders_the_pages_do() -> None:
    lives = Lives().at("08:00").is_known_as("ana", Traits(first_name="Ana")).at("09:00")
    lives.orders("ana", "o-1", "boots", trust="browser").orders("ana", "o-2", "boots", trust="browser")
    assert [move.new for move in lives.play().moves] == ["New", "Potential loyalist"]
