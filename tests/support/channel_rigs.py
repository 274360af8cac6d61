"""Every channel with a sink that answers as it is told, for the suite that all channels pass.

A rig opens its channel and its sink in `async with`. `tell` takes the names of troubles, used up one an attempt;
`took` is the truth: how often the sink took each key. An attempt without a trouble is taken.
"""

from __future__ import annotations

import json
import resource
from collections import Counter, deque
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web
from intents import NOON
from mail_sink import DROP, HANG, MailSink
from patience import outlast

from transforms.channels import Channel
from transforms.channels.letter import Letterhead
from transforms.channels.mail import NONE, Mail, Pace, Server
from transforms.channels.recorder import Recorder
from transforms.channels.secret import Hidden
from transforms.channels.webhook import Secret, Webhook

PATIENCE = 60.0
"""Seconds on the loop's clock until a channel gives up on a sink that says nothing."""

LATER, REFUSED, LOST, HUNG, GONE = "later", "refused", "lost", "hung", "gone"
"""Come again; never this one; taken, but the answer is lost; no answer; nothing ever again."""

SECRET = "c4n4ry-secret"


class Rig(Protocol):
    """See the module."""

    channel: Channel
    troubles: frozenset[str]

    @property
    def took(self) -> Counter[str]: ...

    def tell(self, *troubles: str) -> None: ...

    async def __aenter__(self) -> Rig: ...

    async def __aexit__(self, *_: object) -> None: ...


class RecorderRig:
    """The file; a full disk is its only trouble."""

    troubles = frozenset({LATER})

    def __init__(self, folder: Path) -> None:
        self._file = folder / "recorder.jsonl"

    async def __aenter__(self) -> RecorderRig:
        self.channel = Cramped(self._file, lambda: NOON)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()

    def tell(self, *troubles: str) -> None:
        self.channel.full += len(troubles)

    @property
    def took(self) -> Counter[str]:
        return Counter(json.loads(line)["key"] for line in self._file.read_bytes().splitlines())


class Cramped(Recorder):
    """A recorder on a disk that has no room for the next `full` writes: the system itself refuses them."""

    full = 0

    def _write(self) -> None:
        if not self.full:
            super()._write()
            return
        self.full -= 1
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._size, limits[1]))
        try:
            super()._write()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)


class WebhookRig:
    """A Standard Webhooks receiver that honours keys; a trouble may also be a status, alone or after `Retry-After`."""

    troubles = frozenset({LATER, LOST, HUNG, GONE})

    def __init__(self, _: Path) -> None:
        self._troubles: deque[str] = deque()
        self.took: Counter[str] = Counter()
        self.bodies: dict[str, bytes] = {}
        self.asked: list[str] = []

    async def __aenter__(self) -> WebhookRig:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"
        secret = Secret((SECRET.encode() * 2,))
        self.channel = Webhook(url, secret, allow_private=True, timeout=PATIENCE, now=lambda: NOON / 1e6)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()
        await self._runner.cleanup()

    def tell(self, *troubles: str) -> None:
        self._troubles += troubles

    async def _answer(self, request: web.Request) -> web.Response:
        key, body = request.headers["webhook-id"], await request.read()
        self.asked.append(request.path)
        trouble = self._troubles.popleft() if self._troubles else "200"
        if trouble in ("200", LOST):
            if self.bodies.setdefault(key, body) != body:
                return web.Response(status=409)
            self.took[key] = 1
        if trouble == HUNG:
            await outlast()
        if trouble == LOST:
            assert request.transport
            request.transport.close()
        status, _, after = {LATER: "503", LOST: "200", GONE: "410"}.get(trouble, trouble).partition(" ")
        return web.Response(status=int(status), headers={"Retry-After": after, "Location": "/elsewhere"})


class MailRig:
    """A mail server; a trouble may also be a command with its reply: `RCPT 451 4.7.1 grey`."""

    troubles = frozenset({LATER, REFUSED, LOST, HUNG})

    def __init__(self, _: Path, *, again: bool = False) -> None:
        self.sink = MailSink()
        self._again = again

    async def __aenter__(self) -> MailRig:
        await self.sink.__aenter__()
        server = Server("localhost", self.sink.port, NONE, password=Hidden(SECRET))
        pace = Pace(deadline=PATIENCE, again=self._again)
        self.channel = Mail(server, Letterhead("Shop", "shop@shop.example"), pace)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()
        await self.sink.__aexit__()

    def tell(self, *troubles: str) -> None:
        said = {
            LATER: "RCPT 451 4.3.0 try again, ana@people.example",
            REFUSED: "RCPT 550 5.1.1 <ana@people.example> unknown",
            LOST: f"DATA taken {DROP}",
            HUNG: f"RCPT {HANG}",
        }
        for trouble in troubles:
            command, _, reply = said.get(trouble, trouble).partition(" ")
            self.sink.tell(command, reply)

    @property
    def took(self) -> Counter[str]:
        return Counter({name[1:].partition("@")[0]: count for name, count in self.sink.names.items()})


RIGS: tuple[Any, ...] = (RecorderRig, WebhookRig, MailRig)
