"""People of whom a later record may be read first: by customer id in one partition, by cookie in another one.

Everybody is made known with both, and signs up by customer id at `SIGNED`; a cookie says at `SEEN`, a little before,
which language its person reads. Whose cookie is read too late is welcomed in the shop's language instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from confluent_kafka.admin import AdminClient, NewTopic
from flink_kafka import PARTITIONS
from flink_lane import PATIENCE, Lane
from shop import shop
from story import iso

from deploy.flink.cluster import Cluster
from deploy.flink.rest import wait
from pipelines.flink import Flink, submit
from schemas.codec import pack
from schemas.records import SECOND, Block, Entry, EventRow
from transforms.sources.kafka import KafkaSource
from transforms.topics.client import producer

TENANT = shop()
COOKIES, CUSTOMERS = 0, 1
"""Partitions."""
SEEN, SIGNED = 10 * SECOND + 200_000, 10 * SECOND + 500_000
"""After the beginning."""


class Overtaking(Lane):
    """The job in order of arrival. Its topic takes stamps from whoever writes, as no topic of ours does in earnest."""

    def __init__(self, cluster: Cluster, folder: Path, servers: str, topic: str) -> None:
        super().__init__(cluster, folder, TENANT, order="arrival")
        made = NewTopic(topic, PARTITIONS, 1, config={"message.timestamp.type": "CreateTime"})
        admin = AdminClient({"bootstrap.servers": servers})
        admin.create_topics([made])[topic].result(PATIENCE)
        self.blocks: list[Block] = []
        self._servers, self._topic = servers, topic
        self._out = producer(servers, PATIENCE)
        self._offsets = dict.fromkeys(range(PARTITIONS), 0)

    def begin(self) -> None:
        submit(KafkaSource(self._servers, self._topic), self._job, Flink(self.cluster.job_server), ("person",))

    def put(self, partition: int, at: int, entries: list[Entry]) -> None:
        """Append records with this stamp, and wait until each has its line."""
        self.blocks.append(Block(at, partition, self._offsets[partition], entries))
        for entry in entries:
            self._append(partition, at, pack(entry))
        self._out.flush(PATIENCE)
        due = sum(len(block.entries) for block in self.blocks)
        wait(f"{due} lines", lambda: len(self.told().rows(EventRow)) >= due, PATIENCE)

    def tick(self, at: int) -> None:
        """Time passes in all partitions."""
        for partition in range(PARTITIONS):
            self._append(partition, at, b"")
        self._out.flush(PATIENCE)

    def counted(self, name: str) -> int:
        """What a counter of the job stands at, as Flink tells it."""
        job, found = self.cluster.rest.only_job(), 0
        for vertex in self.cluster.rest.ask(f"/jobs/{job}")["vertices"]:
            place = f"/jobs/{job}/vertices/{vertex['id']}/subtasks/metrics"
            for metric in self.cluster.rest.ask(place):
                if metric["id"].endswith(f".{name}"):
                    (value,) = self.cluster.rest.ask(f"{place}?get={quote(metric['id'])}")
                    found += int(value["sum"])
        return found

    def _append(self, partition: int, at: int, value: bytes) -> None:
        self._out.produce(self._topic, value, partition=partition, timestamp=at // 1000)
        self._offsets[partition] += 1


def known(people: Iterable[int], at: int) -> list[Entry]:
    """A server says which cookie is whose."""
    return [_call(n, at, "identify", userId=f"c{n}", anonymousId=f"k{n}", traits={}) for n in people]


def seen(people: Iterable[int], at: int) -> list[Entry]:
    """Somebody of whom only the cookie is known reads Polish."""
    return [_call(n, at, "identify", anonymousId=f"k{n}", traits={"locale": "pl-PL"}) for n in people]


def signed_up(people: Iterable[int], at: int) -> list[Entry]:
    """They sign up, and agree to hear from us."""
    return [
        _call(n, at, "track", userId=f"c{n}", event="Signed Up", properties=_agreed(f"c{n}@people.example"))
        for n in people
    ]


def _agreed(email: str) -> dict[str, object]:
    return {"email": email, "marketing_opt_in": True}


def _call(number: int, at: int, kind: str, **said: object) -> Entry:
    body = {"type": kind, "messageId": f"{kind}-{number}-{at}", "timestamp": iso(at), **said}
    return Entry(kind, TENANT.name, "server", "overtaken", 0, json.dumps(body).encode())
