"""A door's desk and endpoint without a network: what is posted to it is answered as over HTTP, and in its journal."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from starlette.types import Message, Scope

from pipelines.accept import Desk, Limits
from pipelines.config import SAMPLE, Config
from pipelines.receive import Receiver
from pipelines.workspace import load
from schemas.keys import address_of
from transforms.stores.suppression import SuppressionView

(TENANT,) = load(SAMPLE).tenants.values()
SERVER, BROWSER = (next(key.key for key in TENANT.keys if key.trust == trust) for trust in ("server", "browser"))
NO_LIMITS = Limits(rate=1e12, burst=1e12)


class Answer(NamedTuple):
    status: int
    text: str


class Door:
    """A door's desk and endpoint without a network."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._loop, self._open = asyncio.Runner(), AsyncExitStack()
        self._desk = Desk(Config(data, sync=False), NO_LIMITS, ())
        self._receiver = Receiver(self._desk.callers, self._desk.committer, _nothing)
        self._loop.run(self._open.enter_async_context(self._desk.open(follow=False)))

    def close(self) -> None:
        self._loop.run(self._open.aclose())
        self._loop.close()
        self._desk.close()

    def post(self, path: str, body: bytes, key: str = SERVER, **headers: str) -> Answer:
        return self._loop.run(self._post(path, body, {"authorization": f"Basic {_coded(key)}", **headers}))

    async def _post(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        sent: list[Message] = []
        named = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": named}

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._receiver(scope, receive, send)
        return Answer(sent[0]["status"], sent[1]["body"].decode())

    @property
    def records(self) -> int:
        return self._desk.journal.counts.external

    def stopped(self, value: str, kind: str = "email", category: str = "marketing") -> bool:
        view = SuppressionView(self.data / "door")
        try:
            key = address_of(Config(self.data).secret(), TENANT.name, kind, value)
            return view.blocks(TENANT.name, [key], "marketing", category)
        finally:
            view.close()


async def _nothing(scope: Scope, receive: object, send: object) -> None:
    raise AssertionError(f"expected a path of the door, got {scope['path']}")


def _coded(key: str) -> str:
    return b64encode(f"{key}:".encode()).decode()
