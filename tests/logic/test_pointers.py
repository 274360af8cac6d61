"""Whose each event is: strong identifiers and their links, cookies and where they point, and what nobody owns."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from support_calls import BROWSER, NOON, SERVER, event, give_back, read, track

from schemas.keys import address_of
from schemas.records import (
    DAY,
    HOUR,
    OWN,
    CutsPublished,
    Derived,
    Event,
    EventRow,
    Handover,
    Ids,
    Item,
    Known,
    Past,
    Said,
    Seen,
)
from transforms.logic.pointers import EVERYBODY, Pointers
from transforms.logic.shard import Outputs
from transforms.logic.trails import MEMORY, POINTER_MEMORY
from transforms.stores.memory import MemoryRows

SECRET = b"s" * 32
KEY = "a" * 32 + "-" + "b" * 32


def address(kind: str, value: str) -> bytes:
    return address_of(SECRET, "shop", kind, value)


ANA, ANAS_MAIL = address("customer", "ana"), address("email", "ana@shop.example")


class Shop:
    """The stage over one shard; time is the records' own."""

    def __init__(self) -> None:
        self.store = MemoryRows()
        self.stage = Pointers(SECRET)

    def take(self, *events: Event) -> Outputs:
        transaction = self.store.begin()
        out = self.stage.run(transaction.shard("pointers", 0), events)
        transaction.commit(max(each.received_at for each in events), b"")
        return out

    def one(self, taken: Event) -> Known:
        out = self.take(taken)
        assert not out.failures
        return out.known[-1]

    def ring(self, upto: int) -> None:
        while (self.store.next_wake() or upto + 1) <= upto:
            transaction = self.store.begin()
            self.stage.wake(transaction.shard("pointers", 0), upto)
            transaction.commit(upto, b"")


def does(name: str = "Product Viewed", *, at: int = NOON, trust: str = BROWSER, **call: Any) -> Event:
    properties = call.pop("properties", {"product_id": "p"} if name.startswith("Product") else {})
    body = {"event": name, "messageId": f"{name}-{at}-{call}", "properties": properties} | call
    return event(body, trust=trust, at=at)


def knows(at: int = NOON, trust: str = SERVER, **call: Any) -> Event:
    return event({"messageId": f"i-{at}-{call}"} | call, "identify", trust=trust, at=at)


# --- strong identifiers -----------------------------------------------------------------------------------------------


def test_the_strongest_identifier_is_the_address_and_the_others_link_to_it() -> None:
    traits = {"email": "ana@shop.example", "phone": "+48601234567", "twitter": "ana"}
    out = Shop().take(knows(userId="ana", traits=traits, trust=SERVER))
    weaker = [ANAS_MAIL, address("phone", "+48601234567"), address("handle", "twitter:ana")]
    assert [known.address for known in out.known] == [*weaker, ANA]
    assert [known.link for known in out.known] == [ANA, ANA, ANA, b""]
    assert [known.event.sub for known in out.known] == [0, 1, 2, 3]
    assert [known.order for known in out.known] == sorted(known.order for known in out.known)
    assert {known.confidence for known in out.known} == {"verified"}
    assert all(known.link <= known.address for known in out.known)
    assert not out.rows


def test_a_browsers_word_joins_no_address_to_anybody() -> None:
    (known,) = Shop().take(knows(userId="ana", traits={"email": "ana@shop.example"}, trust=BROWSER)).known
    assert (known.address, known.link, known.confidence, known.event.sub) == (ANA, b"", "claimed", 0)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ({"userId": "ana"}, ANA),
        ({"traits": {"email": "Ana@Shop.example"}}, ANAS_MAIL),
        ({"traits": {"phone": "+48601234567"}}, address("phone", "+48601234567")),
        ({"traits": {"x": None, "twitter": "Ana"}}, address("handle", "twitter:ana")),
    ],
)
def test_one_identifier_needs_no_link(call: dict[str, Any], expected: bytes) -> None:
    (known,) = Shop().take(knows(**call)).known
    assert (known.address, known.link, known.event.sub) == (expected, b"", 0)


def test_tenants_have_addresses_of_their_own() -> None:
    assert Shop().one(replace(knows(userId="ana"), tenant="other")).address != ANA


def test_nobody_at_all_is_a_failure() -> None:
    nobody = knows(userId="null", traits={"email": "nonsense"})
    out = Shop().take(nobody)
    (failure,), (row,) = out.failures, out.rows
    assert (failure.stage, failure.reason, failure.body) == ("pointers", "no_identifier", nobody.raw)
    assert isinstance(row, EventRow)
    assert (row.disposition, row.reason) == ("failed", "no_identifier")


