"""The sender's books: table, lease, limits, its look at suppression; on disk for one sender, in Redis for several."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from pipelines.brokers import handed_on
from pipelines.config import Config
from pipelines.shared import open_redis
from schemas.codec import pack_many
from schemas.records import Derived, Receipt
from transforms import surroundings
from transforms.stores.lease import Lease
from transforms.stores.log import LogWriter
from transforms.stores.rows import RowStore
from transforms.stores.sends import Sends
from transforms.stores.suppression import SuppressionView

GRAPH = "sender 1"
TIDY_EVERY = 600.0
"""Real seconds between two looks at which receipts the log may forget."""

MOST_RECEIPTS = 1000

log = logging.getLogger("rapport.sender")


class Books(Protocol):
    """What a sender works with, opened; `tend` is for each turn. OSError: later."""

    @property
    def sends(self) -> surroundings.Sends: ...

    @property
    def lease(self) -> surroundings.Lease: ...

    @property
    def suppression(self) -> surroundings.Suppression: ...

    @property
    def limits(self) -> surroundings.Limits: ...

    def intents(self, intents: surroundings.Intents) -> surroundings.Intents:
        """Intents as this table is to read them."""

    def tend(self, now: int) -> None:
        """Hand on receipts and forget what nobody needs; `now` is journal time."""

    def close(self) -> None: ...


class OwnBooks:
    """A sender that is alone: everything in its folder. Raises LogBusy if it is not."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._store = RowStore(config.folder("sender"), graph=GRAPH, sync=config.sync)
        self.sends = Sends(self._store)
        self.lease = Lease(config.folder("sender"), self.sends.counts.epoch)
        self.suppression = SuppressionView(config.folder("door"))
        self.limits = surroundings.ALONE
        self._tidy_at = time.monotonic()

    def intents(self, intents: surroundings.Intents) -> surroundings.Intents:
        """As they are."""
        return intents

    def tend(self, now: int) -> None:  # noqa: ARG002
        """Let the log forget receipts that the door has journaled: the receipts are in its frames."""
        if time.monotonic() >= self._tidy_at:
            self._store.keep_from(pulled(self._config))
            self._tidy_at += TIDY_EVERY

    def close(self) -> None:
        """Let another sender open the folder."""
        self.lease.close()
        self._store.close()


class ReceiptsLog:
    """Receipts on their way to the embedded door, in a log of the sender's folder that the door pulls."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._log = LogWriter(config.folder("sender"), sync=config.sync)
        self._tidy_at = time.monotonic() + TIDY_EVERY

    def write(self, receipts: Sequence[Derived], now: int) -> None:
        """Make receipts durable; the door finds them. OSError: they are not, and nothing is written by half."""
        self._log.append(max(now, self._log.stamp), {"receipts": (pack_many(receipts), len(receipts))})
        try:
            self._log.commit()
        except OSError:
            self._log.discard()
            raise
        if time.monotonic() >= self._tidy_at:
            self._log.drop_before(pulled(self._config))
            self._tidy_at += TIDY_EVERY

    def close(self) -> None:
        """Let another process write."""
        self._log.close()


class SharedBooks:
    """A sender among several, over one Redis; what is told of its sends goes to `told(receipts, now)`.

    In a Redis without a table it is made first from the receipts that `past` gives. `now` is journal time.
    Raises ConfigError for a Redis that must not be used, OSError while it cannot be reached.
    """

    def __init__(
        self,
        url: str,
        told: Callable[[Sequence[Derived], int], None],
        past: Callable[[], Iterable[Receipt]],
        now: int,
    ) -> None:
        from transforms.stores.redis_lease import RedisLease
        from transforms.stores.redis_limits import RedisLimits
        from transforms.stores.redis_restore import Restoring
        from transforms.stores.redis_sends import RedisSends
        from transforms.stores.redis_suppression import RedisSuppressionView

        self._server = open_redis(url)
        self._told = told
        self._restoring = Restoring(self._server)
        if self._restoring.needed and (count := self._restoring.from_receipts(past(), now)):
            log.error("Redis had lost the table of sends: %d ends were put back from the journal", count)
        self.lease = RedisLease(self._server)
        self.sends = RedisSends(self._server, self.lease)
        self.suppression = RedisSuppressionView(self._server)
        self.limits = RedisLimits(self._server)

    def intents(self, intents: surroundings.Intents) -> surroundings.Intents:
        """Those from before a loss are put back as cut short before they can be claimed."""
        from transforms.stores.redis_restore import RestoringIntents

        return RestoringIntents(intents, self._restoring)

    def tend(self, now: int) -> None:
        """Hand on the receipts that wait, and only then forget them."""
        if receipts := self.sends.receipts(MOST_RECEIPTS):
            self._told(receipts, now)
            self.sends.told(receipts)

    def close(self) -> None:
        """Give the lease back, so that others need not wait for its end."""
        self.lease.close()
        self._server.close()


def pulled(config: Config) -> int:
    """The address in the sender's log up to which the door has journaled the receipts."""
    return handed_on(config, "sender")
