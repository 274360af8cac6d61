"""Rates of sinks, shared by all senders: one bucket of tokens a sink, filled by the clock of Redis.

bucket/TENANT/CHANNEL    tokens left and when they were counted (microseconds)
"""

from __future__ import annotations

from collections.abc import Mapping

from transforms.logic.delivery import Sink
from transforms.stores.redis import Redis, Script
from transforms.surroundings import Way

IDLE = 3_600_000
"""Milliseconds after which an unused bucket, full by then, is forgotten."""

_GRANT = Script(
    """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local granted = {}
while at < #ARGV do
  local key, wanted, rate, burst = P .. 'bucket/' .. take(), number(), number(), number()
  local found = redis.call('HMGET', key, 'tokens', 'at')
  local tokens, since = tonumber(found[1] or burst), tonumber(found[2] or now)
  tokens = math.min(burst, tokens + math.max(0, now - since) * rate / 1000000)
  local count = math.min(wanted, math.floor(tokens))
  redis.call('HSET', key, 'tokens', string.format('%.6f', tokens - count), 'at', string.format('%.0f', now))
  redis.call('PEXPIRE', key, """
    + str(IDLE)
    + """)
  granted[#granted + 1] = count
end
return granted
"""
)


class RedisLimits:
    """Grants attempts out of the shared buckets. OSError: none may begin; what a lost answer granted is forgone."""

    def __init__(self, server: Redis) -> None:
        self._server = server

    def grant(self, wanted: Mapping[Way, tuple[int, Sink]]) -> Mapping[Way, int]:
        """How many of the wanted attempts may begin now."""
        args = [part for way, (count, sink) in wanted.items() for part in ("/".join(way), count, sink.rate, sink.burst)]
        return dict(zip(wanted, self._server.run(_GRANT, *args), strict=True))
