"""What becomes of one send: claimed → attempting → sent, refused or in doubt, with waits in between. Pure.

The sender makes each step durable: the claim and the mark of an attempt before the attempt, the outcome after it.
*Refused* means that the message surely did not leave; *in doubt* means that it may have, and is never decided again.
"""

from __future__ import annotations

from hashlib import blake2b

from msgspec.structs import replace

from schemas.keys import address_in, derived_id
from schemas.records import HOUR, MINUTE, SECOND, Derived, Ids, Message, Receipt, Record

CLAIMED, ATTEMPTING, WAITING = "claimed", "attempting", "waiting"
SENT, REFUSED, IN_DOUBT = "sent", "refused", "in_doubt"
TERMINAL = frozenset((SENT, REFUSED, IN_DOUBT))

ACCEPTED, AGAIN, NEVER, CONFLICT, GONE = "accepted", "again", "never", "conflict", "gone"
"""Verdicts of a sink: taken; try later; will never take it; knows the key with another body; takes nothing any more."""

SCHEDULE = (0, 5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 10 * HOUR)
"""Waits before each attempt (Svix's default): eight attempts in 27 h 35 min."""

JITTER = 0.1
LONGEST = 72 * HOUR
MARGIN = HOUR
EXHAUSTED = "exhausted"
CRASHED = "crashed"


class Sink(Record, frozen=True):
    """What a sink promises and bears.

    `klass` A honours keys, B can be asked whether it has a key, C neither. `window` is how long it remembers a key
    and `limit` the largest body in bytes; `lanes` attempts run at a time, started at `rate` a second in bursts of
    `burst`. `again`: a sink of class C is given again what is in doubt, and may then have it twice.
    """

    klass: str
    window: int
    limit: int
    lanes: int = 64
    rate: float = 2000.0
    burst: float = 500.0
    again: bool = False

    @property
    def ends_doubt(self) -> bool:
        """Whether nothing that is in doubt is tried again, because the sink could not tell that it comes again."""
        return self.klass == "C" and not self.again


class Answer(Record, frozen=True):
    """What came of one attempt. `doubt`: the sink may have taken it all the same. `throttle`: spare the whole sink.

    `retry_after` (microseconds) is the sink's own wish, None if it has none.
    """

    verdict: str
    code: str = ""
    doubt: bool = False
    throttle: bool = False
    retry_after: int | None = None


class Send(Record, frozen=True):
    """The row of one send key. `message` is kept until the end; `epoch` is the lease of the sender that wrote it.

    `attempts` counts attempts that have begun, `began_at` the first of them. `slot` lists open sends for a restart.
    """

    state: str
    revision: int
    attempts: int = 0
    began_at: int = 0
    due: int = 0
    at: int = 0
    doubt: bool = False
    code: str = ""
    epoch: int = 0
    slot: int = 0
    message: Message | None = None

    @property
    def terminal(self) -> bool:
        return self.state in TERMINAL

    @property
    def untried(self) -> bool:
        """Ended before any attempt began: the key may be decided and claimed again."""
        return self.state == REFUSED and self.attempts == 0


def claim(old: Send | None, message: Message, now: int) -> Send | None:
    """The claimed send of a new intent; None if its key is taken (then the intent changes nothing)."""
    if old is not None and not (old.untried and message.revision > old.revision):
        return None
    return Send(CLAIMED, message.revision, due=now, message=message)


def look(message: Message, blocked: bool, now: int) -> str:
    """The last look before an attempt: why it must not begin, or an empty string."""
    if message.expires_at and now >= message.expires_at:
        return "EXPIRED"
    return "SUPPRESSED" if blocked else ""


def begin(send: Send, now: int) -> Send:
    """Mark the next attempt as begun. A send found in this state after a crash may have left."""
    return replace(send, state=ATTEMPTING, attempts=send.attempts + 1, began_at=send.began_at or now, at=now)


def withdraw(send: Send) -> Send:
    """Take back a mark whose attempt surely did not begin, because the last look stopped it in the same process."""
    attempts = send.attempts - 1
    return replace(send, state=WAITING, attempts=attempts, began_at=send.began_at if attempts else 0)


def stop(send: Send, reason: str, now: int) -> Send:
    """End a send at the last look: refused if no attempt has begun, else in doubt."""
    return _end(send, IN_DOUBT if send.attempts else REFUSED, reason, now)


def settle(send: Send, answer: Answer, sink: Sink, now: int) -> Send:
    """The send after an attempt's answer: ended, or waiting for its next attempt."""
    if answer.verdict == ACCEPTED:
        return _end(send, SENT, answer.code, now)
    if answer.verdict == CONFLICT:
        return _end(send, IN_DOUBT, answer.code, now)
    doubtful = replace(send, doubt=send.doubt or answer.doubt)
    if answer.verdict in (NEVER, GONE):
        return _give_up(doubtful, answer.code, now)
    if doubtful.doubt and sink.ends_doubt:
        return _end(doubtful, IN_DOUBT, answer.code, now)
    due = now + wait(doubtful, answer)
    if doubtful.attempts >= len(SCHEDULE) or due >= horizon(doubtful, sink):
        return _give_up(doubtful, EXHAUSTED, now)
    return replace(doubtful, state=WAITING, due=due, code=answer.code)


def recover(send: Send, sink: Sink, now: int) -> Send:
    """A send whose attempt a crash cut short: tried again at once where the sink can tell, else in doubt."""
    doubtful = replace(send, doubt=True, code=CRASHED)
    if sink.ends_doubt or now >= horizon(send, sink):
        return _end(doubtful, IN_DOUBT, CRASHED, now)
    return replace(doubtful, state=WAITING, due=now)


def wait(send: Send, answer: Answer) -> int:
    """Microseconds until the next attempt: the sink's wish (1 s to 24 h), else the schedule with the key's jitter."""
    if answer.retry_after is not None:
        return min(max(answer.retry_after, SECOND), 24 * HOUR)
    planned = SCHEDULE[min(send.attempts, len(SCHEDULE) - 1)]
    return planned + int(planned * JITTER * _fraction(send))


def horizon(send: Send, sink: Sink) -> int:
    """When the last attempt must have begun: before the sink forgets the key, 72 hours, the message's expiry."""
    last = send.began_at + min(sink.window - MARGIN, LONGEST)
    expires = send.message.expires_at if send.message else 0
    return min(last, expires) if expires else last


def receipt(key: str, tenant: str, send: Send, channel: str) -> Derived:
    """The receipt of an ended send, on its way to the door; its id repeats when the work is repeated."""
    fact = Receipt(key, send.state, send.at, channel, send.code, send.attempts, send.revision)
    name = derived_id("receipt", key, send.state, send.revision)
    return Derived(name, tenant, send.at, Ids(), fact, cause=key, address=_address(key))


def _end(send: Send, state: str, code: str, now: int) -> Send:
    return replace(send, state=state, code=code, at=now, due=0, message=None)


def _give_up(send: Send, code: str, now: int) -> Send:
    return _end(send, IN_DOUBT if send.doubt else REFUSED, code, now)


def _fraction(send: Send) -> float:
    """0 to 1, the same for a key and attempt each time."""
    key = send.message.key if send.message else ""
    return int.from_bytes(blake2b(f"{key}/{send.attempts}".encode(), digest_size=4).digest()) / 2**32


def _address(key: str) -> bytes:
    try:
        return address_in(key)
    except ValueError:
        return b""
