"""Delivery through real HTTP to a server that fails in every way it can, against the truth that the server keeps."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from intents import Allowed, Given, Ticking, intent

from schemas.codec import unpack_many
from schemas.records import DAY, HOUR, SECOND, Derived
from transforms.channels.webhook import Secret, Webhook
from transforms.deliver import Delivery
from transforms.stores.lease import Lease
from transforms.stores.memory import MemoryRows
from transforms.stores.sends import Sends

COUNT = 60
TIMEOUT = 60.0
SECRET = Secret((b"k" * 32,))
TROUBLES = ("500", "502 taken", "503", "504 taken", "429", "302", "lost", "lost taken", "hang taken", "hang", "408")


class Moody:
    """A class A endpoint: honours keys, and answers from its moods. `taken` is the truth: key to how often accepted."""

    def __init__(self, seed: int, share: float) -> None:
        self.random = random.Random(seed)
        self.share = share
        self.taken: Counter[str] = Counter()
        self.bodies: dict[str, bytes] = {}
        self.gone = False

    async def take(self, request: web.Request) -> web.StreamResponse:
        key, body = request.headers["webhook-id"], await request.read()
        assert self.bodies.setdefault(key, body) == body, "a retry must carry the same bytes"
        if self.gone:
            return web.Response(status=410)
        mood = self.random.choice(TROUBLES) if self.random.random() < self.share else "taken"
        if mood.endswith("taken") and key not in self.taken:
            self.taken[key] += 1
        return await self._answer(request, mood.split(" ")[0])

    async def _answer(self, request: web.Request, mood: str) -> web.StreamResponse:
        if mood == "taken":
            return web.Response()
        if mood == "hang":
            await outlast()
        if mood == "lost":
            assert request.transport
            request.transport.close()
            return web.Response()
        return web.Response(status=int(mood), headers={"Retry-After": "2", "Location": "/hook"})


class Patient(asyncio.SelectorEventLoop):
    """A loop on which a timeout comes when somebody says so, however long the machine takes."""

    ahead = 0.0

    def time(self) -> float:
        """Seconds."""
        return super().time() + self.ahead


async def outlast() -> None:
    """Say nothing until the others have had their answers and whoever waits has lost patience."""
    for _ in range(100):
        await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Patient)
    loop.ahead += 2 * TIMEOUT
    await asyncio.Event().wait()


def run(delivering: Coroutine[Any, Any, list[Any]]) -> list[Any]:
    with asyncio.Runner(loop_factory=Patient) as runner:
        return runner.run(delivering)


async def deliver(server: Moody, folder: Path, hours: int) -> list[Any]:
    """Deliver everything to the server while time runs fast; the receipts."""
    application = web.Application()
    application.router.add_post("/hook", server.take)
    runner = web.AppRunner(application, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    hook = Webhook(url, SECRET, allow_private=True, timeout=TIMEOUT)
    rows, clock = MemoryRows(), Ticking()
    lease = Lease(folder)
    delivery = Delivery(Sends(rows), {("shop", "email"): hook}, Allowed(), clock, lease)
    given = Given(intent(f"p{number}", expires_at=clock.now() + hours * HOUR) for number in range(COUNT))
    while clock.now() < intent().decided_at + 4 * DAY:
        delivery.turn(given)
        if delivery._flying:
            await asyncio.wait(delivery._flying)
        elif delivery.sends.counts.taken and not delivery.sends.counts.open:
            break
        else:
            clock.pass_(30 * SECOND if clock.now() % HOUR else 90 * SECOND)
    await delivery.finish(given)
    await hook.close()
    await runner.cleanup()
    lease.close()
    packed = rows.parts.get("receipts", [])
    return [derived.fact for payload, _ in packed for derived in unpack_many(payload, Derived)]


@pytest.mark.parametrize(
    ("seed", "share", "hours"),
    [
        (1, 0.3, 72),
        (2, 0.7, 2),
        pytest.param(3, 0.7, 72, marks=pytest.mark.slow),
        pytest.param(4, 1.0, 72, marks=pytest.mark.slow),
        pytest.param(5, 1.0, 1, marks=pytest.mark.slow),
    ],
)
def test_receipts_say_what_the_server_knows(tmp_path: Path, seed: int, share: float, hours: int) -> None:
    server = Moody(seed, share)
    receipts = run(deliver(server, tmp_path, hours))
    assert len({fact.key for fact in receipts}) == len(receipts) == COUNT
    assert set(server.taken.values()) <= {1}
    for fact in receipts:
        if fact.state == "sent":
            assert fact.key in server.taken
        elif fact.state == "refused":
            assert fact.key not in server.taken
    if share < 0.5:
        assert {fact.state for fact in receipts} == {"sent"}


def test_a_gone_endpoint_gets_one_burst_and_everything_ends(tmp_path: Path) -> None:
    server = Moody(1, 0.0)
    server.gone = True
    receipts = run(deliver(server, tmp_path, 2))
    assert len(receipts) == COUNT
    assert {fact.state for fact in receipts} == {"refused"}
    assert {fact.code for fact in receipts} <= {"410", "EXPIRED"}
