"""Pub/Sub as a source, against the real emulator: nothing is lost, and what comes again comes as the same record."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Event

import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from engine_runs import collected
from engine_stages import entry
from google.api_core import exceptions
from pubsub_emulator import PROJECT, Channel, Emulator, Ending, needed

from schemas.codec import pack_many
from schemas.records import Block, Entry
from transforms.batches import Pull
from transforms.sources.firehose import Firehose
from transforms.sources.keeper import Lost, book_of, sentence
from transforms.sources.pubsub import PubSubReader, PubSubSource
from transforms.sources.source import Acknowledged, Parted
from transforms.sources.unbounded import AsUnbounded

PATIENCE = 20.0


@pytest.fixture
def channel(pubsub_emulator: Emulator) -> Iterator[Channel]:
    with closing(Channel(pubsub_emulator)) as channel:
        yield channel


def source_of(channel: Channel, **settings: float) -> PubSubSource:
    """Its leases last a second, so that what was not acknowledged is soon seen again."""
    return PubSubSource(PROJECT, channel.name, **{"lease": 1, **settings})  # type: ignore[arg-type]


def let_pass(seconds: float) -> None:
    """Real time, for what happens on the server."""
    Event().wait(seconds)


def until(true: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait for something that happens in another thread."""
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, "waited in vain"
        let_pass(0.02)


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
    book = book_of(position[1:17])
    assert book is not None
    until(lambda: book.out == 0 and not book.due(0, renew=False).settled)


def assert_acknowledged(channel: Channel) -> None:
    """Nothing comes again although the leases have run out."""
    assert channel.left(2.0) == []


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


@pytest.mark.slow
def test_every_record_comes_once_and_is_acknowledged_once_it_is_durable(channel: Channel) -> None:
    source = source_of(channel)
    channel.publish(*messages(30))
    with closing(source.open(None)) as reader:
        blocks = read(reader, 300)
        assert bodies(blocks) == sorted(f"p{number:05d} click".encode() for number in range(300))
        assert reader.poll(10) is None
        told(source, reader.position())
    assert_acknowledged(channel)


def test_one_pull_is_about_as_large_as_asked_for_and_in_the_order_of_time(channel: Channel) -> None:
    channel.publish(*messages(20))
    with closing(source_of(channel).open(None)) as reader:
        until(lambda: len(reader._puller._waiting) == 20)
        pulls = [reader.poll(45), reader.poll(1_000)]
        counts = [sum(len(block.entries) for block in pull.items) for pull in pulls if pull]
        assert counts == [50, 150]
        times = [block.received_at for pull in pulls if pull for block in pull.items]
        assert times == sorted(times)


def test_large_messages_come_in_answers_that_the_client_takes(channel: Channel) -> None:
    big = pack_many([Entry("track", "shop", "server", "test", 0, b"x" * 250_000)])
    channel.publish(*messages(30), *[big] * 40)
    with closing(source_of(channel).open(None)) as reader:
        assert len(read(reader, 340)) == 70


def test_what_was_never_acknowledged_comes_again_as_the_same_records(channel: Channel) -> None:
    source = source_of(channel, lease=1, hold=1.0)
    channel.publish(*messages(5))
    with closing(source.open(None)) as reader:
        first, again = read(reader, 50), read(reader, 50)
    assert sorted(map(repr, again)) == sorted(map(repr, first))


@pytest.mark.slow
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
    assert_acknowledged(channel)


@pytest.mark.slow
def test_finalization_may_come_late_out_of_order_again_and_elsewhere(channel: Channel) -> None:
    source = source_of(channel)
    positions = []
    with closing(source.open(None)) as reader:
        for message in messages(4):
            channel.publish(message)
            read(reader, 10)
            positions.append(reader.position())
        for position in (positions[2], positions[0], positions[2], positions[3][:1] + b"x" * 16 + positions[3][17:]):
            source.acknowledge(position)
        until(lambda: reader._leases.out == 1)
    source.acknowledge(positions[3])  # the reader is closed, its leases are not gone
    until(lambda: reader._leases.idle)
    assert_acknowledged(channel)


