"""What is Kafka's own: time after a silence, records that were deleted, bytes of others, offsets as others see them."""

from __future__ import annotations

import logging

import pytest
from sources import KafkaRig, eventually, names, read, read_all

from schemas.codec import pack
from schemas.records import SECOND, Derived, Entry, Ids, Viewed
from schemas.single_object import encode
from transforms.logic.discover import PERSON, discover
from transforms.sources.kafka import KafkaSource
from transforms.sources.offsets import committed
from transforms.sources.partition import SILENCE, Place, Time, pack_places, unpack_places
from transforms.topics import TopicUnfit

GIVEN_BACK = Derived("d1", "shop", 1, Ids(cookie="c"), Viewed("page"))


@pytest.fixture
def rig(kafka_mock: str) -> KafkaRig:
    return KafkaRig(kafka_mock)


def test_time_ends_just_before_the_newest_stamp_because_another_record_may_share_it() -> None:
    assert Time().after(5_000, SECOND) == Time(5_000, 4_999, 0)
    assert Time(5_000, 4_999).after(3_000, SECOND) == Time(5_000, 4_999)


def test_after_a_silence_time_waits_for_those_who_kept_records_back() -> None:
    start = 100 * SECOND
    silent = Time(start, start - 1)
    woken = silent.after(start + SILENCE + 1, 60 * SECOND)
    assert woken.watermark == start - 1
    waited = woken
    while waited.newest < woken.newest + 60 * SECOND:
        assert waited.watermark == start - 1
        waited = waited.after(waited.newest + SECOND, 60 * SECOND)
    assert waited.watermark == waited.newest - 1


def test_a_position_keeps_all_of_it() -> None:
    places = [Place(0, 7, Time(5, 4, 3), 9), Place(3)]
    assert unpack_places(pack_places(places)) == places


def test_what_the_job_gave_back_comes_as_its_entry(rig: KafkaRig) -> None:
    rig.put(encode(GIVEN_BACK))
    found = read(rig.source().open(None), 1)[0].entries[0]
    assert found == Entry("derived", "shop", "own", "kafka", 0, pack(GIVEN_BACK))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{}", "unreadable"),
        (b"\xc3\x01" + bytes(20), "unknown_version"),
        (b"\x01\xff\xff", "unreadable"),
        (encode(Entry("track", "shop", "own", "x", 0, b"")), "unreadable"),
    ],
)
def test_bytes_of_others_are_one_failure_and_harm_nobody(rig: KafkaRig, value: bytes, reason: str) -> None:
    rig.append(["before"])
    rig.put(value)
    rig.append(["after"])
    blocks = read(rig.source().open(None), 3)
    assert [blocks[0].entries[0].body, blocks[-1].entries[-1].body] == [b"before", b"after"]
    failures = discover(blocks, PERSON).failures
    assert reason in [failure.reason for failure in failures if failure.body == value]


def test_offsets_are_committed_by_the_maximum_for_others_to_see(rig: KafkaRig) -> None:
    source = rig.source(partition=0, group="watched")
    rig.append([f"{number}" for number in range(6)])
    reader = source.open(None)
    early, late = (read(reader, each, limit=each) and reader.position() for each in (1, 5))
    assert committed(source.servers, "watched", rig.topic, 4) == [0, 0, 0, 0]
    source.acknowledge(late)
    source.acknowledge(early)
    assert committed(source.servers, "watched", rig.topic, 4) == [unpack_places(late)[0].offset, 0, 0, 0]


def test_a_position_behind_the_end_means_that_the_topic_is_another_one(rig: KafkaRig) -> None:
    rig.append(["a"])
    with pytest.raises(TopicUnfit, match="made anew"):
        rig.source(partition=0).open(pack_places([Place(0, 1_000)]))


def test_a_position_of_other_partitions_is_refused(rig: KafkaRig) -> None:
    rig.append(["a"])
    with pytest.raises(TopicUnfit, match="number of partitions is fixed"):
        rig.source().open(pack_places([Place(0), Place(1)]))


def test_a_partition_that_brings_nothing_yet_holds_up_time_but_nobody_else(kafka_mock: str) -> None:
    rig = KafkaRig(kafka_mock)
    rig.append([f"{number}" for number in range(20)], part=2)
    reader = rig.source().open(None)
    read(reader, 20)
    before = reader.watermark()
    rig.append(["more"], part=2)
    read(reader, 1)
    assert reader.watermark() == before


def test_a_topic_that_is_not_there_is_named(kafka_mock: str) -> None:
    with pytest.raises(TopicUnfit, match="nowhere"):
        KafkaSource(kafka_mock, "nowhere.records", 7).open(pack_places([Place(7, 5)]))


@pytest.mark.slow
def test_records_that_were_deleted_unread_are_reported_loudly(
    kafka_broker: str, caplog: pytest.LogCaptureFixture
) -> None:
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    from transforms.topics.client import ensure

    rig = KafkaRig(kafka_broker, lambda topic: ensure(kafka_broker, topic.rpartition(".")[0]))
    rig.append([f"{number}" for number in range(10)])
    source = rig.source(partition=0)
    reader = source.open(None)
    read(reader, 3, limit=3)
    place = reader.position()
    admin, cut = AdminClient({"bootstrap.servers": kafka_broker}), TopicPartition(rig.topic, 0, 8)
    admin.delete_records([cut])[cut].result(10)
    with caplog.at_level(logging.ERROR, "rapport.kafka"):
        eventually(lambda: KafkaSource(kafka_broker, rig.topic, 0, "other").open(place).gap)
    assert "were deleted before they were read" in caplog.text
    assert names(read(KafkaSource(kafka_broker, rig.topic, 0, "third").open(place), 1))[-1] == "9"


@pytest.mark.slow
def test_the_broker_stamps_and_a_topic_that_does_not_is_refused(kafka_broker: str) -> None:
    from confluent_kafka.admin import AdminClient, NewTopic

    from transforms.topics.client import ensure

    admin = AdminClient({"bootstrap.servers": kafka_broker})
    admin.create_topics([NewTopic("unstamped.records", 1, 1)])["unstamped.records"].result(10)
    with pytest.raises(TopicUnfit, match="LogAppendTime"):
        ensure(kafka_broker, "unstamped")


def test_all_of_a_topic_that_ends(rig: KafkaRig) -> None:
    for part in range(4):
        rig.append(["x"] * 3, part)
    reader = rig.source(end=True).open(None)
    assert names(read_all(reader)) == ["x"] * 12
    assert reader.watermark() > 0
