"""What every source promises, whatever carries it: the embedded journal, Kafka's protocol, a real broker, Pub/Sub.

Pub/Sub keeps nothing that is settled and has no order: what only a log can promise is asked of `log`s.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sources import JournalRig, KafkaRig, PubSubRig, Rig, eventually, names, places, read, read_all

from transforms.sources.source import Acknowledged, Parted
from transforms.topics.client import topic_of

LOGS = ["journal", "kafka-mock", pytest.param("kafka", marks=pytest.mark.slow)]


@pytest.fixture(params=[*LOGS, pytest.param("pubsub", marks=pytest.mark.slow)])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    made = _made(request, tmp_path)
    yield made
    made.close()


@pytest.fixture(params=LOGS)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    made = _made(request, tmp_path)
    yield made
    made.close()


def _made(request: pytest.FixtureRequest, folder: Path) -> Rig:
    if request.param == "journal":
        return JournalRig(folder)
    if request.param == "kafka-mock":
        return KafkaRig(request.getfixturevalue("kafka_mock"))
    if request.param == "pubsub":
        return PubSubRig(request.getfixturevalue("pubsub_emulator"))
    servers = request.getfixturevalue("kafka_broker")
    return KafkaRig(servers, lambda topic: _ensure(servers, topic))


def _ensure(servers: str, topic: str) -> None:
    from transforms.topics.client import ensure

    prefix = topic.rpartition(".")[0]
    assert topic_of(prefix, "feedback") in ensure(servers, prefix)


def test_every_record_comes_once_and_in_its_parts_order(rig: Rig) -> None:
    for part in range(rig.parts):
        rig.append([f"{part}-{number}" for number in range(10)], part)
        rig.append([f"{part}-{number}" for number in range(10, 13)], part)
    found = names(read(rig.source().open(None), 13 * rig.parts))
    for part in range(rig.parts):
        assert [name for name in found if name.startswith(f"{part}-")] == [f"{part}-{number}" for number in range(13)]
    assert len(found) == 13 * rig.parts


def test_reading_again_from_any_position_gives_the_same_records_at_the_same_places(log: Rig) -> None:
    for part in range(log.parts):
        for number in range(6):
            log.append([f"{part}-{number}-{each}" for each in range(3)], part)
    source = log.source(end=True)
    first, cuts, blocks = source.open(None), [source.open(None).position()], []
    while not first.done():
        pull = first.poll(4)
        if pull is not None:
            blocks.append(pull.items)
            cuts.append(first.position())
    assert sum(map(len, map(names, blocks))) == 18 * log.parts
    for number, cut in [*enumerate(cuts[:-1])][:: max(1, len(cuts) // 5)]:
        again = read_all(source.open(cut))
        assert places(again) == places([block for some in blocks[number:] for block in some])


def test_asking_never_waits(rig: Rig) -> None:
    reader = rig.source().open(None)
    eventually(lambda: reader.poll(10) is None)
    began = time.monotonic()
    for _ in range(20):
        assert reader.poll(10) is None
    assert time.monotonic() - began < 1.0


def test_what_comes_is_later_than_the_watermark_and_time_never_goes_back(rig: Rig) -> None:
    reader, before, came = rig.source().open(None), 0, 0
    for number in range(40):
        rig.append([f"{number}"], number % rig.parts)
        pull = reader.poll(3)
        for block in pull.items if pull is not None else ():
            assert block.received_at > before
            came += 1
        assert reader.watermark() >= before
        before = reader.watermark()
    assert came or read(reader, 1)


def test_time_passes_while_nobody_says_anything(rig: Rig) -> None:
    rig.append(["a"])
    reader = rig.source().open(None)
    read(reader, 1)
    for _ in range(3):
        before = reader.watermark()

        def passed(before: int = before) -> bool:
            rig.tick()
            return reader.poll(10) is None and reader.watermark() > before

        eventually(passed)


def test_time_stands_while_nothing_is_appended(log: Rig) -> None:
    log.append(["a"])
    log.tick()
    reader = log.source().open(None)
    read(reader, 1)
    stood = -1
    while stood != (stood := reader.watermark()):
        eventually(lambda: reader.poll(10) is None)
    for _ in range(50):
        assert reader.poll(10) is None
        assert reader.watermark() == stood


def test_a_source_that_ends_is_done_where_it_ended_when_it_was_opened(log: Rig) -> None:
    log.append(["a", "b"])
    reader = log.source(end=True).open(None)
    log.append(["later"])
    assert names(read_all(reader)) == ["a", "b"]
    assert reader.poll(10) is None
    assert not log.source().open(None).done()


def test_after_all_that_there_was_a_live_reader_goes_on(log: Rig) -> None:
    log.append(["a", "b"])
    ended = log.source(end=True).open(None)
    read_all(ended)
    log.append(["c"])
    assert names(read(log.source().open(ended.position()), 1)) == ["c"]
    assert names(read_all(log.source(end=True).open(None))) == ["a", "b", "c"]


def test_a_reader_that_was_closed_is_followed_by_one_that_goes_on(rig: Rig) -> None:
    rig.append([f"{number}" for number in range(50)])
    source, found = rig.source(), []
    reader = source.open(None)
    while len(found) < 50:
        found += names(read(reader, 1, limit=7))
        position = reader.position()
        reader.close()
        reader = source.open(position)
    assert found == [f"{number}" for number in range(50)]


def test_two_readers_do_not_disturb_each_other(log: Rig) -> None:
    log.append([f"{number}" for number in range(20)])
    one, two = log.source().open(None), log.source().open(None)
    first, second = [], []
    while len(first) < 20 or len(second) < 20:
        first += names(read(one, 1, limit=10)) if len(first) < 20 else []
        second += names(read(two, 1, limit=10)) if len(second) < 20 else []
    assert first == second == [f"{number}" for number in range(20)]


def test_a_source_travels_to_another_process(rig: Rig) -> None:
    rig.append(["a"])
    assert names(read(pickle.loads(pickle.dumps(rig.source())).open(None), 1)) == ["a"]


def test_a_position_of_another_version_is_refused(rig: Rig) -> None:
    with pytest.raises(ValueError, match="migrate first"):
        rig.source().open(b"\x09nowhere")


def test_parts_are_the_whole(log: Rig) -> None:
    source = log.source(end=True)
    if not isinstance(source, Parted):
        pytest.skip("this source has no parts")
    for part in range(log.parts):
        log.append([f"{part}-{number}" for number in range(5)], part)
    parts = [read_all(part.open(None)) for part in source.parts()]
    assert places([block for part in parts for block in part]) == places(read_all(log.source(end=True).open(None)))
    assert [sorted(names(part)) for part in parts] == [[f"{part}-{n}" for n in range(5)] for part in range(log.parts)]


def test_acknowledging_late_again_and_out_of_order_is_harmless(log: Rig) -> None:
    source = log.source()
    if not isinstance(source, Acknowledged):
        pytest.skip("this source has no server to tell")
    log.append([f"{number}" for number in range(9)])
    reader, cuts = source.open(None), []
    for _ in range(3):
        read(reader, 1, limit=1)
        cuts.append(reader.position())
    for position in (cuts[1], cuts[2], cuts[0], cuts[2]):
        source.acknowledge(position)
    assert names(read(log.source().open(cuts[0]), 8)) == [f"{number}" for number in range(1, 9)]
