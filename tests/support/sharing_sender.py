"""One of several senders over one Redis, to be killed: python sharing_sender.py DATA PORT REDIS NAME

It reads the intents in DATA and delivers to a webhook on loopback until the file DATA/stop appears; its receipts go to
the folder DATA/NAME, so that several may run over one data folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

from msgspec.structs import replace
from shop import shop

from pipelines import sender
from pipelines.config import Config
from schemas.workspace import Sink, Workspace
from transforms.stores import redis_lease


class Placed(Config):
    """A configuration whose sender has a folder of its own."""

    def folder(self, name: str) -> Path:
        return super().folder(sys.argv[4] if name == "sender" else name)


def main(data: str, port: str, redis: str, ttl: float = 1.5) -> None:
    sinks = {"email": Sink("webhook", f"http://127.0.0.1:{port}/hook", "secret://test", allow_private=True)}
    sender.load = lambda _: Workspace({"shop": replace(shop(), sinks=sinks)}, "test")
    redis_lease.RedisLease.__init__.__defaults__ = (ttl,)
    sender.run(Placed(Path(data), Path(data), redis=redis), (Path(data) / "stop").exists)


if __name__ == "__main__":
    main(*sys.argv[1:4])