@pytest.mark.slow
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


def test_what_cannot_be_read_is_an_unreadable_record_and_the_rest_goes_on(channel: Channel) -> None:
    source = source_of(channel)
    channel.publish(b"{oops", *messages(1))
    with closing(source.open(None)) as reader:
        kinds = [each.kind for block in read(reader, 11) for each in block.entries]
        assert sorted(kinds) == ["track"] * 10 + ["unreadable"]
        told(source, reader.position())


def test_a_tick_is_acknowledged_and_no_record(channel: Channel) -> None:
    source = source_of(channel)
    channel.publisher.publish(channel.topic, b"", tick="1").result()
    channel.publish(*messages(1))
    with closing(source.open(None)) as reader:
        assert len(bodies(read(reader, 10))) == 10
        told(source, reader.position())


@pytest.mark.slow
def test_beam_reads_it_and_what_its_bundles_hold_is_acknowledged(channel: Channel) -> None:
    source = Ending(source_of(channel, hold=4.0), 300)
    channel.publish(*messages(30))
    pulls = collected(lambda pipeline: {"pulls": pipeline | Firehose(source)}, FnApiRunner())["pulls"]
    assert bodies([block for pull in pulls for block in pull.items]) == [b"p%05d click" % each for each in range(300)]
    assert channel.left(6.0) == []


def test_several_streams_share_a_subscription_and_lose_nothing(channel: Channel) -> None:
    channel.publish(*messages(40))
    readers = [part.open(None) for part in source_of(channel, streams=3).parts()]
    found: list[Block] = []

    def all_read() -> bool:
        for reader in readers:
            if isinstance(reader, PubSubReader) and (pull := reader.poll(100)):
                found.extend(pull.items)
        return sum(len(block.entries) for block in found) >= 400

    until(all_read)
    for reader in readers:
        reader.close()
    assert len(set(bodies(found))) == 400


@pytest.mark.slow
def test_time_follows_the_clock_when_idle_and_stops_at_what_waits(channel: Channel) -> None:
    with closing(source_of(channel, lateness=0.3, lease=1).open(None)) as reader:
        until(lambda: reader.watermark() > 0)
        before = reader.watermark()
        assert time.time_ns() // 1_000 - before > 300_000
        until(lambda: reader.watermark() > before)
        channel.publish(*messages(1))
        until(lambda: bool(reader._puller._waiting))
        stops = reader._puller._waiting[0][0] - 1
        until(lambda: reader.watermark() == stops)
        (block,) = read(reader, 10)
        assert block.received_at == stops + 1
        until(lambda: reader.watermark() > stops)
        assert reader.late_to_log == 0


@pytest.mark.slow
def test_time_stands_while_there_is_no_room_to_pull(channel: Channel) -> None:
    source = source_of(channel, lateness=0.3, out=1)
    *taken, third = messages(3)
    with closing(source.open(None)) as reader:
        until(lambda: reader.watermark() > 0)
        for each in taken:  # the second one comes by the pull that is under way when the room is full
            channel.publish(each)
            read(reader, 10)
        channel.publish(third)
        let_pass(2.5)
        told(source, reader.position())
        read(reader, 10)
        assert reader.late_to_log == 0


def test_a_record_that_comes_too_late_is_counted_and_received_behind_the_watermark(channel: Channel) -> None:
    channel.publish(*messages(1))
    let_pass(1.0)
    late = source_of(channel, lateness=0.1, lease=1)
    reached = (time.time_ns() - 500_000_000) // 1_000
    with closing(late.open(b"\x01" + b"x" * 16 + (0).to_bytes(8) + reached.to_bytes(8))) as reader:
        (block,) = read(reader, 10)
        assert block.received_at > reached
        assert reader.late_to_log == 10