def test_a_failure_leaves_the_batch_alone() -> None:
    out = Shop().take(knows(userId="ana"), knows(), knows(userId="ana", at=NOON + 1))
    assert len(out.known) == 2 and len(out.failures) == 1


# --- cookies ----------------------------------------------------------------------------------------------------------


def test_a_cookie_follows_the_latest_login() -> None:
    shop = Shop()
    shop.take(does(userId="ana", anonymousId="k"))
    assert shop.one(does(anonymousId="k", at=NOON + 1)).address == ANA
    shop.take(does(userId="eva", anonymousId="k", at=NOON + 2))
    known = shop.one(does(anonymousId="k", at=NOON + 3))
    assert (known.address, known.confidence) == (address("customer", "eva"), "claimed")


def test_a_cookie_alone_proves_nothing_even_in_a_servers_hand() -> None:
    shop = Shop()
    shop.take(does(userId="ana", anonymousId="k", trust=SERVER))
    assert shop.one(does(anonymousId="k", trust=SERVER, at=NOON + 1)).confidence == "claimed"


def test_a_visitor_without_a_name_is_an_applied_line_and_nobody() -> None:
    out = Shop().take(does(anonymousId="k"))
    (row,) = out.rows
    assert isinstance(row, EventRow)
    assert not out.known and not out.failures
    assert (row.disposition, row.reason, row.person, row.type) == ("applied", "", "", "viewed")


def test_monday_belongs_to_tuesdays_person_once() -> None:  # V21
    shop = Shop()
    monday, tuesday = NOON, NOON + DAY
    shop.take(does(anonymousId="k", at=monday, properties={"product_id": "p", "name": "Shoe"}))
    shop.take(does(anonymousId="k", at=monday + HOUR, properties={"product_id": "q"}))
    shop.take(does(anonymousId="k", at=monday + 2 * HOUR, properties={"product_id": "p"}))
    shop.take(does("Product Added", anonymousId="k", at=monday + 3 * HOUR, properties={"product_id": "p", "price": 5}))
    sign_up = does("Signed Up", anonymousId="k", at=tuesday, properties={"email": "ana@shop.example"})
    known = shop.one(sign_up)
    assert known.address == ANAS_MAIL
    assert known.past == Past(
        monday,
        (Seen("q", 1, monday + HOUR), Seen("p", 2, monday + 2 * HOUR, "Shoe")),
        (Item("p", price=500),),
        monday + 3 * HOUR,
    )
    assert shop.one(does(userId="ana", anonymousId="k", at=tuesday + 1)).past is None
    assert shop.one(does(anonymousId="k", at=tuesday + 2)).past is None


def test_the_past_goes_with_the_person_and_not_with_a_link() -> None:
    shop = Shop()
    shop.take(does(anonymousId="k"))
    out = shop.take(knows(userId="ana", anonymousId="k", traits={"email": "ana@shop.example"}, at=NOON + 1))
    assert [known.past is None for known in out.known] == [True, False]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([("Product Added", {"product_id": "p"}), ("Product Added", {"product_id": "p", "quantity": 2})], {"p": 3}),
        ([("Product Added", {"product_id": "p", "quantity": 2}), ("Product Removed", {"product_id": "p"})], {"p": 1}),
        ([("Product Added", {"product_id": "p"}), ("Product Removed", {"product_id": "p"})], {}),
        ([("Product Removed", {"product_id": "p"})], {}),
        ([("Product Added", {"product_id": "p"}), ("Cart Emptied", {})], {}),
        ([("Cart Updated", {"products": [{"id": "p"}, {"id": "q"}]})], {"p": 1, "q": 1}),
        ([("Product Added", {"product_id": "p"}), ("Checkout Started", {})], {"p": 1}),
        ([("Checkout Started", {"products": [{"id": "q"}]})], {"q": 1}),
        ([("Product Added", {"product_id": "p"}), ("Order Completed", {"order_id": "o"})], {}),
    ],
)
def test_the_last_cart_of_a_visitor(changes: list[tuple[str, dict[str, Any]]], expected: dict[str, int]) -> None:
    shop = Shop()
    for number, (name, properties) in enumerate(changes):
        shop.take(does(name, anonymousId="k", at=NOON + number, properties=properties))
    past = shop.one(does(userId="ana", anonymousId="k", at=NOON + HOUR)).past
    assert past is not None
    assert {item.product: item.quantity for item in past.cart} == expected


