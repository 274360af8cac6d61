"""What a Redis says of all sends together: for counting, beside senders at work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from schemas.codec import unpack
from schemas.records import Derived, Message
from transforms.stores.redis import Redis
from transforms.stores.redis_claims import send_of
from transforms.stores.sends import Counts

_MANY = 500


class Tally:
    """Counts of the shared table of sends; `reader` names the stream of intents. Raises RedisDown."""

    def __init__(self, server: Redis, reader: str = "intents") -> None:
        self._server = server
        found = server.call("HGETALL", server.key("counts"))
        self.counts = Counts(**{name.decode(): int(value) for name, value in _pairs(found)})
        self.position: bytes = server.call("GET", server.key(f"place/{reader}")) or b""
        self._senders = server.call("SMEMBERS", server.key("senders"))

    def open(self) -> int:
        """How many sends are open under all leases together."""
        return sum(self._server.call("SCARD", self._server.key(b"open/" + name)) for name in self._senders)

    def waiting(self) -> list[Derived]:
        """The receipts that no sender has handed on yet."""
        found = (self._server.call("HVALS", self._server.key(b"receipts/" + name)) for name in self._senders)
        return [unpack(packed, Derived) for packed in chain.from_iterable(found)]

    def unclaimed(self, messages: Iterable[Message]) -> Iterator[Message]:
        """Those that no sender has claimed yet, in the revision that they have."""
        waiting = list(messages)
        for start in range(0, len(waiting), _MANY):
            some = waiting[start : start + _MANY]
            rows = self._server.call("MGET", *(self._server.key(f"send/{message.key}") for message in some))
            for message, send in zip(some, map(send_of, rows), strict=True):
                if send is None or send.revision < message.revision:
                    yield message


def _pairs(found: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(found[::2], found[1::2], strict=True)
