"""Money in whole hundredths, or no money at all."""

import pytest

from schemas.failures import Refused
from transforms.logic.amounts import MOST, currency, demand, hundredths, pieces, price

NOT_MONEY = [
    "",
    "free",
    "-1",
    "1e5",
    "NaN",
    "Infinity",
    "0x10",
    "1,2,3",
    "१२",
    "12,345,6",
    "9" * 400,
    None,
    True,
    [],
    {},
]
WRONG = [-0.01, -5, float("nan"), float("inf"), float("-inf"), 1e308, 10**30, MOST]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (89.9, 8990),
        (0.1 + 0.2, 30),
        (19.99, 1999),
        (0, 0),
        (-0.0, 0),
        (7, 700),
        ("89.90", 8990),
        (" 89.9 ", 8990),
        ("89,90", 8990),
        ("1,089.90", 108990),
        ("1,089", 108900),
        ("12.", 1200),
    ],
)
def test_hundredths(given: object, expected: int) -> None:
    assert hundredths(given) == expected
    assert price(given) == expected
    assert demand(given, "total") == expected


@pytest.mark.parametrize("given", NOT_MONEY + WRONG, ids=repr)
def test_no_amount(given: object) -> None:
    assert hundredths(given) is None
    assert price(given) == 0
    with pytest.raises(Refused, match="bad_value"):
        demand(given, "total")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, 1),
        (2, 2),
        (2.9, 2),
        ("3", 3),
        (0, 0),
        ("0", 0),
        (-1, 1),
        (float("nan"), 1),
        (float("inf"), 10_000),
        (10**30, 10_000),
        ("9" * 400, 10_000),
        ("two", 1),
        ("²", 1),
        (True, 1),
        ([], 1),
    ],
)
def test_pieces(given: object, expected: int) -> None:
    assert pieces(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [("eur", "EUR"), (" USD ", "USD"), ("€", ""), ("EURO", ""), ("ąę1", ""), (978, ""), (None, "")],
)
def test_currency(given: object, expected: str) -> None:
    assert currency(given) == expected