def test_a_late_cart_event_does_not_overwrite_a_newer_one() -> None:
    shop = Shop()
    shop.take(does("Cart Updated", anonymousId="k", properties={"products": [{"id": "new"}]}))
    late = {"properties": {"products": [{"id": "old"}]}, "timestamp": "2027-01-15T07:00:00Z"}
    shop.take(does("Cart Updated", anonymousId="k", at=NOON + 1, **late))
    past = shop.one(does(userId="ana", anonymousId="k", at=NOON + 2)).past
    assert past is not None and past.first_seen == NOON - HOUR
    assert [item.product for item in past.cart] == ["new"]


def test_a_past_is_bounded() -> None:
    shop = Shop()
    views = [does(anonymousId="k", at=NOON + n, properties={"product_id": f"p{n}"}) for n in range(80)]
    products = [{"id": f"p{n}"} for n in range(80)]
    shop.take(*views, does("Cart Updated", anonymousId="k", at=NOON + 80, properties={"products": products}))
    past = shop.one(does(userId="ana", anonymousId="k", at=NOON + 90)).past
    assert past is not None
    assert [seen.product for seen in past.views] == [f"p{n}" for n in range(30, 80)]
    assert len(past.cart) == 50


def test_visitors_are_forgotten_after_ninety_days() -> None:
    shop = Shop()
    shop.take(does(anonymousId="k"))
    shop.take(does(anonymousId="k", at=NOON + DAY))
    shop.ring(NOON + MEMORY)  # was seen again in the meantime
    assert len(shop.store) == 1
    shop.ring(NOON + MEMORY + DAY)
    assert len(shop.store) == 0
    assert shop.store.next_wake() is None


def test_a_cold_trail_is_forgotten_even_if_its_wake_has_not_rung() -> None:
    shop = Shop()
    shop.take(does(anonymousId="k"))
    known = shop.one(does(userId="ana", anonymousId="k", at=NOON + MEMORY + 1))
    assert known.past is None
    shop.ring(NOON + MEMORY + 1)
    assert len(shop.store) == 1
    shop.ring(NOON + 3 * POINTER_MEMORY)
    assert len(shop.store) == 0


def test_pointers_are_kept_for_a_year() -> None:
    shop = Shop()
    shop.take(does(anonymousId="k"))
    shop.take(does(userId="ana", anonymousId="k", at=NOON + 1))
    shop.ring(NOON + MEMORY)
    assert shop.one(does(anonymousId="k", at=NOON + MEMORY)).address == ANA
    shop.ring(NOON + POINTER_MEMORY + 1)
    assert len(shop.store) == 0


def test_a_known_visitor_costs_no_writes() -> None:
    shop = Shop()
    shop.take(does(userId="ana", anonymousId="k"))
    before = dict(shop.store.items())
    shop.take(does(userId="ana", anonymousId="k", at=NOON + HOUR))
    shop.take(does(anonymousId="k", at=NOON + 2 * HOUR))
    assert dict(shop.store.items()) == before


# --- shared cookies ---------------------------------------------------------------------------------------------------


def tablet(people: int, apart: int = HOUR, trust: str = SERVER) -> Shop:
    """A shop-floor tablet on which so many people sign up, one after the other."""
    shop = Shop()
    for number in range(people):
        mail = {"email": f"p{number}@shop.example"}
        shop.take(does("Signed Up", anonymousId="tablet", at=NOON + number * apart, trust=trust, properties=mail))
    return shop


@pytest.mark.parametrize(("people", "confidence"), [(1, "claimed"), (3, "claimed"), (4, "shared"), (9, "shared")])
def test_more_than_three_people_share_a_cookie(people: int, confidence: str) -> None:  # V22
    known = tablet(people).one(does(anonymousId="tablet", at=NOON + 10 * HOUR))
    assert known.confidence == confidence
    assert known.address == address("email", f"p{people - 1}@shop.example")


def test_a_claim_on_a_shared_cookie_is_shared_and_a_servers_word_is_not() -> None:
    shop = tablet(4)
    mine = {"email": "ana@shop.example"}
    assert shop.one(does("Signed Up", anonymousId="tablet", at=NOON + DAY, properties=mine)).confidence == "shared"
    server = does("Signed Up", anonymousId="tablet", at=NOON + DAY, properties=mine, trust=SERVER)
    assert shop.one(server).confidence == "verified"


def test_a_shared_cookie_gives_no_past_away() -> None:
    shop = Shop()
    events = [
        does("Signed Up", anonymousId="t", at=NOON + n, properties={"email": f"p{n}@a.example"}) for n in range(4)
    ]
    out = shop.take(does(anonymousId="t"), *events)
    assert [known.past is None for known in out.known] == [False, True, True, True]


