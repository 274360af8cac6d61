"""Bytes of records: golden, versioned, and back again."""

from __future__ import annotations

import pytest

from schemas.codec import UnknownVersion, pack, pack_many, unpack, unpack_many
from schemas.keys import address_in, address_of, derived_id, send_key
from schemas.records import Event, Failure, Ids, OrderPlaced, Row

EVENT = Event("m1", "shop", "server", "site", 1, 2, 0, 3, Ids(email="ana@people.example"), OrderPlaced("o1", 5000))
SECRET = bytes(32)


def test_a_record_comes_back_as_it_was() -> None:
    assert unpack(pack(EVENT), Event) == EVENT


def test_rows_of_all_tables_share_a_list() -> None:
    failure = Failure("f", "shop", "discover", "not_json", "", b"{", 1, 0, 2)
    assert unpack_many(pack_many([failure]), Row) == [failure]


@pytest.mark.parametrize("data", [b"", b"\x02\x90", b"\x00"])
def test_an_unknown_version_is_refused(data: bytes) -> None:
    with pytest.raises(UnknownVersion, match="expected record version 1"):
        unpack(data, Event)


def test_stronger_identifiers_have_smaller_addresses() -> None:
    kinds = ("customer", "email", "phone", "handle", "cookie")
    addresses = [address_of(SECRET, "shop", kind, "x") for kind in kinds]
    assert addresses == sorted(addresses)
    assert {len(address) for address in addresses} == {16}


def test_addresses_belong_to_one_tenant_and_one_secret() -> None:
    known = address_of(SECRET, "shop", "email", "a")
    assert known != address_of(SECRET, "other", "email", "a")
    assert known != address_of(b"x" * 32, "shop", "email", "a")


def test_a_send_key_leads_back_to_its_person() -> None:
    person = address_of(SECRET, "shop", "email", "a")
    key = send_key("shop", "welcome", 0, person.hex(), "life", "email")
    assert address_in(key) == person
    assert key == send_key("shop", "welcome", 0, person.hex(), "life", "email")


@pytest.mark.parametrize("key", ["", "abc", "0" * 65, "g" * 32 + "-" + "0" * 32, "0" * 32 + "-"])
def test_what_is_no_send_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"send key|hexadecimal"):
        address_in(key)


def test_parts_of_an_id_do_not_run_together() -> None:
    assert derived_id("a", "bc") != derived_id("ab", "c")


def test_golden_keys() -> None:
    """These bytes are on people's disks; if this test fails, write a migration first."""
    assert derived_id("send", "shop", 1) == "50ea270d22e76eb5099bcbfe53155b9e"
    assert address_of(SECRET, "shop", "email", "a").hex() == "0196bee658ef298c495c87350b91fa12"
