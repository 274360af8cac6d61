"""What can stand in the way of Redis. None of it needs the client, so that others can tell these errors apart."""

from __future__ import annotations


class RedisUnfit(ValueError):
    """A Redis that must not be used as it is set up: says what was expected, what came and what to do."""


class RedisDown(OSError):
    """No answer, or one that says to come back later. Whether a write was done is not known."""


class RedisFull(OSError):
    """Redis has no memory left and refused the write: it was surely not done. Reads go on."""


class RedisUnready(OSError):
    """Redis may have lost data: whoever sends must wait until what it should know is rebuilt to the log's end."""
