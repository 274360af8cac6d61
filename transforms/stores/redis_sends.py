"""The table of sends in Redis, shared by several senders: each key is the work of one of them at a time.

send/KEY          the epoch of the lease that it belongs to, then the packed `Send`; a week longer than its end
life/CLAIM        the key that holds a once-for-life claim
open/EPOCH        the keys of the open sends of a lease
receipts/EPOCH    receipts that were not handed on yet, by their ids
commit/EPOCH      the number of the last commit under a lease, so that one whose answer was lost is not done twice
place/READER      the place in the intents behind which all is claimed
mark/NAME         what all senders know of a sink
counts            how many intents came and what became of them

Every script first asks whether Redis may have lost data and whether the lease still stands, and does nothing if so.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Any

from schemas.codec import pack, unpack
from schemas.records import Derived, Message
from transforms.logic.delivery import Send, receipt
from transforms.stores.lease import LeaseLost
from transforms.stores.redis import Redis, Script, opened
from transforms.stores.redis_claims import OPEN, Claims, life_of, row_of
from transforms.stores.redis_lease import RedisLease
from transforms.stores.redis_scripts import ADOPT, CLAIM, COMMIT, OWN
from transforms.stores.sends import KEEP, Counts

CHUNK = 250


class RedisSends:
    """One sender's view of the table; `reader` names the stream of intents whose place it keeps."""

    def __init__(self, server: Redis, lease: RedisLease, reader: str = "intents") -> None:
        self._server, self._lease, self._reader = server, lease, reader
        self._held: dict[str, Send] = {}  # all that Redis lists as open under this lease, as far as known
        self._rows: dict[str, tuple[Send, str]] = {}  # with the life claim to give back
        self._marks: dict[bytes, bytes] = {}
        self._receipts: dict[str, Derived] = {}
        self._repeated = 0
        self._unanswered: deque[list[Any]] = deque()
        self._number = 0
        self._more = self._untold = True
        self.counts = _counts(server.call("HGETALL", server.key("counts")))
        self.position: bytes = server.call("GET", server.key(f"place/{reader}")) or b""

    @property
    def dirty(self) -> bool:
        """Whether something is staged, or a commit is without an answer."""
        return bool(self._rows or self._marks or self._repeated or self._unanswered)

    def take_epoch(self, epoch: int) -> None:
        """Everything is written under the lease that this table was opened with."""
        if epoch != self._lease.epoch:
            raise ValueError(f"epoch: expected that of the table's lease, {self._lease.epoch}, got {epoch}")

    def get(self, key: str) -> Send | None:
        """The newest state of a send that is open here or ends with the next commit; asks nobody."""
        return self._rows[key][0] if key in self._rows else self._held.get(key)

    def admit(self, messages: Iterable[Message], now: int) -> list[tuple[str, Send]]:
        """Claim the keys of new intents; the sends that are now open here. Taken keys and lives change nothing."""
        waiting = list(messages)
        won: list[tuple[str, Send]] = []
        repeated = 0
        while waiting:
            batch, rest = waiting[:CHUNK], waiting[CHUNK:]
            claims = Claims(self._lease.epoch, self._held, *self._rows_of(batch))
            for message in batch:
                claims.add(message, now)
            moved = self._claim(claims)
            won += [(key, send) for key, send in claims.opened.items() if key not in moved]
            repeated += sum(key not in moved for key in claims.repeated)
            waiting = [message for message in batch if message.key in moved] + rest
        self._held.update(won)
        self._repeated += repeated
        return won

    def orphans(self) -> list[tuple[str, Send]]:
        """Renew the lease when it is time, and take over the open sends of leases that have ended."""
        if not (self._more or self._lease.wants_renewal):
            return []
        size, *found = self._ask(ADOPT, CHUNK)
        taken = _pairs(found)
        if size != len(self._held) + len(taken):  # an answer was lost: something is ours and we do not know it
            taken |= {key: row for key, row in _pairs(self._ask(OWN)).items() if key not in self._held}
        self._more, self._untold = bool(found), True
        sends = [(key, unpack(row, Send)) for key, row in taken.items()]
        self._held.update(sends)
        return sends

    def put(self, key: str, send: Send) -> None:
        """Stage the new state of an open send that stays open."""
        self._rows[key] = send, ""
        self._held[key] = send

    def end(self, key: str, message: Message, ended: Send) -> None:
        """Stage a send's end, its receipt, and the return of its life claim if it surely never left."""
        self._rows[key] = ended, life_of(message) if message.life and ended.untried else ""
        self._held[key] = ended
        self._receipts[key] = receipt(key, message.tenant, ended, message.channel)

    def mark(self, name: bytes, value: bytes | None) -> None:
        """Stage what all senders are to know of a sink."""
        self._marks[name] = value or b""

    def marked(self, name: bytes) -> bytes | None:
        """What `mark` wrote."""
        return self._marks.get(name, self._server.call("GET", self._server.key(b"mark/" + name)))

    def commit(self, now: int, position: bytes) -> None:  # noqa: ARG002
        """Make all that is staged durable. A commit without an answer goes again first, and is done once."""
        self._send_commits()
        if self._rows or self._marks or self._repeated or position != self.position:
            self._unanswered += self._packed(position)
            self._rows, self._marks, self._receipts, self._repeated = {}, {}, {}, 0
            self._send_commits()
        self.position = position

    def receipts(self, limit: int = 1000) -> list[Derived]:
        """Receipts that were not handed on yet, in any order."""
        if not self._untold:
            return []
        found = self._server.call("HRANDFIELD", self._receipts_key(), limit, "WITHVALUES")
        self._untold = bool(found)
        return [unpack(packed, Derived) for packed in found[1::2]]

    def told(self, receipts: Sequence[Derived]) -> None:
        """Forget receipts that are durable elsewhere; may be repeated."""
        if receipts:
            self._server.call("HDEL", self._receipts_key(), *(each.id for each in receipts))

    def _receipts_key(self) -> bytes:
        return self._server.key(f"receipts/{self._lease.name}")

    def _rows_of(self, batch: Sequence[Message]) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """The rows of the sends and lives that messages are about; empty where there are none."""
        keys = list(dict.fromkeys(message.key for message in batch))
        lives = list(dict.fromkeys(life_of(message) for message in batch if message.life))
        names = [f"send/{key}" for key in keys] + [f"life/{life}" for life in lives]
        found = [row or b"" for row in self._server.call("MGET", *map(self._server.key, names))]
        return dict(zip(keys, found, strict=False)), dict(zip(lives, found[len(keys) :], strict=True))

    def _claim(self, claims: Claims) -> set[str]:
        """Write claims; the keys that somebody else has changed since they were read."""
        if not claims.keys:
            return set()
        self._untold = True
        done = self._ask(CLAIM, KEEP // 1000, *claims.args)
        return {key for key, made in zip(claims.keys, done, strict=True) if not made}

    def _packed(self, position: bytes) -> list[list[Any]]:
        """All that is staged, as commits of moderate size; a row goes with its receipt, the place with the last one."""
        keys = list(self._rows)
        chunks = [keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK)] or [[]]
        last = [position, *_flat(self._marks.items())], self._repeated
        return [self._part(chunk, *(last if chunk is chunks[-1] else ([self.position], 0))) for chunk in chunks]

    def _part(self, keys: Sequence[str], shared: list[Any], repeated: int) -> list[Any]:
        """The arguments of one commit; `shared` is the place, and marks behind it."""
        self._number += 1
        rows = [(key, *self._rows[key]) for key in keys]
        told = [self._receipts[key] for key in keys if key in self._receipts]
        counts = Counter(send.state for _, send, _ in rows if send.terminal) + Counter(repeated=repeated)
        args: list[Any] = [self._number, KEEP // 1000, self._reader, shared[0], len(rows)]
        for key, send, life in rows:
            args += [key, row_of(send, self._lease.name), send.state if send.terminal else OPEN, life]
        args += [len(shared) // 2, *shared[1:]]
        args += [len(told), *_flat((each.id, pack(each)) for each in told)]
        return [*args, len(counts), *_flat(counts.items())]

    def _send_commits(self) -> None:
        while self._unanswered:
            args = self._unanswered[0]
            self.counts = _counts(self._ask(COMMIT, *args))
            for key, state in _written(args):
                if state != OPEN:
                    self._held.pop(key, None)
            self._untold = True
            self._unanswered.popleft()

    def _ask(self, script: Script, *args: Any) -> Sequence[Any]:
        """Run a script under the lease, which that renews. Raises LeaseLost if another sender has taken over."""
        begun = self._lease.now()
        answer = self._server.run(script, self._lease.name, self._lease.nonce, self._lease.milliseconds, *args)
        if answer[0] == b"lost":
            raise LeaseLost(f"expected to hold lease {self._lease.name}, it ended; another sender took over")
        found = opened(answer)
        self._lease.renewed(begun)
        return found


def _pairs(found: Sequence[bytes]) -> dict[str, bytes]:
    return {key.decode(): row for key, row in zip(found[::2], found[1::2], strict=True)}


def _flat(pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
    return [part for pair in pairs for part in pair]


def _written(args: Sequence[Any]) -> Iterable[tuple[str, str]]:
    """The keys and states in the arguments of a commit."""
    rows = args[5 : 5 + 4 * args[4]]
    return zip(rows[::4], rows[2::4], strict=True)


def _counts(found: Sequence[bytes]) -> Counts:
    return Counts(**{name.decode(): int(value) for name, value in zip(found[::2], found[1::2], strict=True)})
