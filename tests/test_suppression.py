"""Who may not be written to: believed of everybody, visible before the answer, taken back only by a confirmation."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.keys import address_of
from schemas.records import AnyFact, Confirmed, Consent, Event, Ids, Receipt, Unsubscribed, Viewed
from transforms.logic.intake import Piece
from transforms.logic.suppress import Change, Refusals, Scope, blocked, changes, fold, may_tell
from transforms.stores.suppression import Suppressions, SuppressionView

SECRET = b"s" * 32
SCOPE = Scope(SECRET, frozenset(("marketing", "news")))
ANA = Ids(customer="c-ana", email="ana@people.example", cookie="shared-tablet")
MAIL = address_of(SECRET, "shop", "email", ANA.email)
CUSTOMER = address_of(SECRET, "shop", "customer", ANA.customer)


def event(fact: AnyFact, *consents: Consent, trust: str = "browser", ids: Ids = ANA, sequence: int = 7) -> Event:
    return Event("e", "shop", trust, "site", 1, 1, 0, sequence, ids, fact, consents)


def told(said: Event) -> set[tuple[bytes, str, str, bool]]:
    return {(each.address, each.category, each.channel, each.lift) for each in changes(said, SCOPE)}


def both(category: str, channel: str = "*", lift: bool = False) -> set[tuple[bytes, str, str, bool]]:
    return {(address, category, channel, lift) for address in (MAIL, CUSTOMER)}


# --- what a record says -----------------------------------------------------------------------------------------------


def test_an_unsubscribe_counts_for_every_identifier_but_a_cookie() -> None:
    assert told(event(Unsubscribed())) == both("marketing")
    assert told(event(Unsubscribed("news"))) == both("news")
    assert told(event(Unsubscribed(everything=True))) == both("*")


def test_a_rejected_consent_counts_on_any_event_for_its_channel() -> None:
    no = Consent(False, "news", "sms", 0, "form-3")
    yes = Consent(True, "offers", "email", 0, "form-3")
    assert told(event(Viewed("page"), no, yes)) == both("news", "sms")
    assert told(event(Viewed("page"), Consent(False, "", "", 0, "", valid=False))) == both("*")


def test_a_complaint_with_an_address_stops_everything() -> None:
    assert told(event(Receipt("", "complained", 1))) == both("*")
    assert told(event(Receipt("", "opened", 1))) == set()


def test_only_a_server_confirms() -> None:
    assert told(event(Confirmed(), trust="server")) == both("*", lift=True)
    assert told(event(Confirmed(), trust="browser")) == set()


@pytest.mark.parametrize(
    "piece, tells",
    [
        (Piece("track", b"{}", 0, b'"Unsubscribed"'), True),
        (Piece("track", b"{}", 0, b'"un_SUB scribed"'), True),
        (Piece("track", b"{}", 0, b'"unsubscri\\u0062ed"'), True),
        (Piece("track", b"{}", 0, b'"Consent Updated"'), True),
        (Piece("track", b"{}", 0, b'"Email Marked as Spam"'), True),
        (Piece("page", b'{"properties":{"consent":[]}}'), True),
        (Piece("page", b'{"properties":{"\\u0063onsent":[]}}'), True),
        (Piece("track", b'{"properties":{}}', 0, b'"Product Viewed"'), False),
        (Piece("track", b"{}", 0, b'"' + b"x" * 20_000 + b'"'), False),
        (Piece("track", b"{}", 0, b"7"), False),
        (Piece("page", b"{}"), False),
    ],
)
def test_a_glance_at_the_bytes_never_misses_one(piece: Piece, tells: bool) -> None:
    assert may_tell(piece) is tells


# --- what stands ------------------------------------------------------------------------------------------------------

CHANGES = st.builds(
    Change,
    st.just(MAIL),
    st.integers(0, 5),
    st.sampled_from(["*", "news", "offers"]),
    st.sampled_from(["*", "email"]),
    st.booleans(),
)


def folded(every: list[Change]) -> Refusals:
    refusals = Refusals()
    for change in every:
        refusals = fold(refusals, change)
    return refusals


@given(st.lists(CHANGES, max_size=4))
def test_the_order_of_changes_and_their_repetition_do_not_matter(every: list[Change]) -> None:
    assert len({folded([*order, *order[:2]]) for order in permutations(every)}) == 1


@pytest.mark.parametrize(
    "refused, asked, stops",
    [
        (("news", "*"), ("marketing", "news", "email"), True),
        (("news", "*"), ("marketing", "offers", "email"), False),
        (("*", "*"), ("marketing", "offers", "email"), True),
        (("*", "*"), ("service", "care", "social"), True),
        (("*", "*"), ("transactional", "orders", "email"), False),
        (("news", "sms"), ("marketing", "news", "email"), False),
        (("news", "sms"), ("marketing", "news", "sms"), True),
        (("news", "sms"), ("marketing", "news", "*"), True),
    ],
)
def test_what_a_refusal_stops(refused: tuple[str, str], asked: tuple[str, str, str], stops: bool) -> None:
    assert blocked([Refusals(), Refusals(-1, ((*refused, 3),))], *asked) is stops


# --- the store --------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Suppressions]:
    opened = Suppressions(tmp_path, sync=False)
    yield opened
    opened.close()


def apply(store: Suppressions, said: Event, address: int = 100) -> None:
    store.apply(changes(said, SCOPE), address, 1)


def test_the_sender_sees_at_once_what_the_door_committed(store: Suppressions, tmp_path: Path) -> None:
    view = SuppressionView(tmp_path)
    asked = ("shop", [b"\0" * 16, MAIL], "marketing", "marketing")
    assert not view.blocks(*asked)
    apply(store, event(Unsubscribed()))
    assert view.blocks(*asked)
    assert not view.blocks("shop", [b"\0" * 16], "marketing", "marketing")
    apply(store, event(Confirmed(), trust="server", sequence=6))
    assert view.blocks(*asked), "a confirmation from before the unsubscribe"
    apply(store, event(Confirmed(), trust="server", sequence=8))
    assert not view.blocks(*asked)
    view.close()


def test_a_view_may_come_before_the_store(tmp_path: Path) -> None:
    view = SuppressionView(tmp_path / "door")
    assert not view.blocks("shop", [MAIL], "marketing", "marketing")
    store = Suppressions(tmp_path / "door", sync=False)
    apply(store, event(Unsubscribed()))
    assert view.blocks("shop", [MAIL], "marketing", "marketing")
    view.close()
    store.close()


def test_a_second_start_knows_all_and_how_far_it_got(tmp_path: Path) -> None:
    first = Suppressions(tmp_path, sync=False)
    assert first.address == 0
    apply(first, event(Unsubscribed()), address=1234)
    first.close()
    second = Suppressions(tmp_path, sync=False)
    assert second.address == 1234
    view = SuppressionView(tmp_path)
    assert view.blocks("shop", [CUSTOMER], "marketing", "marketing")
    view.close()
    second.close()


def test_what_a_full_disk_refused_is_owed(store: Suppressions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    view = SuppressionView(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="space"):
        patch.setattr("os.pwrite", full)
        apply(store, event(Unsubscribed()), address=10)
    assert store.owes and store.address == 0
    assert not view.blocks("shop", [MAIL], "marketing", "marketing")
    store.apply((), 20, 2)
    assert not store.owes and store.address == 20
    assert view.blocks("shop", [MAIL], "marketing", "marketing")
    view.close()
