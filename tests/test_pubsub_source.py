"""Pub/Sub as a source, against the real emulator: nothing is lost, and what comes again comes as the same record."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from engine_stages import entry
from pubsub_emulator import PROJECT, Channel, needed, shared

from schemas.codec import pack_many
from schemas.records import Block, Entry
from transforms.batches import Pull
from transforms.sources.keeper import book_of
from transforms.sources.pubsub import PubSubReader, PubSubSource
from transforms.sources.source import Acknowledged, Parted
from transforms.sources.unbounded import AsUnbounded

PATIENCE = 20.0


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Channel]:
    needed()
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", shared().address)
    with closing(Channel(shared())) as channel:
        yield channel


def source_of(channel: Channel, **settings: float) -> PubSubSource:
    return PubSubSource(PROJECT, channel.name, **settings)  # type: ignore[arg-type]


def until(true: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait for something that happens in another thread."""
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, "waited in vain"
        signal.sigtimedwait((), 0.02)


def read(reader: PubSubReader, count: int) -> list[Block]:
    """The blocks of at least `count` records."""
    blocks: list[Block] = []

    def enough() -> bool:
        pull = reader.poll(1_000)
        blocks.extend(pull.items if isinstance(pull, Pull) else [])
        return sum(len(block.entries) for block in blocks) >= count

    until(enough)
    return blocks


def bodies(blocks: list[Block]) -> list[bytes]:
    return sorted(each.body for block in blocks for each in block.entries)


def entries(*names: str) -> list[Entry]:
    return [entry(name) for name in names]


def messages(count: int, size: int = 10) -> list[bytes]:
    return [pack_many(entries(*(f"p{number * size + each:05d}" for each in range(size)))) for number in range(count)]


def told(source: PubSubSource, position: bytes) -> None:
    """A checkpoint is finalized, and the server knows."""
    source.acknowledge(position)
    book = book_of(position[:16])
    assert book is not None
    until(lambda: book.out == 0 and not book.due(0, renew=False).settled)


def test_it_is_what_the_firehose_asks_for() -> None:
    source = PubSubSource("shop", "records", streams=3)
    assert isinstance(source, Parted)
    assert isinstance(source, Acknowledged)
    parts = [part.source for part in AsUnbounded(source).split(20)]
    assert len(set(parts)) == 3
    assert [part.streams for part in parts] == [1, 1, 1]


@pytest.mark.parametrize(("name", "wrong"), [("lease", 0), ("lease", 601), ("streams", 0)])
def test_a_setting_that_pub_sub_would_refuse_is_refused_at_once(name: str, wrong: int) -> None:
    with pytest.raises(ValueError, match=name):
        PubSubSource("shop", "records", **{name: wrong})


def test_every_record_comes_once_and_is_acknowledged_once_it_is_durable(channel: Channel) -> None:
    source = source_of(channel)
    channel.publish(*messages(30))
    with closing(source.open(None)) as reader:
        blocks = read(reader, 300)
        assert bodies(blocks) == sorted(f"p{number:05d} click".encode() for number in range(300))
        assert reader.poll(10) is None
        told(source, reader.position())
    assert channel.left() == []


def test_one_pull_is_about_as_large_as_asked_for_and_in_the_order_of_time(channel: Channel) -> None:
    channel.publish(*messages(20))
    with closing(source_of(channel).open(None)) as reader:
        until(lambda: len(reader._puller._waiting) == 20)
        pulls = [reader.poll(45), reader.poll(1_000)]
        counts = [sum(len(block.entries) for block in pull.items) for pull in pulls if pull]
        assert counts == [50, 150]
        times = [block.received_at for pull in pulls if pull for block in pull.items]
        assert times == sorted(times)


def test_what_was_never_acknowledged_comes_again_as_the_same_records(channel: Channel) -> None:
    source = source_of(channel, lease=1, hold=1.0)
    channel.publish(*messages(5))
    with closing(source.open(None)) as reader:
        first, again = read(reader, 50), read(reader, 50)
    assert sorted(map(repr, again)) == sorted(map(repr, first))


def test_a_reader_goes_on_at_its_position_and_what_lay_behind_comes_again_at_once(channel: Channel) -> None:
    source = source_of(channel)
    channel.publish(*messages(2))
    with closing(source.open(None)) as first:
        read(first, 20)
        held = first.position()
        channel.publish(*messages(4)[2:])
        beyond = read(first, 20)
        with closing(source.open(held)) as second:
            assert bodies(read(second, 20)) == bodies(beyond)
            told(source, second.position())
        told(source, held)
    assert channel.left() == []


def test_finalization_may_come_late_out_of_order_again_and_elsewhere(channel: Channel) -> None:
    source = source_of(channel)
    positions = []
    with closing(source.open(None)) as reader:
        for message in messages(4):
            channel.publish(message)
            read(reader, 10)
            positions.append(reader.position())
        for position in (positions[2], positions[0], positions[2], b"x" * 16 + positions[3][16:]):
            source.acknowledge(position)
        until(lambda: reader._leases.out == 1)
    source.acknowledge(positions[3])  # the reader is closed, its leases are not gone
    until(lambda: reader._leases.idle)
    assert channel.left() == []


def test_leases_are_renewed_while_no_checkpoint_stands(channel: Channel) -> None:
    channel.publish(*messages(1))
    with closing(source_of(channel, lease=1, hold=60.0).open(None)) as reader:
        read(reader, 10)
        assert channel.left(3.0) == []
        told(source_of(channel), reader.position())


def test_what_waits_is_given_back_when_the_reader_closes(channel: Channel) -> None:
    channel.publish(*messages(3))
    with closing(source_of(channel).open(None)) as reader:
        until(lambda: len(reader._puller._waiting) == 3)
    assert len(channel.left(5.0)) == 3
