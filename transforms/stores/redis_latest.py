"""Rows of which only the newest counts, in Redis: one script a batch for writing, one for reading.

NAME/KEY    16 digits of the sequence, then the packed row
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transforms.stores.latest import LARGEST
from transforms.stores.redis import Redis, Script

CHUNK = 250
_SEQUENCE = 16

_WRITE = Script("""
local name, life, new = take(), number(), 0
while at < #ARGV do
  local key, row = P .. name .. '/' .. take(), take()
  local old = tonumber(string.sub(redis.call('GETRANGE', key, 0, 15), 1, 16), 16) or -1
  if tonumber(string.sub(row, 1, 16), 16) > old then
    if life > 0 then redis.call('SET', key, row, 'PX', life) else redis.call('SET', key, row) end
    new = new + 1
  end
end
return new
""")
_READ = Script("""
local name, most, found = take(), number(), {}
while at < #ARGV do
  local key = P .. name .. '/' .. take()
  found[#found + 1] = redis.call('STRLEN', key) <= most and redis.call('GET', key)
end
return found
""")


class RedisRows:
    """Rows under a `name` of their own; `life` is how many seconds a row lasts after its last change (0: for ever)."""

    def __init__(self, server: Redis, name: str, life: float = 0.0) -> None:
        self._server, self._name, self._life = server, name, int(life * 1000)

    def write(self, rows: Mapping[bytes, tuple[int, bytes]]) -> int:
        """Keep the newer ones; may be repeated after an OSError."""
        args = [(key, b"%016x" % sequence + row) for key, (sequence, row) in rows.items()]
        chunks = (args[start : start + CHUNK] for start in range(0, len(args), CHUNK))
        return sum(self._server.run(_WRITE, self._name, self._life, *sum(chunk, ())) for chunk in chunks)

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """What stands there; a row larger than any of ours is left where it is and counts as none."""
        most = LARGEST + _SEQUENCE
        chunks = (keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK))
        found = [row for chunk in chunks for row in self._server.run(_READ, self._name, most, *chunk)]
        return [None if row is None else row[_SEQUENCE:] for row in found]
