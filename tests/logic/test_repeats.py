"""A record counts once in seven days; one that borrows another's id is refused."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from support_calls import NOON, entry, event, give_back, read, track

from schemas.records import DAY, Custom, Derived, Event, EventRow, Ids, Mention, MentionRow
from transforms.logic.discover import LISTEN
from transforms.logic.repeats import Repeats
from transforms.logic.shard import Outputs
from transforms.stores.memory import MemoryRows


class Memory:
    """The stage over one shard, batch after batch."""

    def __init__(self) -> None:
        self.store = MemoryRows()
        self.stage = Repeats()

    def take(self, *items: Event | Mention) -> Outputs:
        transaction = self.store.begin()
        out = self.stage.run(transaction.shard("repeats", 0), items)
        transaction.commit(max(item.received_at for item in items), b"")
        return out


def say(name: str, at: int = NOON, **properties: Any) -> Event:
    return event(track("Product Viewed", product_id="p", **properties) | {"messageId": name}, at=at)


def dispositions(out: Outputs) -> list[tuple[str, str]]:
    return [(row.disposition, row.reason) for row in out.rows if isinstance(row, EventRow | MentionRow)]


@pytest.mark.parametrize("apart", [0, 1, DAY, 7 * DAY - 1])
def test_a_repeat_is_filtered(apart: int) -> None:
    memory = Memory()
    assert memory.take(say("a")).events
    out = memory.take(say("a", NOON + apart))
    assert not out.events and not out.failures
    assert dispositions(out) == [("filtered", "duplicate")]


def test_a_repeat_within_a_batch_and_across_midnight() -> None:
    midnight = NOON - NOON % DAY + DAY
    out = Memory().take(say("a", midnight - 1), say("a", midnight - 1), say("a", midnight))
    assert len(out.events) == 1
    assert dispositions(out) == [("filtered", "duplicate")] * 2


def test_after_the_memory_it_is_new() -> None:
    memory = Memory()
    memory.take(say("a"))
    assert memory.take(say("a", NOON + 9 * DAY)).events


def test_another_body_is_a_conflict() -> None:
    memory = Memory()
    memory.take(say("a", price=1))
    other = say("a", price=2)
    out = memory.take(other)
    (failure,) = out.failures
    assert (failure.stage, failure.reason, failure.body) == ("repeats", "conflict", other.raw)
    assert dispositions(out) == [("failed", "conflict")]
    assert memory.take(say("a", price=1)).rows  # the first one stands


def test_another_cookie_is_a_conflict_too() -> None:
    memory = Memory()
    memory.take(event(track("Cart Emptied") | {"anonymousId": "k1"}))
    assert memory.take(event(track("Cart Emptied") | {"anonymousId": "k2"})).failures


def test_an_sdk_that_tries_again_stamps_sent_at_anew() -> None:
    memory = Memory()
    made = {"timestamp": "2027-01-15T07:00:00Z"}
    memory.take(event(track("Cart Emptied") | made | {"sentAt": "2027-01-15T07:00:01Z"}))
    again = event(track("Cart Emptied") | made | {"sentAt": "2027-01-15T07:30:00Z"})
    assert dispositions(memory.take(again)) == [("filtered", "duplicate")]
    other = track("Cart Emptied", cart_id="k") | made | {"sentAt": "2027-01-15T07:31:00Z"}
    assert dispositions(memory.take(event(other))) == [("failed", "conflict")]


def test_tenants_do_not_share_ids() -> None:
    memory = Memory()
    memory.take(say("a"))
    assert memory.take(replace(say("a"), tenant="other")).events


def test_write_keys_of_a_tenant_do() -> None:
    memory = Memory()
    memory.take(say("a"))
    assert not memory.take(replace(say("a"), source="another-key", trust="browser")).events


def test_a_forward_keeps_its_events_id_and_is_no_repeat_of_it() -> None:
    memory = Memory()
    original = say("a")
    memory.take(original)
    forward = Derived("f-1", "shop", 0, Ids(), original.fact, "a", b"to", 1, original)
    (first,) = read(give_back(forward), at=NOON + 1).events
    assert memory.take(first).events
    (again,) = read(give_back(forward), at=NOON + 2).events
    out = memory.take(again)
    assert dispositions(out) == [("filtered", "duplicate")]
    assert out.rows[0].derived  # type: ignore[union-attr]


def test_a_derived_record_that_is_given_back_twice() -> None:
    memory = Memory()
    (said,) = read(give_back(Derived("d", "shop", 1, Ids(customer="c"), Custom("x")))).events
    assert memory.take(said, said).events == [said]
    (other,) = read(give_back(Derived("d", "shop", 1, Ids(customer="c"), Custom("y")))).events
    (failure,) = memory.take(other).failures
    assert failure.body  # packed whole, for it came without bytes of its own


def test_mentions_too() -> None:
    memory = Memory()
    (post,) = read(entry({"id": "p", "text": "hello"}, "mention"), lane=LISTEN).mentions
    (other,) = read(entry({"id": "p", "text": "goodbye"}, "mention"), lane=LISTEN).mentions
    assert memory.take(post).mentions == [post]
    assert dispositions(memory.take(post)) == [("filtered", "duplicate")]
    out = memory.take(other)
    assert dispositions(out) == [("failed", "conflict")]
    assert out.failures[0].body == other.raw


def test_a_record_that_breaks_a_rule_is_one_failure() -> None:
    out = Repeats().refuse(say("a"), RuntimeError("boom"))
    assert [failure.reason for failure in out.failures] == ["step_failed"]
    assert dispositions(out) == [("failed", "step_failed")]


def test_nothing_rings() -> None:
    assert Repeats().wake(MemoryRows().begin().shard("repeats", 0), NOON) == Outputs()
    assert Repeats().run(MemoryRows().begin().shard("repeats", 0), []) == Outputs()
