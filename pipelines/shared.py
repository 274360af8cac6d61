"""What processes of several machines share through one Redis, opened; without one, what is in the data folder."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol

from pipelines.config import Config, ConfigError
from transforms.logic.suppress import Change
from transforms.stores.redis_errors import RedisUnfit
from transforms.stores.suppression import Suppressions

if TYPE_CHECKING:
    from transforms.stores.redis import Redis


class DoorSuppressions(Protocol):
    """A door's side of who may not be written to. See `transforms.stores.suppression`."""

    @property
    def address(self) -> int: ...

    @property
    def owes(self) -> bool: ...

    @property
    def whole(self) -> bool: ...

    def apply(self, changes: Iterable[Change], address: int, stamp: int) -> None: ...

    def complete(self) -> None: ...

    def close(self) -> None: ...


def open_redis(url: str) -> Redis:
    """A Redis that was found fit. Raises ConfigError (expected, got, what to do), OSError if it cannot be reached."""
    from transforms.stores.redis import Redis, check

    try:
        server = Redis(url)
        check(server)
    except RedisUnfit as error:
        raise ConfigError(str(error)) from None
    return server


def check_secret(config: Config) -> None:
    """Where the configuration names a Redis: see `expect_secret`."""
    if config.redis:
        server = open_redis(config.redis)
        expect_secret(config, server)
        server.close()


def expect_secret(config: Config, server: Redis) -> None:
    """Raises ConfigError where another process of the installation hashes identifiers with another key.

    It would look for the same people under other names, and nobody's opt-out would be found.
    """
    mine = blake2b(config.secret(), digest_size=16, person=b"rapport").hexdigest().encode()
    name = server.key("secret")
    server.call("SET", name, mine, "NX")
    if server.call("GET", name) != mine:
        raise ConfigError(
            f"secret: expected {config.secret_file} to be that of all others that use this Redis, it is not; "
            "copy secret.key from the data folder that was first before anything is started in a new one"
        )


def open_suppressions(config: Config) -> DoorSuppressions:
    """Where this door writes who may not be written to. Raises LogBusy, ConfigError, OSError."""
    if not config.redis:
        return Suppressions(config.folder("door"), sync=config.sync)
    from transforms.stores.redis_suppression import RedisSuppressions

    server = open_redis(config.redis)
    expect_secret(config, server)
    return RedisSuppressions(server)