def test_people_of_long_ago_do_not_count() -> None:
    assert tablet(9, apart=11 * DAY).one(does(anonymousId="tablet", at=NOON + 89 * DAY)).confidence == "claimed"
    quiet = tablet(4)
    assert quiet.one(does(anonymousId="tablet", at=NOON + 31 * DAY)).confidence == "claimed"


def test_one_person_with_many_identifiers_shares_with_nobody() -> None:
    shop = Shop()
    shop.take(does("Signed Up", anonymousId="k", properties={"email": "ana@shop.example"}))
    traits = {"email": "ana@shop.example", "phone": "+48601234567"}
    shop.take(knows(userId="ana", anonymousId="k", traits=traits, at=NOON + 1))
    shop.take(does(userId="eva", anonymousId="k", at=NOON + 2), does(userId="ida", anonymousId="k", at=NOON + 3))
    assert shop.one(does(anonymousId="k", at=NOON + 4)).confidence == "claimed"


# --- aliases ----------------------------------------------------------------------------------------------------------


def alias(previous: str, at: int = NOON, trust: str = SERVER, **call: Any) -> Event:
    return event({"messageId": f"a-{at}", "previousId": previous} | call, "alias", trust=trust, at=at)


@pytest.mark.parametrize("trust", [SERVER, BROWSER])
def test_an_alias_of_a_cookie_points_it(trust: str) -> None:
    shop = Shop()
    shop.take(does(anonymousId="k"))
    known = shop.one(alias("k", NOON + 1, trust, userId="ana"))
    assert known.address == min(ANA, address("customer", "k")) if trust == SERVER else ANA
    assert known.past is not None
    assert shop.one(does(anonymousId="k", at=NOON + 2)).address == known.address


def test_a_server_joins_two_customer_ids_and_the_smaller_address_stays() -> None:
    out = Shop().take(alias("old", userId="ana"))
    both = sorted((ANA, address("customer", "old")))
    assert [(known.address, known.link) for known in out.known] == [(both[1], both[0]), (both[0], b"")]


def test_a_browser_joins_no_customers() -> None:
    (known,) = Shop().take(alias("old", trust=BROWSER, userId="ana")).known
    assert (known.address, known.link) == (ANA, b"")


def test_an_alias_of_itself_links_nothing() -> None:
    (known,) = Shop().take(alias("ana", userId="ana")).known
    assert (known.address, known.link) == (ANA, b"")


def test_an_alias_without_a_customer_is_a_failure() -> None:
    assert [failure.reason for failure in Shop().take(alias("k", anonymousId="k2")).failures] == ["no_identifier"]


# --- what comes back --------------------------------------------------------------------------------------------------


def back(derived: Derived, at: int = NOON + HOUR) -> Event:
    (found,) = read(give_back(derived), at=at).events
    return found


def test_a_forward_goes_where_it_was_sent_and_repairs_the_cookie() -> None:
    shop = Shop()
    original = does("Signed Up", anonymousId="k", properties={"email": "ana@shop.example"})
    shop.take(original)
    past = Past(7)
    forward = Derived("f", "shop", 0, original.ids, original.fact, original.id, ANA, 2, original, past)
    known = shop.one(back(forward))
    assert (known.address, known.hops, known.past, known.confidence) == (ANA, 2, past, "claimed")
    assert known.event.id == original.id and known.event.derived
    assert shop.one(does(anonymousId="k", at=NOON + 2 * HOUR)).address == ANA


def test_a_repaired_cookie_has_seen_one_person_and_not_two() -> None:
    shop = Shop()
    original = does("Signed Up", anonymousId="k", properties={"email": "ana@shop.example"})
    shop.take(original)
    shop.take(back(Derived("f", "shop", 0, original.ids, original.fact, original.id, ANA, 1, original)))
    shop.take(
        does(userId="eva", anonymousId="k", at=NOON + 2 * HOUR), does(userId="i", anonymousId="k", at=NOON + 3 * HOUR)
    )
    assert shop.one(does(anonymousId="k", at=NOON + 4 * HOUR)).confidence == "claimed"


def test_a_forwarded_receipt_goes_where_it_was_sent_and_teaches_its_cookie_nothing() -> None:
    shop = Shop()
    receipt = does("Email Opened", anonymousId="k", trust=SERVER, properties={"key": KEY})
    forward = Derived("f", "shop", 0, receipt.ids, receipt.fact, receipt.id, ANA, 1, receipt)
    assert shop.one(back(forward)).address == ANA
    assert not shop.take(does(anonymousId="k", at=NOON + 2 * HOUR)).known


