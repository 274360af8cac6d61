"""What stands in the way of a command, as one sentence: what was expected, what came, what to do."""

from __future__ import annotations

import errno

from models.gate import ModelRefused
from pipelines.config import ConfigError
from pipelines.together import GaveUp
from transforms.stores.lease import LeaseLost
from transforms.stores.parquet import TablesDamaged
from transforms.stores.redis_errors import RedisDown, RedisFull, RedisUnfit, RedisUnready
from transforms.stores.rows import StoreMismatch
from transforms.stores.segments import LogBusy, LogCorrupt
from transforms.stores.snapshots import StoreDamaged
from transforms.topics import BrokerError

USAGE, FAILED = 2, 1
"""Exit statuses: what the caller can mend on the command line, and what is wrong behind it."""

SENTENCES = (
    BrokerError,
    GaveUp,
    LeaseLost,
    LogBusy,
    LogCorrupt,
    ModelRefused,
    RedisDown,
    RedisFull,
    RedisUnfit,
    RedisUnready,
    StoreDamaged,
    StoreMismatch,
    TablesDamaged,
)
"""Errors whose own words say what was expected, what came and what to do."""

EXTRAS = {
    "aiohttp": "collector",
    "confluent_kafka": "kafka",
    "duckdb": "analyst",
    "httptools": "collector",
    "py3langid": "nlp",
    "starlette": "collector",
    "uvicorn": "collector",
    "uvloop": "collector",
}
"""The extra of this package that brings an optional one."""

_FOLDER = "name a folder with --data or --workspace, or move away what stands there"
_REMEDIES = {
    errno.EACCES: "expected to be allowed to read and write {file}; change its owner or rights",
    errno.EPERM: "expected to be allowed to read and write {file}; change its owner or rights",
    errno.EROFS: "expected to be able to write {file}, its disk is read-only; name another folder with --data",
    errno.ENOSPC: "expected room on the disk for {file}, it is full; free some and start again",
    errno.EDQUOT: "expected room on the disk for {file}, its quota is used up; free some and start again",
    errno.ENOTDIR: f"expected a folder on the way to {{file}}, got a file; {_FOLDER}",
    errno.EEXIST: f"expected a folder at {{file}}, got a file; {_FOLDER}",
    errno.EISDIR: f"expected a file at {{file}}, got a folder; {_FOLDER}",
    errno.ENOENT: "expected {file}, there is none; look at --data and --workspace, and whether somebody removed it",
    errno.EADDRINUSE: "expected a free port, got one that is taken; choose another with --port",
    errno.EMFILE: "expected to open {file}, too many files are open; raise the limit (ulimit -n)",
}


def told(error: BaseException) -> tuple[str, int] | None:
    """The sentence and the exit status for an error that a person can mend; None for a mistake of ours."""
    match error:
        case ConfigError():
            return str(error), USAGE
        case _ if isinstance(error, SENTENCES):
            return str(error), FAILED
        case ImportError(name=str(name)) if (package := name.partition(".")[0]) in EXTRAS:
            extra = EXTRAS[package]
            return f"expected the package {package}, it is not installed: pip install 'rapport[{extra}]'", FAILED
        case OSError(errno=int(number)) if number in _REMEDIES:
            return _REMEDIES[number].format(file=error.filename or "what it needs"), FAILED
        case MemoryError():
            return "expected more memory; give the machine more, or the job fewer processes", FAILED
    return None
