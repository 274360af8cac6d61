"""Messages as the job would decide them, for tests of everything behind the decision."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from schemas.keys import address_of, send_key
from schemas.records import DAY, HOUR, Message

NOON = 20_500 * DAY + 12 * HOUR
SECRET = bytes(range(32))


def intent(who: str = "ana", *, trigger: str = "signup-1", **changes: Any) -> Message:
    """A welcome for `who`, decided at noon, good for a day."""
    address = address_of(SECRET, "shop", "email", f"{who}@people.example")
    message = Message(
        key=send_key("shop", "welcome", 1, address.hex(), trigger, "email"),
        tenant="shop",
        person=address.hex(),
        campaign="welcome",
        step=1,
        channel="email",
        to=f"{who}@people.example",
        klass="marketing",
        category="marketing",
        trigger=trigger,
        decided_at=NOON,
        expires_at=NOON + DAY,
        suppression=(address,),
        body=b'{"subject":"Hello","text":"Welcome, ' + who.encode() + b'"}',
        caused_at=NOON - 1000,
    )
    return replace(message, **changes)


class Given:
    """A log of intents in memory; its position counts messages."""

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self._waiting = deque(messages)
        self._taken = 0

    def add(self, *messages: Message) -> None:
        self._waiting.extend(messages)

    def read(self) -> list[Message]:
        taken = list(self._waiting)
        self._waiting.clear()
        self._taken += len(taken)
        return taken

    def position(self) -> bytes:
        return self._taken.to_bytes(8)

    def settled(self) -> None:
        return None


class Allowed:
    """A suppression list: the keys in `blocked` get nothing but transactional messages, those in `erased` nothing."""

    def __init__(self) -> None:
        self.blocked: set[bytes] = set()
        self.erased: set[bytes] = set()
        self.broken = False
        self.looks = 0

    def refuse(self, messages: Sequence[Message]) -> list[bool]:
        self.looks += len(messages)
        if self.broken:
            raise OSError("the door's store cannot be read")
        return [self._refuses(set(each.suppression), each.klass) for each in messages]

    def _refuses(self, found: set[bytes], klass: str) -> bool:
        return bool(found & self.erased) or (klass != "transactional" and bool(found & self.blocked))


class Ticking:
    """A clock that stands until it is moved."""

    def __init__(self, time: int = NOON, speed: float = 1.0) -> None:
        self.time, self.speed = time, speed

    def now(self) -> int:
        return self.time

    def pass_(self, duration: int) -> None:
        self.time += duration
