"""Every spelling of an event name means the same; a name that nobody knows is custom."""

import pytest

from schemas import records
from transforms.logic.vocabulary import NAMES, canonical, meaning


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Signed Up", ("signup", "")),
        ("signed_up", ("signup", "")),
        ("SIGNED UP", ("signup", "")),
        ("Account Created", ("signup", "")),
        ("Completed Order", ("order_placed", "")),
        ("purchase", ("order_placed", "")),
        ("add_to_cart", ("cart_updated", "add")),
        ("Started Order", ("checkout_started", "")),
        ("order cancelled", ("order_changed", "cancelled")),
        ("Unsubscribed", ("unsubscribed", "")),
        ("view_item", ("viewed", "product")),
        ("Cart Emptied", ("cart_updated", "empty")),
        ("email-opened", ("receipt", "opened")),
        ("Tea Brewed", ("custom", "")),
        ("", ("custom", "")),
    ],
)
def test_a_name_has_one_meaning(name: str, expected: tuple[str, str]) -> None:
    assert meaning(name) == expected
    assert canonical(name) == expected[0]


def test_every_type_is_a_fact() -> None:
    kinds = {fact.kind for fact in records.Fact.__subclasses__()}
    assert {kind for kind, _ in NAMES} <= kinds