def test_a_checkpoint_carries_time_on_to_the_next_reader(channel: Channel) -> None:
    source = AsUnbounded(source_of(channel, lateness=0.1, lease=1))
    coder = source.get_checkpoint_mark_coder()
    channel.publish(*messages(1))
    first = source.create_reader(None, None)
    until(first.advance)
    until(lambda: first.advance() or first._reader.watermark() > 0)
    mark = coder.decode(coder.encode(first.get_checkpoint_mark()))
    reached = first.get_watermark()
    mark.finalize_checkpoint()
    first.close()
    with closing(source.create_reader(None, mark)) as second:
        assert second.get_watermark() >= reached.micros // 1_000_000


def test_a_subscription_that_is_not_there_is_one_clear_sentence(channel: Channel) -> None:
    with (
        closing(PubSubSource(PROJECT, "nobody").open(None)) as reader,
        pytest.raises(Lost, match=r"subscriptions/nobody: expected it to exist.* create it"),
    ):
        until(lambda: reader.poll(10) is not None)


def test_a_subscription_that_is_deleted_meanwhile_is_one_clear_sentence(channel: Channel) -> None:
    channel.publish(*messages(1))
    with closing(source_of(channel).open(None)) as reader:
        read(reader, 10)
        channel.subscriber.delete_subscription(subscription=channel.path)
        with pytest.raises(Lost, match="create it"):
            until(lambda: reader.poll(10) is not None)


def test_whoever_may_not_read_is_told_which_role_is_missing() -> None:
    said = sentence("projects/p/subscriptions/s", exceptions.PermissionDenied("no"))
    assert said == "projects/p/subscriptions/s: this account may not use it; grant it roles/pubsub.subscriber"
    assert sentence("s", exceptions.ServiceUnavailable("later")) == ""


def test_without_credentials_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/key.json")
    with pytest.raises(Lost, match=r"expected Google credentials.*gcloud auth application-default login"):
        PubSubSource("shop", "records").open(None)


@pytest.mark.slow
def test_while_the_server_is_frozen_time_stands_and_afterwards_everything_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needed()
    emulator = Emulator()
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.address)
    with closing(Channel(emulator)) as channel:
        source = source_of(channel, lateness=0.5, lease=2)
        with closing(source.open(None)) as reader:
            until(lambda: reader.watermark() > 0)
            emulator.send(signal.SIGSTOP)
            let_pass(1.5)  # an answer may have been on its way
            stood = reader.watermark()
            futures = [channel.publisher.publish(channel.topic, each) for each in messages(3)]
            let_pass(4.0)
            assert reader.watermark() == stood
            assert reader.poll(10) is None
            emulator.send(signal.SIGCONT)
            assert len(read(reader, 30)) == 3
            assert all(future.result() for future in futures)
            assert reader.late_to_log == 0
            told(source, reader.position())
    emulator.kill()


@pytest.mark.slow
def test_a_server_killed_in_mid_stream_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    needed()
    emulator = Emulator()
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.address)
    with closing(Channel(emulator)) as channel:
        source = source_of(channel, lateness=0.5, lease=2)
        channel.publish(*messages(2))
        with closing(source.open(None)) as reader:
            read(reader, 20)
            until(lambda: reader.watermark() > 0)
            emulator.kill()
            source.acknowledge(reader.position())  # cannot be told, and is no error
            let_pass(1.5)
            stood = reader.watermark()
            let_pass(1.0)
            assert (reader.poll(10), reader.watermark()) == (None, stood)
            again = Emulator(emulator.port)  # it has forgotten its subscriptions
            with pytest.raises(Lost, match="create it"):
                until(lambda: reader.poll(10) is not None)
            kept = reader.position()
        channel.make()
        channel.publish(*messages(2))
        with closing(source.open(kept)) as reader:
            assert reader.watermark() >= stood
            assert len(read(reader, 20)) == 2
    again.kill()