def test_a_handover_goes_to_its_address() -> None:
    known = Shop().one(back(Derived("h", "shop", 0, Ids(), Handover(b"parts", b"from"), "c", ANA, 1)))
    assert (known.address, known.confidence, known.hops, known.event.trust) == (ANA, "verified", 1, OWN)


def test_what_was_said_goes_to_its_author() -> None:
    said = Said("m", ("Fernweh",), True, "negative", 0.9, "en", "bad")
    known = Shop().one(back(Derived("s", "shop", 0, Ids(handle="chirp:ana"), said)))
    assert (known.address, known.confidence) == (address("handle", "chirp:ana"), "verified")


def test_a_post_of_nobody_is_a_failure() -> None:
    said = Said("m", ("Fernweh",), True, "negative", 0.9, "en", "bad")
    out = Shop().take(back(Derived("s", "shop", 0, Ids(), said)))
    assert [failure.reason for failure in out.failures] == ["no_identifier"]
    assert out.failures[0].body


def test_a_receipt_finds_its_person_by_its_key() -> None:
    known = Shop().one(event({"key": KEY, "state": "delivered"}, "receipt"))
    assert (known.address, known.confidence) == (bytes.fromhex("a" * 32), "verified")


@pytest.mark.parametrize("key", ["", "k-1", "z" * 32 + "-" + "b" * 32, KEY + "x", "ą" * 65])
def test_a_receipt_of_nothing(key: str) -> None:
    out = Shop().take(event({"key": key, "state": "delivered", "id": "r"}, "receipt"))
    assert [failure.reason for failure in out.failures] == ["unknown_key"]
    assert [row.reason for row in out.rows] == ["unknown_key"]  # type: ignore[union-attr]


def test_cut_points_are_for_everybody() -> None:
    cuts = {"version": "v", "recency": [1, 2, 3, 4], "frequency": [1, 2, 3, 4], "monetary": [1, 2, 3, 4]}
    (known,) = Shop().take(event(track("RFM Cuts Published", **cuts) | {"userId": None})).known
    assert isinstance(known.event.fact, CutsPublished)
    assert known.address == address("customer", EVERYBODY)


# --- shards -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (does(anonymousId="k"), does(userId="ana", anonymousId="k")),
        (does(anonymousId="k"), alias("k", userId="ana")),
        (does(anonymousId="k", userId="ana"), knows(anonymousId="k", traits={"email": "eva@shop.example"})),
        (knows(userId="ana"), knows(userId="ana", traits={"email": "ana@shop.example"})),
        (knows(userId="ana"), knows(userId="ana", at=NOON + 1)),
    ],
)
def test_what_may_touch_one_trail_has_one_key(first: Event, second: Event) -> None:
    stage = Pointers(SECRET)
    assert stage.key(first) == stage.key(second)


def test_everything_has_a_key() -> None:
    stage = Pointers(SECRET)
    cuts = {"version": "v", "recency": [1, 2, 3, 4], "frequency": [1, 2, 3, 4], "monetary": [1, 2, 3, 4]}
    for each in (
        knows(),
        event({"key": KEY, "state": "sent"}, "receipt"),
        event(track("RFM Cuts Published", **cuts) | {"userId": None}),
        back(Derived("h", "shop", 0, Ids(), Handover(b"", b""), "c", ANA, 1)),
    ):
        assert stage.key(each)


def test_results_do_not_depend_on_how_the_input_was_cut() -> None:
    story = [
        does(anonymousId="k"),
        does("Product Added", anonymousId="k", at=NOON + 1),
        does("Signed Up", anonymousId="k", at=NOON + 2, properties={"email": "ana@shop.example"}),
        knows(userId="ana", anonymousId="k", traits={"email": "ana@shop.example"}, at=NOON + 3),
        does(anonymousId="k", at=NOON + 4),
        does(anonymousId="k2", at=NOON + 5),
    ]
    whole, parts = Shop(), Shop()
    together = whole.take(*story)
    apart = [known for each in story for known in parts.take(each).known]
    assert together.known == apart
    assert dict(whole.store.items()) == dict(parts.store.items())


def test_a_record_that_breaks_a_rule_is_one_failure() -> None:
    out = Pointers(SECRET).refuse(knows(userId="ana"), RuntimeError("boom"))
    assert [failure.reason for failure in out.failures] == ["step_failed"]
    assert len(out.rows) == 1
