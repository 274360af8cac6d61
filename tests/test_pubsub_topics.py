"""Topics on Pub/Sub, against the real emulator: after `flush` the server has it, and if not, it is an OSError."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from uuid import uuid4

import pytest
from apache_beam import Create, Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from engine_stages import START, entry
from intents import intent
from pubsub_emulator import PROJECT, Channel, Emulator, needed, shared

from schemas.records import Derived, Failure, Identified, Ids
from schemas.single_object import decode
from transforms.batches import Failures
from transforms.hand_over import HandOver
from transforms.sources.keeper import Lost
from transforms.sources.parcels import MOST, Parcel, blocks_of, entries_of
from transforms.topics.pubsub import PubSubTopics

DERIVED = Derived("d1", "shop", START, Ids(email="ana@shop.example"), Identified())


def failure(number: int) -> Failure:
    return Failure(f"f{number}", "shop", "discover", "bad_time", "expected a time", b"{}", START, 0, number)


@pytest.fixture
def topics(pubsub_emulator: Emulator) -> PubSubTopics:
    """Topics on the emulator under a prefix of their own; none of them is made yet."""
    return PubSubTopics(PROJECT, f"test-{uuid4().hex[:12]}")


@pytest.fixture
def channel(topics: PubSubTopics, request: pytest.FixtureRequest) -> Iterator[Channel]:
    """The topic that the test is about, and a subscription of it."""
    with closing(Channel(shared(), f"{topics.prefix}.{request.param}")) as channel:
        yield channel


@pytest.mark.parametrize("channel", ["intents"], indirect=True)
def test_records_leave_in_avro_under_their_stable_ids(topics: PubSubTopics, channel: Channel) -> None:
    intents = [intent(f"{number:032x}-{number:032x}") for number in range(3)]
    publisher = topics.open()
    publisher.publish("intents", intents)
    publisher.flush()
    reply = channel.subscriber.pull(subscription=channel.path, max_messages=10, timeout=5)
    found = {each.message.attributes["id"]: decode(each.message.data) for each in reply.received_messages}
    assert found == {each.key: each for each in intents}


@pytest.mark.parametrize("channel", ["records"], indirect=True)
def test_a_door_publishes_micro_batches(topics: PubSubTopics, channel: Channel) -> None:
    entries = [entry(f"p{number}") for number in range(2 * MOST)]
    publisher = topics.open()
    publisher.publish("records", entries)
    publisher.flush()
    found = channel.left()
    assert len(found) == 2
    assert sorted((each for data in found for each in entries_of(data)), key=entries.index) == entries


@pytest.mark.parametrize("channel", ["records"], indirect=True)
def test_what_the_job_gives_back_goes_to_its_input(topics: PubSubTopics, channel: Channel) -> None:
    publisher = topics.open()
    publisher.publish("feedback", [DERIVED])
    publisher.flush()
    (data,) = channel.left()
    (block,) = blocks_of(Parcel("1", START, data))
    assert [(each.kind, each.trust, each.tenant) for each in block.entries] == [("derived", "own", "shop")]


@pytest.mark.parametrize("channel", ["failures"], indirect=True)
def test_a_bundle_ends_when_the_server_has_its_records(topics: PubSubTopics, channel: Channel) -> None:
    with Pipeline(FnApiRunner(), PipelineOptions([])) as pipeline:
        pipeline | Create([Failures([failure(1), failure(2)])]) | HandOver("failures", topics)
    assert {each.id for each in map(decode, channel.left()) if isinstance(each, Failure)} == {"f1", "f2"}


@pytest.mark.parametrize("channel", ["failures"], indirect=True)
def test_many_threads_may_publish_at_once(topics: PubSubTopics, channel: Channel) -> None:
    publisher = topics.open()

    def publish(worker: int) -> None:
        for each in range(20):
            publisher.publish("failures", [failure(100 * worker + each)])
            publisher.flush()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(publish, range(4)))
    found: set[str] = set()
    while more := channel.left():
        found |= {each.id for each in map(decode, more) if isinstance(each, Failure)}
    assert found == {f"f{100 * worker + each}" for worker in range(4) for each in range(20)}


def test_a_topic_that_is_not_there_is_one_clear_sentence(topics: PubSubTopics) -> None:
    publisher = topics.open()
    publisher.publish("failures", [failure(1)])
    with pytest.raises(Lost, match=rf"{topics.prefix}\.failures: expected it to exist.* create it"):
        publisher.flush()
    publisher.flush()


@pytest.mark.parametrize("channel", ["failures"], indirect=True)
def test_a_failure_is_told_to_every_thread_that_published_meanwhile_and_to_no_later_one(
    topics: PubSubTopics, channel: Channel
) -> None:
    publisher = topics.open()
    with ThreadPoolExecutor(1) as other:
        other.submit(publisher.publish, "failures", [failure(1)]).result()
        publisher.publish("rows", [failure(2)])
        with pytest.raises(Lost):
            publisher.flush()
        with pytest.raises(Lost):
            other.submit(publisher.flush).result()
        other.submit(publisher.publish, "failures", [failure(3)]).result()
        other.submit(publisher.flush).result()


@pytest.mark.slow
def test_a_server_that_is_gone_is_an_error_and_one_that_comes_back_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    needed()
    emulator = Emulator()
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.address)
    publisher = PubSubTopics(PROJECT, "test", patience=1.0).open()
    emulator.kill()
    publisher.publish("failures", [failure(1)])
    with pytest.raises(OSError, match=r"test\.failures: not published"):
        publisher.flush()
    again = Emulator(emulator.port)
    with closing(Channel(again, "test.failures")) as channel:
        publisher.publish("failures", [failure(1)])
        publisher.flush()
        assert len(channel.left()) == 1
    again.kill()


def test_topics_are_values_with_known_names() -> None:
    topics = PubSubTopics("shop", "rapport")
    assert pickle.loads(pickle.dumps(topics)) == topics
    assert len({topics, PubSubTopics("shop", "rapport")}) == 1
    assert topics.path("feedback") == "projects/shop/topics/rapport.records"
    with pytest.raises(ValueError, match="expected one of records, intents"):
        topics.path("nonsense")
