"""What one bundle sees of the store: the open transaction, and what the engine remembers of it between bundles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from transforms.attempt import Wake
from transforms.stores.transaction import LONG_AGO, NEVER, StageShard, Transaction


class ShardOfRows:
    """A stage's shard inside the transaction (see `rows_state.RowsOfShard`).

    When its next wake rings is remembered, so that a bundle without new wakes need not ask the store.
    """

    def __init__(self, transaction: Transaction, stage: str, shard: int) -> None:
        self._transaction, self._stage = transaction, stage
        self._shard: StageShard = transaction.shard(stage, shard)
        self._soonest: int | None = None
        self.reached = LONG_AGO
        self.get_many = self._shard.get_many
        self.put_many = self._shard.put_many
        self.first_seen = self._shard.first_seen

    def wake_many(self, wakes: Iterable[Wake]) -> None:
        wakes = list(wakes)
        self._shard.wake_many(wakes)
        if wakes and self._soonest is not None:
            self._soonest = min(self._soonest, min(wakes)[0])

    def due(self, upto: int) -> list[Wake]:
        self._soonest = None
        return self._shard.due(upto)

    def next_wake(self) -> int | None:
        if self._soonest is None:
            found = self._shard.next_wake()
            self._soonest = NEVER if found is None else found
        return None if self._soonest == NEVER else self._soonest

    def forget(self, ids: Iterable[int]) -> None:
        days = [seen for (stage, _), seen in self._transaction.work.seen.items() if stage == self._stage]
        for number in ids:
            for seen in days:
                seen.pop(number, None)


class TimerRows:
    """The event-time timers of one step: a row each for the time it is set to, and a wake that rings then.

    A wake whose row says another time is stale and passed over.
    """

    MOST_REMEMBERED = 100_000

    def __init__(self, transaction: Transaction, step: str) -> None:
        self._shard = transaction.shard(f"{step}/timers", 0)
        self._times: dict[bytes, int | None] = {}
        self._soonest: int | None = None

    def set(self, timer: bytes, time: int) -> None:
        if self.time_of(timer) == time:
            return
        self._put({timer: time.to_bytes(8, signed=True)})
        self._times[timer] = time
        self._shard.wake_many([(time, timer)])
        if self._soonest is not None:
            self._soonest = min(self._soonest, time)

    def clear(self, timer: bytes) -> None:
        if self.time_of(timer) is not None:
            self._put({timer: None})
            self._times[timer] = None

    def time_of(self, timer: bytes) -> int | None:
        """What a timer is set to, None if it is not."""
        if timer not in self._times:
            if len(self._times) > self.MOST_REMEMBERED:
                self._times = {}
            row = self._shard.get_many([timer])[0]
            self._times[timer] = None if row is None else int.from_bytes(row, signed=True)
        return self._times[timer]

    def due(self, upto: int) -> list[Wake]:
        """Take the wakes up to a time, in order; stale ones among them."""
        if self._soonest is None:
            found = self._shard.next_wake()
            self._soonest = NEVER if found is None else found
        if self._soonest > upto:
            return []
        self._soonest = None
        return self._shard.due(upto)

    def _put(self, rows: Mapping[bytes, bytes | None]) -> None:
        self._shard.put_many(rows)

    def forget(self) -> None:
        """Remember nothing: the transaction was given up."""
        self._times, self._soonest = {}, None


class CellRows:
    """The rows behind Beam's ordinary state cells of one step."""

    def __init__(self, transaction: Transaction, step: str) -> None:
        self._shard = transaction.shard(f"{step}/cells", 0)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return self._shard.get_many(keys)

    def put_many(self, rows: Mapping[bytes, bytes | None]) -> None:
        self._shard.put_many(rows)
