"""One spelling an identifier, and nobody behind words like null."""

import pytest

from transforms.logic.identifiers import email, handle, opaque, phone


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("c1", "c1"),
        (" c1\n", "c1"),
        (42, "42"),
        (42.0, "42"),
        ("Łukasz", "Łukasz"),
        (None, ""),
        (True, ""),
        (-1, ""),
        (0, ""),
        (1.5, ""),
        (float("nan"), ""),
        (float("inf"), ""),
        (10**60, ""),
        ([], ""),
        ({}, ""),
        ("null", ""),
        ("UNDEFINED", ""),
        ("None", ""),
        ("", ""),
        ("   ", ""),
        ("0", ""),
        (" null ", ""),
        ("[object Object]", ""),
        ("00000000-0000-0000-0000-000000000000", ""),
        ("a\x00b", ""),
        ("a\nb", ""),
        ("a\u202eb", ""),
        ("x" * 201, ""),
    ],
)
def test_opaque(given: object, expected: str) -> None:
    assert opaque(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Ana@Shop.Example", "ana@shop.example"),
        ("  ana@shop.example ", "ana@shop.example"),
        ("ana+news@shop.co.uk", "ana+news@shop.co.uk"),
        ("o'neil@shop.example", "o'neil@shop.example"),
        ("a@b.c, evil@x.y", ""),
        ("a@b.c;evil@x.yz", ""),
        ("a@b.com\nBcc: evil@x.yz", ""),
        ("a@b.com\r\nevil@x.yz", ""),
        ("Ana <ana@shop.example>", ""),
        ('"a b"@shop.example', ""),
        ("a@@b.com", ""),
        ("a@b@c.com", ""),
        ("a b@c.com", ""),
        (".a@c.com", ""),
        ("a..b@c.com", ""),
        ("a@c", ""),
        ("a@.com", ""),
        ("@c.com", ""),
        ("test@shop.example", ""),
        ("null@shop.example", ""),
        ("аna@shop.example", ""),  # a Cyrillic а
        ("ana@shоp.example", ""),
        ("x" * 65 + "@shop.example", ""),
        ("a@" + "b" * 64 + ".com", ""),
        ("a@" + "b." * 200 + "com", ""),
        ("a" * 100_000, ""),
        ("%0d%0a", ""),
        (None, ""),
        (7, ""),
        (["ana@shop.example"], ""),
    ],
)
def test_email(given: object, expected: str) -> None:
    assert email(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("+48601234567", "+48601234567"),
        ("+48 601 234-567", "+48601234567"),
        ("0048 601 234 567", "+48601234567"),
        ("+1 (415) 555.2671", "+14155552671"),
        ("601234567", ""),
        ("+0123456789", ""),
        ("+123", ""),
        ("+1234567890123456", ""),
        ("+48601234567;ext=1", ""),
        ("+48６01234567", ""),
        ("", ""),
        (48601234567, ""),
        (None, ""),
    ],
)
def test_phone(given: object, expected: str) -> None:
    assert phone(given) == expected


@pytest.mark.parametrize(
    ("network", "name", "expected"),
    [
        ("twitter", "@Ana", "twitter:ana"),
        ("X", "ana", "twitter:ana"),
        ("Mastodon", "@ana@mastodon.social", "mastodon:ana@mastodon.social"),
        ("instagram", "ana.nowak_1", "instagram:ana.nowak_1"),
        ("twitter", "null", ""),
        ("twitter", "", ""),
        ("twitter", "a b", ""),
        ("twitter", "https://twitter.com/ana", ""),
        ("", "ana", ""),
        ("net:work", "ana", ""),
        ("twitter", "анна", ""),
        ("twitter", 7, ""),
        ("twitter", None, ""),
    ],
)
def test_handle(network: str, name: object, expected: str) -> None:
    assert handle(network, name) == expected
