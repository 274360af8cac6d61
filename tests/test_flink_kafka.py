"""The whole graph on a real Flink between topics of a real Kafka broker, four partitions each.

Skipped by name where Java or Maven is missing. What a kill costs in seconds is printed (`-s`).
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import pytest
import worlds
from flink_flow import now
from flink_kafka import Doors, KafkaLane, Sender
from flink_lane import PATIENCE, expect_equal, flink, kill, plain, replayed, workers
from flink_overtaken import COOKIES, CUSTOMERS, SEEN, SIGNED, Overtaking, known, seen, signed_up
from told import Blocks

from deploy.flink.cluster import Cluster
from deploy.flink.install import missing
from deploy.flink.rest import wait
from schemas.codec import unpack
from schemas.records import HOUR, MINUTE, SECOND, Block, Message, ReceiptRow
from transforms.topics.folder import KINDS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(missing()), reason=f"Flink's compatibility lane: {missing()}"),
]

FEED = 30.0
LENGTH = 9 * HOUR


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with flink(tmp_path_factory.mktemp("flink")) as cluster:
        yield cluster


def test_a_killed_worker_between_topics_of_kafka_loses_nothing_and_makes_no_ghost(
    cluster: Cluster, kafka_broker: str
) -> None:
    lane = KafkaLane(cluster, kafka_broker, "killed", worlds.TENANT)
    entries = worlds.entries(7, now() // SECOND * SECOND - LENGTH, LENGTH)
    try:
        lane.begin()
        with Doors(lane, entries, FEED) as doors, Sender(lane) as sender:
            seconds = []
            for share in (0.3, 0.6):
                doors.play(share)
                lane.until_more_comes()
                lane.until_checkpoint()
                (worker,) = workers(cluster)
                kill(worker)
                doors.play(share + 0.1)
                seconds.append(lane.until_more_comes())
            doors.play(1.0)
            wait("the end of what is played", doors.all_played, PATIENCE)
            world = lane.settled()
            lane.wait_for(world)
    finally:
        lane.cancel()
    again = expect_equal(lane, world)
    receipts = {row.key: row.matched for row in lane.told().rows(ReceiptRow)}
    assert set(receipts) == {message.key for message in sender.left}, "each receipt was read"
    assert all(receipts.values()), "ghosts"
    assert len({block.partition for block in world.blocks}) == 4
    print(f"first output {seconds} s after kill -9 of the worker; {again} records left again, {len(receipts)} sent")


def test_who_is_read_in_another_order_is_counted_and_nobody_else_differs(
    cluster: Cluster, kafka_broker: str, tmp_path: Path
) -> None:
    lane, start = Overtaking(cluster, tmp_path, kafka_broker, "overtaken.records"), now() // SECOND * SECOND - MINUTE
    in_order, overtaken = range(10), range(10, 25)
    try:
        lane.begin()
        lane.put(CUSTOMERS, start, known([*in_order, *overtaken], start))
        lane.tick(start + SECOND)
        lane.put(COOKIES, start + SEEN, seen(in_order, start + SEEN))
        lane.put(CUSTOMERS, start + SIGNED, signed_up([*in_order, *overtaken], start + SIGNED))
        lane.put(COOKIES, start + SEEN, seen(overtaken, start + SEEN))
        lane.tick(start + 20 * SECOND)
        wait("the count", lambda: lane.counted("engage_disordered") >= len(overtaken), PATIENCE)
        assert lane.counted("engage_disordered") == len(overtaken)
    finally:
        lane.cancel()
    told, until = lane.told(), start + 20 * SECOND
    ordered = sorted(lane.blocks, key=attrgetter("received_at", "partition", "first"))
    expected = replayed(lane.tenant, Blocks([ordered, [Block(until, 0, 0, [])]]))
    found, wanted = plain(told, until), plain(expected, until)
    differing = [unpack(record, KINDS[topic]) for topic, record in (found - wanted) | (wanted - found)]
    assert all(isinstance(record, Message) for record in differing), "at-once decisions are the same, in other words"
    assert {message.to for message in differing} == {f"c{number}@people.example" for number in overtaken}
