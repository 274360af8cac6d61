"""What delivery needs from outside: the present, who may not be written to, what the job decided, and its table.

Table, lease and limits have two forms: on disk for one sender, in Redis for several. Both keep one contract.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from schemas.records import Message
from transforms.logic.delivery import Send, Sink
from transforms.stores.sends import Counts

Way = tuple[str, str]
"""(tenant, channel): where a message leaves."""


class Clock(Protocol):
    """Journal time in microseconds, running `speed` times as fast as real time."""

    @property
    def speed(self) -> float: ...

    def now(self) -> int: ...


class Suppression(Protocol):
    """The doors' suppressions, read afresh at each call."""

    def refuse(self, messages: Sequence[Message]) -> list[bool]:
        """Which of these messages may not go now. OSError if that cannot be known: then none may."""


class Intents(Protocol):
    """The job's intents from a cursor on; never waits."""

    def read(self) -> list[Message]: ...

    def position(self) -> bytes: ...

    def settled(self) -> None:
        """All that was read is durable in the sender's table: it need not be read again."""


class OpenIntents(Intents, Protocol):
    """Intents from somewhere that is closed at the end."""

    def close(self) -> None: ...


class Sends(Protocol):
    """The table of sends. What is staged is seen by this sender at once and durable after `commit`.

    Any of it may raise OSError (nothing is lost, try again) and, with several senders, LeaseLost.
    """

    @property
    def counts(self) -> Counts: ...

    @property
    def position(self) -> bytes: ...

    @property
    def dirty(self) -> bool: ...

    def take_epoch(self, epoch: int) -> None:
        """Say under which lease everything from now on is written."""

    def admit(self, messages: Iterable[Message], now: int) -> list[tuple[str, Send]]:
        """Claim the keys of new intents; the sends that are now this sender's. Taken keys and lives change nothing."""

    def orphans(self) -> list[tuple[str, Send]]:
        """Open sends that became this sender's because the one that had them is no more; asked each turn."""

    def get(self, key: str) -> Send | None: ...

    def put(self, key: str, send: Send) -> None:
        """Stage the new state of an open send that stays open."""

    def end(self, key: str, message: Message, ended: Send) -> None:
        """Stage a send's end, its receipt, and the return of a life claim if it surely never left."""

    def mark(self, name: bytes, value: bytes | None) -> None: ...

    def marked(self, name: bytes) -> bytes | None: ...

    def commit(self, now: int, position: bytes) -> None:
        """Make all that is staged durable, with the place in the intents. OSError leaves it staged."""


class Lease(Protocol):
    """The right to begin attempts and to write down what came of them; `epoch` rises with each one given."""

    @property
    def epoch(self) -> int: ...

    def keep(self) -> None:
        """Renew it if need be; only for who waits and writes nothing. OSError, LeaseLost."""

    def check(self) -> None:
        """Raises LeaseLost once somebody else may hold it; asks nobody."""

    def close(self) -> None: ...


class Limits(Protocol):
    """How much of a sink's rate is left for this sender."""

    def grant(self, wanted: Mapping[Way, tuple[int, Sink]]) -> Mapping[Way, int]:
        """How many of the wanted attempts may begin now; all that is granted counts as begun."""


class Alone:
    """The limits of a sender that shares its sinks with nobody: its lanes know them."""

    def grant(self, wanted: Mapping[Way, tuple[int, Sink]]) -> Mapping[Way, int]:
        """All of it."""
        return {way: count for way, (count, _) in wanted.items()}


ALONE = Alone()
