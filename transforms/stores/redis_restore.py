"""The table of sends in an emptied Redis: what the journal's receipts and the log of intents say is put back first.

restored    journal time up to which an intent without a receipt may have been attempted; 0: the table is new. It is
            missing in a Redis that was emptied, and before anybody sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from schemas.codec import pack
from schemas.records import Message, Receipt
from transforms.logic.delivery import Send
from transforms.logic.restore import cut_short, ended
from transforms.stores.redis import Redis, Script
from transforms.stores.sends import KEEP
from transforms.surroundings import Intents

CHUNK = 250
_NOBODY = "0" * 16
"""The lease of what is put back: one that nobody holds, so that the next sender takes it over."""

_PUT_BACK = Script("""
local nobody, keep = take(), take()
while at < #ARGV do
  local key, row, state, life = take(), take(), take(), take()
  local there = P .. 'send/' .. key
  if redis.call('EXISTS', there) == 0 then
    redis.call('HINCRBY', P .. 'counts', 'taken', 1)
    if state == '' then
      redis.call('SET', there, row)
      redis.call('SADD', P .. 'open/' .. nobody, key)
      redis.call('SADD', P .. 'senders', nobody)
    else
      redis.call('SET', there, row, 'PX', keep)
      redis.call('HINCRBY', P .. 'counts', state, 1)
    end
  end
  if life ~= '' then redis.call('SET', P .. 'life/' .. life, key, 'NX') end
end
""")


class Restoring:
    """Puts back what is missing; may be repeated, and done by several senders at once. Any of it may raise OSError."""

    def __init__(self, server: Redis) -> None:
        self._server = server
        self._until = self._known()

    @property
    def needed(self) -> bool:
        """Whether the table has to be made from the journal before anybody sends."""
        return self._until is None

    def from_receipts(self, receipts: Iterable[Receipt], until: int) -> int:
        """Put back all ends that the journal tells of, up to its end at `until`; how many there were."""
        found = ended(receipts)
        self._put(found, {})
        self._server.call("SET", self._server.key("restored"), until if found else 0, "NX")
        self._until = self._known()
        return len(found)

    def from_intents(self, messages: Sequence[Message]) -> None:
        """Put back, as cut short, what was decided before the loss and has no receipt; and the claims for life."""
        lost = [message for message in messages if message.decided_at <= (self._until or 0)]
        lives = {each.key: f"{each.tenant}/{each.life}" for each in lost if each.life}
        self._put({message.key: cut_short(message) for message in lost}, lives)

    def _known(self) -> int | None:
        found = self._server.call("GET", self._server.key("restored"))
        return None if found is None else int(found)

    def _put(self, sends: Mapping[str, Send], lives: Mapping[str, str]) -> None:
        rows = [
            (key, _NOBODY.encode() + pack(send), send.state if send.terminal else "", lives.get(key, ""))
            for key, send in sends.items()
        ]
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            self._server.run(_PUT_BACK, _NOBODY, KEEP // 1000, *(part for row in chunk for part in row))


class RestoringIntents:
    """Intents as they are read; those from before a loss are put back as cut short before anybody can claim them."""

    def __init__(self, intents: Intents, restoring: Restoring) -> None:
        self._intents, self._restoring = intents, restoring
        self._read: list[Message] = []

    def read(self) -> list[Message]:
        """What is new. OSError: nothing of it is lost, it comes with the next call."""
        self._read = self._read or self._intents.read()
        self._restoring.from_intents(self._read)
        read, self._read = self._read, []
        return read

    def position(self) -> bytes:
        return self._intents.position()

    def settled(self) -> None:
        self._intents.settled()
