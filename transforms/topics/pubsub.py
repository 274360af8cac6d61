"""Topics on Pub/Sub: intents, rows and failures leave as Avro, a message each; what the job reads, as micro-batches.

No ordering keys: nothing of ours needs an order (decision 13), and they would cost throughput and make one failed
message stop all later ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock, local
from typing import Any

from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import DefaultCredentialsError
from google.cloud.pubsub_v1 import PublisherClient
from google.cloud.pubsub_v1.types import BatchSettings, LimitExceededBehavior, PublisherOptions, PublishFlowControl

from schemas.records import Message, Record
from schemas.single_object import encode
from transforms.sources.keeper import Lost, sentence, unauthorized
from transforms.sources.parcels import given_back, messages_of

RECORDS, FEEDBACK = "records", "feedback"
TOPICS = (RECORDS, "intents", "rows", "failures")
"""The names behind the prefix. What the job gives back goes straight to its own input, so feedback has none."""
ROLE = "roles/pubsub.publisher"
_BATCHES = BatchSettings(max_messages=1_000, max_bytes=1024 * 1024, max_latency=0.005)
_ROOM = PublishFlowControl(
    message_limit=20_000, byte_limit=64 * 1024 * 1024, limit_exceeded_behavior=LimitExceededBehavior.BLOCK
)
_PASSING = (exceptions.ServerError, exceptions.TooManyRequests, exceptions.Cancelled, exceptions.Aborted)
_ATTEMPT = 10.0


@dataclass(frozen=True, slots=True)
class PubSubTopics:
    """Topics of `project` whose names begin with `prefix`. A message that the server has not taken `patience` seconds
    after it was published counts as not durable.
    """

    project: str
    prefix: str = "rapport"
    patience: float = 60.0

    def open(self) -> PubSubPublisher:
        """A publisher; the topics are looked for when something is published. Raises Lost without credentials."""
        return PubSubPublisher(self)

    def path(self, topic: str) -> str:
        """The full name of a topic: records, intents, feedback, rows or failures."""
        name = RECORDS if topic == FEEDBACK else topic
        if name not in TOPICS:
            raise ValueError(f"topic: expected one of {', '.join((*TOPICS, FEEDBACK))}, got {topic!r}")
        return f"projects/{self.project}/topics/{self.prefix}.{name}"


class PubSubPublisher:
    """Publishes in batches of at most 5 ms, 1,000 messages or 1 MB. A thread's `flush` answers for whatever any thread
    has published since that thread's last one.
    """

    def __init__(self, topics: PubSubTopics) -> None:
        retry = Retry(if_exception_type(*_PASSING), initial=0.1, maximum=5.0, timeout=topics.patience)
        options = PublisherOptions(flow_control=_ROOM, retry=retry, timeout=min(_ATTEMPT, topics.patience))
        try:
            self._client = PublisherClient(_BATCHES, options)
        except DefaultCredentialsError as error:
            raise Lost(unauthorized(topics.path(RECORDS))) from error
        self._topics = topics
        self._lock = Lock()
        self._under_way: dict[int, tuple[str, Any]] = {}
        self._number = 0
        self._failed, self._failure = 0, OSError()
        self._thread = local()

    def publish(self, topic: str, records: Sequence[Record]) -> None:
        path = self._topics.path(topic)
        with self._lock:
            self._thread.since = getattr(self._thread, "since", self._number)
        for data, attributes in _messages(topic, records):
            future = self._client.publish(path, data, **attributes)
            with self._lock:
                self._number += 1
                self._under_way[self._number] = path, future

    def flush(self) -> None:
        """Return once the server has all of it. Raises OSError if it has not, Lost (an OSError) if it never will."""
        with self._lock:
            under_way, upto = list(self._under_way.items()), self._number
            since, self._thread.since = getattr(self._thread, "since", 0), upto
        for number, (path, future) in under_way:
            self._settle(number, path, future)
        if self._failed > since:
            raise self._failure

    def _settle(self, number: int, path: str, future: Any) -> None:
        """Wait for one message. Its failure is noted before it is forgotten: another thread may be asking, too."""
        try:
            future.result()
        except exceptions.GoogleAPIError as error:
            said = sentence(path, error, ROLE)
            found = Lost(said) if said else OSError(f"{path}: not published ({type(error).__name__})")
            with self._lock:
                self._failed, self._failure = max(self._failed, number), found
        with self._lock:
            self._under_way.pop(number, None)


def _messages(topic: str, records: Sequence[Any]) -> Iterator[tuple[bytes, dict[str, str]]]:
    """(data, attributes) of each message. The id is for whoever reads: repeats have the same one."""
    if topic == RECORDS:
        return ((data, {}) for data in messages_of(records))
    if topic == FEEDBACK:
        return ((data, {}) for data in messages_of(given_back(records)))
    return ((encode(each), {"id": each.key if isinstance(each, Message) else each.id}) for each in records)
