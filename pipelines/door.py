"""The door: accepts records over HTTP and from files, pulls what the job gives back, and writes the journal.

    posts, files ──► cut into entries ──┐
    feedback, receipts ──► pulled ──────┴──► one frame a group commit ──► journal ──► 200
                                                  └──► who may not be written to

One process a data folder. Stop it, kill it, start it again: what was answered with 200 is in the journal once.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from pipelines import unsubscribe
from pipelines.accept import Desk, Feed, Limits
from pipelines.bounds import require
from pipelines.config import Config, ConfigError
from pipelines.receive import Receiver
from pipelines.status import Status

LIMITS = Limits()
_LOOK = 0.05


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 (the one line that a person waits for)


def serve(
    config: Config,
    stop: Callable[[], bool] | None = None,
    *,
    feeds: Iterable[Feed] = (),
    limits: Limits = LIMITS,
    ready: Callable[[str], None] = _say,
) -> None:
    """Serve until `stop` says so. `ready` is told one line with the URL; `feeds` are followed as they grow.

    Raises LogBusy if another door serves this data folder, LogCorrupt, WorkspaceError, ConfigError.
    """
    uvloop.run(_serve(Desk(config, limits, feeds), stop or (lambda: False), ready))


def play(config: Config, feeds: Iterable[Feed]) -> int:
    """Play files to their end into the journal of a data folder that no door serves; gives how many records came.

    A file that was played before goes on where it ended.
    """
    return uvloop.run(_play(Desk(config, LIMITS, feeds)))


async def _serve(desk: Desk, stop: Callable[[], bool], ready: Callable[[str], None]) -> None:
    try:
        require(desk.config)
        with _listen(desk.config) as listening:
            async with desk.open() as check:
                receiver = Receiver(desk.callers, desk.committer, pages(desk))
                async with _serving(receiver, listening) as serving:
                    ready(f"door ready on http://{desk.config.host}:{listening.getsockname()[1]}")
                    await _watch(serving, lambda: check() or stop(), Report(desk, receiver))
    finally:
        desk.close()


@asynccontextmanager
async def _serving(app: Receiver, listening: socket.socket) -> AsyncIterator[asyncio.Task[None]]:
    """Answer HTTP while the context lasts; requests that are under way at its end are answered."""
    server = uvicorn.Server(_http(app))
    task = asyncio.create_task(server.serve([listening]))
    try:
        yield task
    finally:
        server.should_exit = True
        await task


async def _watch(serving: asyncio.Task[None], over: Callable[[], bool], report: Report) -> None:
    """Write the figures once a second until it is over."""
    while not serving.done() and not over():
        report()
        await asyncio.sleep(_LOOK)
    report(now=True)


async def _play(desk: Desk) -> int:
    before = desk.journal.counts.external
    try:
        require(desk.config)
        async with desk.open(follow=False):
            await desk.play()
        return desk.journal.counts.external - before
    finally:
        desk.close()


class Report:
    """The door's figures, for people."""

    def __init__(self, desk: Desk, receiver: Receiver) -> None:
        self._status = Status(desk.config.folder("status"), "door")
        self._desk, self._tally = desk, receiver.tally

    def __call__(self, *, now: bool = False) -> None:
        with suppress(OSError):  # a full disk: the journal comes first
            self._status.tell(self._figures, now=now)

    def _figures(self) -> dict[str, Any]:
        return {"requests": self._tally.requests, "refused": dict(self._tally.refused), **self._desk.figures()}


def _http(app: Receiver) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=10,
    )


def _listen(config: Config) -> socket.socket:
    """A bound socket. Raises ConfigError if the port is taken."""
    try:
        return socket.create_server((config.host, config.port), backlog=1024)
    except OSError as error:
        raise ConfigError(f"port: expected {config.host}:{config.port} to be free, got {error.strerror}") from None


def pages(desk: Desk) -> Starlette:
    """What is not a record: how the door is, and where people unsubscribe."""

    async def health(_: Request) -> JSONResponse:
        error = desk.committer.error
        content = {"status": "disk" if error else "ok", "journal_end": desk.journal.end}
        return JSONResponse(content, 503 if error else 200)

    return Starlette(routes=[Route("/health", health), *unsubscribe.routes(desk)])
