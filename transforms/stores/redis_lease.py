"""A sender's lease in Redis: several senders hold one each, and what they write is refused once it has run out.

lease/EPOCH    a secret of the sender that holds it; gone when it was not renewed in time
senders        the epochs whose sends somebody has to look after

An epoch is a number that rises with each lease and that no Redis, emptied or not, gives twice: it is at least the time.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from transforms.stores.lease import LeaseLost
from transforms.stores.redis import Redis, Script

TTL = 10.0
_SAFE = 0.9
"""The part of its time after which a holder does not trust its lease any more: clocks run at different speeds."""

_TAKE = Script("""
local nonce, ttl = take(), take()
local now = redis.call('TIME')
local last = tonumber(redis.call('GET', P .. 'epoch') or '0')
local epoch = math.max(last + 1, now[1] * 1000 + math.floor(now[2] / 1000))
redis.call('SET', P .. 'epoch', string.format('%.0f', epoch))
local name = string.format('%016x', epoch)
redis.call('SET', P .. 'lease/' .. name, nonce, 'PX', ttl)
redis.call('SADD', P .. 'senders', name)
return name
""")
_RENEW = Script("""
local key = P .. 'lease/' .. take()
return redis.call('GET', key) == take() and redis.call('PEXPIRE', key, take()) or 0
""")
_GIVE_BACK = Script("""
local key = P .. 'lease/' .. take()
if redis.call('GET', key) == take() then redis.call('DEL', key) end
""")


def _awake() -> float:
    """Seconds that go on while the process, or the whole machine, is stopped."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class RedisLease:
    """Takes a lease of `ttl` seconds, renewed by all that is written under it. `now` is seconds that never stop."""

    def __init__(self, server: Redis, ttl: float = TTL, *, now: Callable[[], float] = _awake) -> None:
        self.ttl = ttl
        self.nonce = secrets.token_hex(8)
        self._server, self._now = server, now
        begun = now()
        self.name = server.run(_TAKE, self.nonce, self.milliseconds).decode()
        self.renewed(begun)

    @property
    def epoch(self) -> int:
        return int(self.name, 16)

    @property
    def milliseconds(self) -> int:
        """How long it lasts from a renewal on."""
        return int(self.ttl * 1000)

    def now(self) -> float:
        """The time to remember before a renewal is asked for."""
        return self._now()

    def renewed(self, asked_at: float) -> None:
        """It was renewed by something that was asked at `asked_at`."""
        self._renewed_at = asked_at

    @property
    def wants_renewal(self) -> bool:
        """A third of it is over."""
        return self._now() >= self._renewed_at + self.ttl / 3

    def keep(self) -> None:
        """Renew it if it is time and nothing else is being written. OSError: not now. Raises LeaseLost."""
        if self.wants_renewal:
            begun = self._now()
            if not self._server.run(_RENEW, self.name, self.nonce, self.milliseconds):
                raise LeaseLost(f"expected to hold lease {self.name}, it ended; another sender took over")
            self.renewed(begun)

    def check(self) -> None:
        """Raises LeaseLost if it was not renewed in time: another sender may have taken over."""
        if self._now() >= self._renewed_at + self.ttl * _SAFE:
            raise LeaseLost(f"expected to renew lease {self.name} within {self.ttl} s, Redis did not hear it in time")

    def close(self) -> None:
        """Give it back, so that others need not wait for its end; without an answer it ends by itself."""
        try:
            self._server.run(_GIVE_BACK, self.name, self.nonce)
        except OSError:
            return
