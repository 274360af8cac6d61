"""One frozen configuration, made from the command line and checked once at the start.

The environment holds two things more, each read where it is used: secrets of sinks, and what crash tests need
(fault points, short segments).
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from schemas.records import DAY

SAMPLE = Path(__file__).parent / "demo" / "workspace"

TOPIC_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")


class ConfigError(ValueError):
    """A setting that cannot work: says what was expected, what came and what to do."""


@dataclass(frozen=True, slots=True)
class Config:
    """Where things are and how large they are cut. Every process of one installation gets the same one.

    `shards` is fixed for a data folder; `state` is rows (embedded engine) or cells (Flink, Dataflow, tests).
    `bundle` is how many records the engine aims to commit together; `idle` is how many real seconds it waits when
    nothing comes. `sync` False trades power-loss safety for speed; kill -9 stays harmless. `keep` is how many days of
    journal time the journal and the lanes' logs go back at least: a replay needs all of them.
    `redis` is the URL of a Redis that several doors and senders share; empty: suppression and sends are kept in `data`.
    `kafka` is where brokers answer (host:port, several with commas; empty: the embedded journal), `topics` what the
    names of all topics begin with. With `hold` the sender waits with each intent for the job's checkpoint behind it.
    """

    data: Path
    workspace: Path = SAMPLE
    host: str = "127.0.0.1"
    port: int = 8000
    shards: int = 4
    state: str = "rows"
    bundle: int = 1000
    idle: float = 0.002
    sync: bool = True
    speed: float = 1.0
    keep: int = 7
    redis: str = ""
    kafka: str = ""
    topics: str = "rapport"
    hold: bool = False

    def __post_init__(self) -> None:
        if self.state not in ("rows", "cells"):
            raise ConfigError(f"state: expected rows or cells, got {self.state!r}")
        if not 1 <= self.shards <= 1024:
            raise ConfigError(f"shards: expected 1 to 1024, got {self.shards}")
        if not 0 < self.speed <= 10_000_000:
            raise ConfigError(f"speed: expected more than 0 and at most 10000000, got {self.speed}")
        if not 0 <= self.port <= 65_535:
            raise ConfigError(f"port: expected 0 to 65535, got {self.port}")
        if self.bundle < 1:
            raise ConfigError(f"bundle: expected 1 record or more, got {self.bundle}")
        if not 1 <= self.keep <= 36_500:
            raise ConfigError(f"keep: expected 1 to 36500 days, got {self.keep}")
        if self.kafka:
            self._check_kafka()
        elif self.hold:
            raise ConfigError("hold: expected --kafka; what the embedded engine hands over is always committed")
        if not self.workspace.is_dir():
            raise ConfigError(f"workspace: expected a folder, {self.workspace} is none; see `rapport check --help`")
        if self.data.exists() and not self.data.is_dir():
            raise ConfigError(f"data: expected a folder, {self.data} is a file; name another one with --data")

    def _check_kafka(self) -> None:
        if find_spec("confluent_kafka") is None:
            raise ConfigError("kafka: expected the package confluent-kafka: pip install 'rapport[kafka]'")
        if self.speed != 1.0:
            raise ConfigError(f"speed: expected 1 with Kafka, whose brokers tell the time, got {self.speed:g}")
        if not TOPIC_NAME.fullmatch(self.topics):
            raise ConfigError(f"topics: expected letters, digits, dots, dashes and underscores, got {self.topics!r}")

    def folder(self, name: str) -> Path:
        """The folder of one part: journal, door, person, listen, sender, tables, status."""
        return self.data / name

    @property
    def keep_for(self) -> int:
        """How far back journal and logs go at least, in microseconds."""
        return self.keep * DAY

    @property
    def clock_file(self) -> Path:
        return self.data / "clock.json"

    @property
    def secret_file(self) -> Path:
        return self.data / "secret.key"

    def secret(self) -> bytes:
        """The key of all identifier hashes in this data folder (32 bytes); made on first use, never leaves it."""
        file = self.secret_file
        if not file.exists():
            self.data.mkdir(parents=True, exist_ok=True)
            fresh = file.with_suffix(f".{secrets.token_hex(4)}")
            fresh.touch(mode=0o600)
            fresh.write_bytes(secrets.token_bytes(32))
            try:
                file.hardlink_to(fresh)  # the first of several starters wins
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        return file.read_bytes()
