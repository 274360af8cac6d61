"""Which brands a text names, and whether it speaks to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from posts import HOSTILE, cost

from schemas.workspace import Brand
from transforms.logic.brands import Gazetteer, Named
from transforms.logic.wording import plain, visible

BRANDS = (
    Brand("Fernweh", ("fernweh", "Fernwehem"), ("chirp:fernweh", "chirp:FernwehHelp", "blue:fernweh.bsky.example")),
    Brand("Kompass", ("kompass", "KMPS")),
    Brand("Virgin Trails", ("Virgin Trails",)),
    Brand("H&M", ("H&M",)),
    Brand("山道", ("山道", "やまみち")),
    Brand("Straße", ("Straße",)),
)
ABOUT, TO = False, True


@pytest.fixture(scope="module")
def known() -> Gazetteer:
    return Gazetteer(BRANDS)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("I love Fernweh", {"Fernweh": ABOUT}),
        ("FERNWEH!!!", {"Fernweh": ABOUT}),
        ("fernweh's new boots", {"Fernweh": ABOUT}),
        ("(fernweh)", {"Fernweh": ABOUT}),
        ("#Fernweh rocks", {"Fernweh": ABOUT}),
        ("zachwycona Fernwehem", {"Fernweh": ABOUT}),
        ("fernwehs are not a brand, nor is ifernweh", {}),
        ("fern weh", {}),
        ("fern\u200bweh hides a letter", {"Fernweh": ABOUT}),
        ("𝐅𝐞𝐫𝐧𝐰𝐞𝐡 in fancy letters", {"Fernweh": ABOUT}),
        ("fеrnweh with a Cyrillic letter is another word", {}),
        ("Kompass or Fernweh?", {"Fernweh": ABOUT, "Kompass": ABOUT}),
        ("kmps, Kompass, KOMPASS", {"Kompass": ABOUT}),
        ("Virgin Trails are great", {"Virgin Trails": ABOUT}),
        ("virgin\n  trails", {"Virgin Trails": ABOUT}),
        ("#VirginTrails", {"Virgin Trails": ABOUT}),
        ("virgin forest trails", {}),
        ("virgin", {}),
        ("bought it at H&M", {"H&M": ABOUT}),
        ("h & m", {"H&M": ABOUT}),
        ("h m", {}),
        ("昨日山道で靴を買った", {"山道": ABOUT}),
        ("in der STRASSE", {"Straße": ABOUT}),
        ("@fernweh where is my parcel?", {"Fernweh": TO}),
        (".@FernwehHelp, answer!", {"Fernweh": TO}),
        ("hey @fernwehhelp. Kompass is better", {"Fernweh": TO, "Kompass": ABOUT}),
        ("@fernweh@server.example from elsewhere", {"Fernweh": TO}),
        ("@fernwehfan says hello", {}),
        ("@fernwehhelp...give me a break", {"Fernweh": TO}),
        ("@fernwehhelp--really?", {"Fernweh": TO}),
        ("@fernwehhelp.fan is somebody else", {}),
        ("mail me at info@fernwehhelp", {}),
        ("look https://shop.example/fernweh www.kompass.example", {}),
        ("", {}),
        ("nothing here", {}),
    ],
)
def test_names(known: Gazetteer, text: str, named: dict[str, bool]) -> None:
    assert {each.brand: each.directed for each in known.named(text, "chirp")} == named


def test_an_account_counts_on_its_own_network_only(known: Gazetteer) -> None:
    assert known.named("@fernwehhelp hello", "Chirp") == [Named("Fernweh", True)]
    assert known.named("@fernwehhelp hello", "other") == []
    assert known.named("@fernweh hello", "other") == [Named("Fernweh", False)]
    assert known.named("@fernweh.bsky.example hello", "blue") == [Named("Fernweh", True)]


def test_brands_come_in_the_order_of_the_workspace(known: Gazetteer) -> None:
    assert [each.brand for each in known.named("h&m kompass fernweh", "chirp")] == ["Fernweh", "Kompass", "H&M"]


@pytest.mark.parametrize(("author", "own"), [("fernweh", True), ("@FernwehHelp", True), ("ana", False), ("", False)])
def test_own_accounts(known: Gazetteer, author: str, own: bool) -> None:
    assert known.owns("chirp", author) is own
    assert not known.owns("other", author)


def test_a_tenant_without_brands_names_none() -> None:
    assert Gazetteer(()).named("fernweh", "chirp") == []


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_cheap(known: Gazetteer, name: str) -> None:
    assert cost(lambda: known.named(HOSTILE[name], "chirp")) < 0.010


def test_a_hostile_text_cannot_use_a_long_name_against_us() -> None:
    known = Gazetteer([Brand("A", ("a " * 20 + "b",))])
    text = "a " * 2_000
    assert known.named(text, "chirp") == []
    assert cost(lambda: known.named(text, "chirp")) < 0.010


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=200))
def test_what_is_visible_is_bounded_one_line_and_printable(text: str) -> None:
    for seen in (visible(text, 50), plain(text, 50)):
        assert len(seen) <= 50
        assert "\n" not in seen
        seen.encode()
    assert visible(visible(text, 50), 50) == visible(text, 50)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("pay \u202ereversed\u202c now", "pay reversed now"),
        ("a\r\nb\tc", "a  b c"),
        ("z\u0301\u0316\u0301\u0316\u0301algo", "z\u0301\u0316\u0301algo"),
        ("\x1b[31mred", "[31mred"),
        ("te\u00adst \ufefffile", "test file"),
    ],
)
def test_what_is_visible(text: str, seen: str) -> None:
    assert visible(text, 280) == seen
