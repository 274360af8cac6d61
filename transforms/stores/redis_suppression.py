"""Who may not be written to, in Redis: several doors write it before they say 200, several senders read it.

s/ADDRESS      packed `Refusals` of one address
place/LOG      the place in a log up to which everything is applied, written after what it covers

Changes are folded here, by the rule that the embedded store has, and exchanged for the row that they were folded
onto; a row that somebody else changed in between is read and folded once more. The fold commutes and may be repeated,
so late writers, replays and lost answers do no harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import MsgspecError

from schemas.codec import UnknownVersion, pack, unpack
from schemas.records import Message
from transforms.logic.suppress import ANY, Change, Refusals, blocked, fold
from transforms.stores import faults
from transforms.stores.redis import Redis, Script, declare, opened, running

POINTS = ("redis.after_suppression",)
CHUNK = 250

_EVERYTHING = Refusals(-1, ((ANY, ANY, 0),))
"""What a row that cannot be read is taken for: nobody is written to on a guess."""

_READ = Script("""
if not ready() then return {'unready'} end
local found = {'ok'}
for i = 1, #ARGV do found[i + 1] = redis.call('GET', P .. 's/' .. ARGV[i]) end
return found
""")
_EXCHANGE = Script("""
local moved = {}
while at < #ARGV do
  local key, old, new = P .. 's/' .. take(), take(), take()
  if (redis.call('GET', key) or '') == old then redis.call('SET', key, new) else moved[#moved + 1] = at / 3 end
end
return moved
""")
_PLACE = Script("""
local key, place = P .. 'place/' .. take(), number()
if place > tonumber(redis.call('GET', key) or '0') then redis.call('SET', key, string.format('%.0f', place)) end
""")


class RedisSuppressions:
    """The door's side; `log` names the log whose places `apply` is told (one applier a log).

    Every write may be repeated. What a failed one was about is owed and goes first next time.
    """

    def __init__(self, server: Redis, log: str = "journal") -> None:
        self._server = server
        self._log = log
        self._owed: list[Change] = []
        self._run = ""
        self._address: int | None = None

    @property
    def address(self) -> int:
        """The place in the log up to which everything is applied, as Redis knew it when `whole` was last asked."""
        if self._address is None:
            self._address = int(self._server.call("GET", self._server.key(f"place/{self._log}")) or 0)
        return self._address

    @property
    def owes(self) -> bool:
        """Whether a write failed and is still to be done."""
        return bool(self._owed)

    @property
    def whole(self) -> bool:
        """Whether Redis has lost nothing since `complete`; else apply the log from `address` on, then `complete`."""
        self._run, whole = running(self._server)
        if not whole:
            self._address = None
        return whole

    def write(self, changes: Iterable[Change]) -> None:
        """Make changes visible to all senders. OSError: they are owed."""
        self._owed += changes
        _fold_into(self._server, self._owed)
        self._owed = []
        faults.here("redis.after_suppression")

    def apply(self, changes: Iterable[Change], address: int, stamp: int) -> None:  # noqa: ARG002
        """Make changes visible, and then that the log is applied up to `address`."""
        self.write(changes)
        self._server.run(_PLACE, self._log, address)
        self._address = max(address, self._address or 0)

    def complete(self) -> None:
        """Say that the log is applied to its end, as it was after `whole` was asked: senders may go on.

        Raises RedisUnready if Redis was started again meanwhile.
        """
        declare(self._server, self._run)

    def close(self) -> None:
        """Close the connection."""
        self._server.close()


def _fold_into(server: Redis, changes: Sequence[Change]) -> None:
    left = list(changes)
    while left:
        batch, left = left[:CHUNK], left[CHUNK:]
        moved = _exchange(server, batch)
        left = [change for change in batch if change.address in moved] + left


def _exchange(server: Redis, changes: Sequence[Change]) -> set[bytes]:
    """Fold changes into their rows; the addresses that somebody else has changed meanwhile."""
    addresses = list(dict.fromkeys(change.address for change in changes))
    old = server.call("MGET", *(server.key(b"s/" + address) for address in addresses))
    refusals = {address: _read(row) for address, row in zip(addresses, old, strict=True)}
    for change in changes:
        refusals[change.address] = fold(refusals[change.address], change)
    rows = zip(addresses, old, strict=True)
    args = [part for address, row in rows for part in (address, row or b"", pack(refusals[address]))]
    return {addresses[int(number) - 1] for number in server.run(_EXCHANGE, *args)}


class RedisSuppressionView:
    """The sender's side: one question a batch, answered by what stands in Redis now.

    OSError (also where Redis may have lost data) means that nothing may leave.
    """

    def __init__(self, server: Redis) -> None:
        self._server = server

    def blocks(self, tenant: str, keys: Sequence[bytes], klass: str, category: str, channel: str = ANY) -> bool:  # noqa: ARG002
        """Whether a message to the person with these addresses may not go now; the tenant is part of each address."""
        found = self._fetch(keys)
        return blocked((found[key] for key in keys), klass, category, channel)

    def refuse(self, messages: Sequence[Message]) -> list[bool]:
        """Which of these messages may not go now."""
        found = self._fetch(key for message in messages for key in message.suppression)
        return [
            blocked((found[key] for key in each.suppression), each.klass, each.category, each.channel)
            for each in messages
        ]

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    def _fetch(self, keys: Iterable[bytes]) -> dict[bytes, Refusals]:
        distinct = list(dict.fromkeys(keys))
        chunks = (distinct[start : start + CHUNK] for start in range(0, max(len(distinct), 1), CHUNK))
        rows = [row for chunk in chunks for row in opened(self._server.run(_READ, *chunk))]
        return {key: _read(row) for key, row in zip(distinct, rows, strict=True)}


def _read(row: bytes | None) -> Refusals:
    if row is None:
        return Refusals()
    try:
        return unpack(row, Refusals)
    except (UnknownVersion, MsgspecError):
        return _EVERYTHING
