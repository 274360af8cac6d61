"""Offsets as others see them: committed to the broker once what lies before is durable, and never lowered.

They are for people, for lag alarms, and for whoever waits until a record's consequences are safe; no reader of ours
starts from them. So a commit that fails is said and forgotten: the next one makes it good.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from threading import Lock

from confluent_kafka import Consumer, KafkaException, TopicPartition

from transforms.topics.client import ANSWER, consumer, reason

log = logging.getLogger("rapport.kafka")

_clients: dict[tuple[str, str], Consumer] = {}
_known: dict[tuple[str, str, str, int], int] = {}
_lock = Lock()


def commit(servers: str, group: str, topic: str, offsets: Mapping[int, int]) -> None:
    """Commit the next offsets of partitions under `group`; those that are not higher than what stands there stay."""
    with _lock:
        try:
            higher = _higher(servers, group, topic, offsets)
            if higher:
                places = [TopicPartition(topic, number, offset) for number, offset in higher.items()]
                _client(servers, group).commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            log.warning("%s: offsets of %s were not committed: %s", topic, group, reason(error))
            return
        _known.update({(servers, group, topic, number): offset for number, offset in higher.items()})


def committed(servers: str, group: str, topic: str, partitions: int) -> list[int]:
    """The next offset of each partition that stands committed under `group`, 0 where none does."""
    with _lock:
        found = _asked(servers, group, topic, range(partitions))
    return [found[number] for number in range(partitions)]


def _higher(servers: str, group: str, topic: str, offsets: Mapping[int, int]) -> dict[int, int]:
    """Those of `offsets` that are ahead of what is committed, as far as this process knows, and else by asking."""
    unknown = [number for number in offsets if (servers, group, topic, number) not in _known]
    if unknown:
        found = _asked(servers, group, topic, unknown)
        _known.update({(servers, group, topic, number): offset for number, offset in found.items()})
    return {number: each for number, each in offsets.items() if each > _known[servers, group, topic, number]}


def _asked(servers: str, group: str, topic: str, numbers: Iterable[int]) -> dict[int, int]:
    places = [TopicPartition(topic, number) for number in numbers]
    found = _client(servers, group).committed(places, timeout=ANSWER)
    return {place.partition: max(0, place.offset) for place in found}


def _client(servers: str, group: str) -> Consumer:
    if (servers, group) not in _clients:
        _clients[servers, group] = consumer(servers, group)
    return _clients[servers, group]
