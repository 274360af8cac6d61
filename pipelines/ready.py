"""What must hold before all processes of a shop are started: looked at once, so that none of them dies of it."""

from __future__ import annotations

import socket
from importlib.util import find_spec

from pipelines.bounds import require
from pipelines.config import Config, ConfigError
from pipelines.trouble import EXTRAS
from pipelines.workspace import load
from transforms.stores.log import LogWriter
from transforms.stores.segments import Lock, LogBusy, make_folder

PROCESSES = {
    "journal": "door",
    "person": "person lane",
    "listen": "listen lane",
    "sender": "sender",
    "tables": "tables",
}
"""Who writes in which folder of the data."""


def probe(config: Config) -> None:
    """Raises WorkspaceError, ConfigError, LogBusy, LogCorrupt or OSError for what would end a process at once."""
    load(config.workspace)
    installed()
    alone(config)
    if not config.kafka:
        LogWriter(config.folder("journal"), sync=config.sync).close()  # a damaged one is refused before all else
    require(config)
    bind(config).close()


def installed() -> None:
    """Raises ModuleNotFoundError for an optional package that serving needs."""
    for name, extra in EXTRAS.items():
        if extra == "collector" and find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def alone(config: Config) -> None:
    """Raises LogBusy naming every process that still writes in the data, OSError if nobody could."""
    busy = []
    for name in PROCESSES:
        try:
            unlocked(config, name)
        except LogBusy as error:
            busy.append(str(error))
    if busy:
        raise LogBusy("; ".join(busy))


def unlocked(config: Config, name: str) -> None:
    """Raises LogBusy if a process still writes in this folder of the data, OSError if nobody could."""
    folder = config.folder(name)
    make_folder(folder, sync=False)
    Lock(folder).close()


def bind(config: Config) -> socket.socket:
    """A socket on the configured port. Raises ConfigError if that cannot be had."""
    try:
        return socket.create_server((config.host, config.port), backlog=1024)
    except OSError as error:
        raise ConfigError(
            f"port: expected {config.host}:{config.port} to be free, got {error.strerror}; choose another with --port"
        ) from None
