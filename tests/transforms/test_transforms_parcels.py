"""What one Pub/Sub message holds, and the place that it gives its records."""

from __future__ import annotations

import pytest
from engine_stages import START, entry

from schemas.codec import pack, pack_many
from schemas.records import SECOND, Derived, Entry, Identified, Ids
from transforms.logic.discover import PERSON, discover
from transforms.logic.repeats import Repeats
from transforms.sources.parcels import LARGEST, MOST, Parcel, blocks_of, entries_of, given_back, messages_of, place_of
from transforms.stores.memory import MemoryRows


def test_entries_come_back_as_they_were_sent_in_few_messages() -> None:
    entries = [entry(f"p{number}") for number in range(2 * MOST + 1)]
    messages = list(messages_of(entries))
    assert [len(entries_of(message)) for message in messages] == [MOST, MOST, 1]
    assert [each for message in messages for each in entries_of(message)] == entries


def test_a_message_ends_before_it_grows_too_large() -> None:
    big = Entry("track", "shop", "server", "test", 0, b"x" * (LARGEST // 3))
    assert [len(entries_of(message)) for message in messages_of([big] * 7)] == [3, 3, 1]
    huge = Entry("track", "shop", "server", "test", 0, b"x" * (2 * LARGEST))
    assert [len(entries_of(message)) for message in messages_of([huge, huge])] == [1, 1]


def test_a_message_that_comes_again_has_the_same_place() -> None:
    data = pack_many([entry("a"), entry("b")])
    (first,), (again,) = (list(blocks_of(Parcel("17", START, data), after)) for after in (0, START + SECOND))
    assert (first.partition, first.first, first.entries) == (again.partition, again.first, again.entries)
    assert (first.received_at, again.received_at) == (START, START + SECOND)


def test_places_are_apart_and_in_the_order_of_time() -> None:
    places = {place_of(str(number), START) for number in range(10_000)}
    assert len(places) == 10_000
    assert max(sequence for _, sequence in places) + MOST <= place_of("0", START + 1_000)[1] + (1 << 21)
    assert all(0 <= partition < 1 << 31 and 0 <= sequence < 1 << 62 for partition, sequence in places)
    assert place_of("zz", START)[1] < place_of("a", START + 1_000)[1]


def test_a_message_with_more_records_than_a_block_can_number_is_several_blocks() -> None:
    blocks = list(blocks_of(Parcel("1", START, pack_many([entry("a")] * (MOST + 2)))))
    assert [len(block.entries) for block in blocks] == [MOST, 2]
    assert len({(block.partition, block.first) for block in blocks}) == 2


def test_an_empty_message_is_a_tick_and_holds_nothing() -> None:
    assert list(blocks_of(Parcel("1", START, b""))) == []


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"\x00",
        b"\x01",
        b"\x02\x90",
        pack(entry("a")),
        pack_many([entry("a")])[:-1],
        pack_many([entry("a")]) + b"x",
        b"\x01" + b"\x91" * 100_000,
        b"\x01\xdd\xff\xff\xff\xff",
        pack_many(["text", 5, None]),
        b"\x01\x91" + pack(entry("a"))[1:].replace(b"shop", b"\xff\xfe\xfd\xfc"),
    ],
)
def test_a_message_that_cannot_be_read_is_an_unreadable_entry_and_ends_in_a_failure(data: bytes) -> None:
    blocks = list(blocks_of(Parcel("1", START, data)))
    assert [each.kind for block in blocks for each in block.entries] == ["unreadable"]
    assert blocks[0].entries[0].body == data
    assert [failure.reason for failure in discover(blocks, PERSON).failures] == ["unreadable"]


def test_a_message_that_comes_again_much_later_changes_nothing() -> None:
    body = b'{"type":"track","event":"Product Viewed","userId":"ana","messageId":"m%d","properties":{"product_id":"p"}}'
    data = pack_many([Entry("track", "shop", "server", "test", 0, body % number) for number in range(3)])
    store, repeats = MemoryRows(), Repeats()
    found = []
    for after in (0, START + 600 * SECOND):
        transaction = store.begin()
        events = discover(blocks_of(Parcel("1", START, data), after), PERSON).events
        found.append(repeats.run(transaction.shard("repeats", 0), events))
        transaction.commit(START + 600 * SECOND, b"")
    assert [len(out.events) for out in found] == [3, 0]


def test_what_the_job_gives_back_is_read_as_its_own() -> None:
    derived = Derived("d1", "shop", START, Ids(email="ana@shop.example"), Identified())
    (message,) = messages_of(given_back([derived]))
    (event,) = discover(blocks_of(Parcel("1", START + SECOND, message)), PERSON).events
    assert (event.id, event.derived, event.received_at) == ("d1", True, START + SECOND)
