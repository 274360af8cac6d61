"""The stage itself: all or nothing, refusals, wakes that break, rows that nobody can read."""

from __future__ import annotations

import pytest
from lives import Lives, address
from msgspec.structs import replace
from shop import SECRET, shop
from story import at

from schemas.codec import UnknownVersion
from schemas.records import EventRow
from transforms.logic import abandoned_cart
from transforms.logic.engage import Engage
from transforms.logic.moment import Moment
from transforms.logic.profile import Alias, Person, pack_row, unpack_row
from transforms.stores.memory import MemoryRows


def stage() -> Engage:
    return Engage({"shop": shop()}, SECRET)


def test_a_record_of_an_unknown_tenant_fails_the_batch_and_leaves_nothing() -> None:
    lives = Lives().at("09:00").signs_up("ana").signs_up("bob")
    stranger = replace(lives.records[1], event=replace(lives.records[1].event, tenant="elsewhere"))
    shard = MemoryRows().begin().shard("engage", 0)
    with pytest.raises(KeyError):
        stage().run(shard, [lives.records[0], stranger])
    assert shard.get_many([address("ana")]) == [None]
    refused = stage().refuse(stranger, KeyError("elsewhere"))
    assert [failure.reason for failure in refused.failures] == ["step_failed"]
    assert [row.disposition for row in refused.rows if isinstance(row, EventRow)] == ["failed"]


def test_a_wake_that_breaks_costs_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(moment: Moment) -> tuple[()]:
        moment.person.signed_up = 666
        if moment.person.id == address("ana").hex():
            raise ValueError("a rule of ours is wrong")
        return ()  # and leaves the wake where it is

    monkeypatch.setattr(abandoned_cart, "on_wake", broken)
    lives = Lives().at("09:00").fills_cart("ana", "boots").fills_cart("bob", "boots")
    lives.at("20:00").orders("ana", "o-1", "tent").until("20:00")
    result = lives.play((1000,))
    found = [(failure.reason, failure.detail) for failure in result.out.failures]
    assert found == [("wake_failed", "ValueError"), ("wake_failed", "RuntimeError")]
    assert ("receipt", at("20:00")) in result.sent("ana")
    assert result.person("ana").signed_up == 0
    assert result.person("ana").run_due == 0


def test_rows_survive_packing_and_unknown_versions_are_refused() -> None:
    person = Person("ab" * 16, "shop", 1, held_until=7)
    assert pack_row(unpack_row(pack_row(person))) == pack_row(person)
    assert unpack_row(pack_row(Alias(b"\x00" * 16))) == Alias(b"\x00" * 16)
    with pytest.raises(UnknownVersion, match="migrate"):
        unpack_row(b"\x02P\x90")


GOLDEN = (
    "0150dc001ba26162a473686f700100c295a0a0a0a0a0c2000000000000a0c40190c40180c40190c40180c40190c40190c40190c40190c40190"
    "c40190c40180c40190c40190"
)


def test_the_bytes_of_a_new_person_stay_as_they_are() -> None:
    assert pack_row(Person("ab", "shop", 1)).hex() == GOLDEN


def test_a_page_view_of_somebody_known_writes_nothing() -> None:
    lives = Lives().at("09:00").signs_up("ana")
    store = MemoryRows().begin()
    stage().run(store.shard("engage", 0), lives.records)
    before = dict(store.work.rows)
    lives.at("10:00").opens_page("ana")
    out = stage().run(store.shard("engage", 0), lives.records[1:])
    assert store.work.rows == before
    assert [row.disposition for row in out.rows if isinstance(row, EventRow)] == ["applied"]
