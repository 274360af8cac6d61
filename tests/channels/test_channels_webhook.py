"""Standard Webhooks against a real HTTP server that answers as it is told."""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver
from intents import intent

from schemas.records import HOUR, SECOND, Message
from transforms.channels import ChannelError
from transforms.channels.addresses import PrivateAddress, PublicResolver, is_public
from transforms.channels.webhook import LIMIT, Secret, Webhook, judge, payload
from transforms.logic.delivery import ACCEPTED, AGAIN, CONFLICT, GONE, NEVER, Answer

KEY = b"k" * 32
WHSEC = "whsec_" + base64.b64encode(KEY).decode()
NOW = 1_800_000_000.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def secret(value: str = WHSEC) -> Secret:
    return Secret.resolve("secret://shop", {"RAPPORT_SECRET_SHOP": value})


def post(handler: Handler, *messages: Message, timeout: float = 5.0) -> list[Answer]:
    """Send messages one after another to a server on loopback."""

    async def whole() -> list[Answer]:
        application = web.Application()
        application.router.add_post("/hook", handler)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        url = f"http://127.0.0.1:{port}/hook"
        hook = Webhook(url, secret(), allow_private=True, timeout=timeout, now=lambda: NOW)
        answers = [await hook.send(message) for message in messages]
        await hook.close()
        await runner.cleanup()
        return answers

    return asyncio.run(whole())


def test_a_post_is_signed_as_the_standard_says() -> None:
    seen: list[tuple[Any, bytes]] = []

    async def take(request: web.Request) -> web.Response:
        seen.append((request.headers, await request.read()))
        return web.Response()

    assert post(take, intent()) == [Answer(ACCEPTED, "200")]
    headers, body = seen[0]
    assert headers["webhook-id"] == intent().key
    assert headers["webhook-timestamp"] == str(int(NOW))
    signed = f"{intent().key}.{int(NOW)}.".encode() + body
    expected = base64.b64encode(hmac.digest(KEY, signed, "sha256")).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert msgspec.json.decode(body)["data"]["message"] == {"subject": "Hello", "text": "Welcome, ana"}


def test_the_body_is_the_same_at_every_attempt() -> None:
    bodies = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.Response(status=500)

    post(take, intent(), intent())
    assert bodies[0] == bodies[1] == payload(intent())


def test_keys_in_rotation_sign_together() -> None:
    both = secret(f"{WHSEC} whsec_{base64.b64encode(b'n' * 24).decode()}")
    first, second = both.sign(b"content").split(" ")
    assert first != second
    assert first == secret().sign(b"content")


STATUSES = {
    200: Answer(ACCEPTED, "200"),
    204: Answer(ACCEPTED, "204"),
    301: Answer(AGAIN, "301"),
    307: Answer(AGAIN, "307"),
    400: Answer(AGAIN, "400"),
    401: Answer(AGAIN, "401"),
    404: Answer(AGAIN, "404"),
    408: Answer(AGAIN, "408", doubt=True),
    409: Answer(CONFLICT, "409"),
    410: Answer(GONE, "410"),
    422: Answer(CONFLICT, "422"),
    429: Answer(AGAIN, "429", throttle=True),
    500: Answer(AGAIN, "500", doubt=True),
    502: Answer(AGAIN, "502", doubt=True, throttle=True),
    503: Answer(AGAIN, "503", throttle=True),
    504: Answer(AGAIN, "504", doubt=True, throttle=True),
    507: Answer(AGAIN, "507", doubt=True),
}


@pytest.mark.parametrize("status", STATUSES)
def test_what_a_status_means(status: int) -> None:
    assert judge(status, "", NOW) == STATUSES[status]


@pytest.mark.parametrize(
    ("text", "delay"),
    [
        ("30", 30 * SECOND),
        (" 30 ", 30 * SECOND),
        ("0", 0),
        ("99999999999999999999", 999_999_999 * SECOND),
        ("Fri, 15 Jan 2027 09:00:00 GMT", HOUR),
        ("Thu, 01 Jan 1970 00:00:00 GMT", -int(NOW) * SECOND),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("٣", None),
    ],
)
def test_what_a_retry_after_asks_for(text: str, delay: int | None) -> None:
    assert judge(429, text, NOW).retry_after == delay


def test_a_redirect_is_not_followed() -> None:
    asked = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(request.path)
        raise web.HTTPFound("/hook")

    assert post(elsewhere, intent()) == [Answer(AGAIN, "302")]
    assert len(asked) == 1


def test_a_sink_that_hangs_is_left_in_doubt_after_the_timeout() -> None:
    async def hang(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    assert post(hang, intent(), timeout=0.1) == [Answer(AGAIN, "timeout", doubt=True)]


def test_a_lost_answer_is_a_doubt() -> None:
    async def lose(request: web.Request) -> web.Response:
        await request.read()
        assert request.transport
        request.transport.close()
        return web.Response()

    assert post(lose, intent()) == [Answer(AGAIN, "broken", doubt=True)]


def test_a_refused_connection_is_no_doubt() -> None:
    async def whole() -> Answer:
        hook = Webhook("http://127.0.0.1:9/hook", secret(), allow_private=True)
        answer = await hook.send(intent())
        await hook.close()
        return answer

    assert asyncio.run(whole()) == Answer(AGAIN, "unreachable", throttle=True)


def test_a_body_too_large_for_the_standard_never_leaves() -> None:
    async def take(request: web.Request) -> web.Response:
        raise AssertionError

    assert post(take, intent(body=b'{"text":"' + b"x" * LIMIT + b'"}')) == [Answer(NEVER, "too_large")]


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111"])
def test_public_addresses_may_be_called(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "192.0.0.192",
        "192.88.99.1",
        "198.18.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:93.184.216.34",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "2001:0:1::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fc00::1",
        "ff02::1",
        "no address",
    ],
)
def test_private_and_disguised_addresses_may_not(address: str) -> None:
    assert not is_public(address)


class Pretending(AbstractResolver):
    """Resolves every name to the same addresses."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[Any]:
        return [
            {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}
            for address in self._addresses
        ]

    async def close(self) -> None:
        return None


def test_a_name_with_one_private_address_is_refused() -> None:
    resolver = PublicResolver(Pretending("93.184.216.34", "169.254.169.254"))
    with pytest.raises(PrivateAddress, match=r"169\.254\.169\.254"):
        asyncio.run(resolver.resolve("rebinding.example", 443))


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1"])
def test_names_and_odd_spellings_of_loopback_never_connect(host: str) -> None:
    async def whole() -> Answer:
        hook = Webhook(f"https://{host}/hook", secret())
        answer = await hook.send(intent())
        await hook.close()
        return answer

    try:
        answer = asyncio.run(whole())
    except ChannelError:
        return
    assert answer.verdict != ACCEPTED
    assert answer.code == "private_address"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://shop.example/hook", "expected https"),
        ("ftp://shop.example/hook", "expected https"),
        ("https:///hook", "expected https"),
        ("https://127.0.0.1/hook", "public address"),
        ("https://[::1]/hook", "public address"),
        ("https://10.1.2.3/hook", "public address"),
    ],
)
def test_a_url_that_cannot_be_is_refused_at_once(url: str, problem: str) -> None:
    with pytest.raises(ChannelError, match=problem):
        Webhook(url, secret())


# --- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "whsec_", "whsec_short", "whsec_!!!", "whsec_" + "A" * 200])
def test_a_secret_that_is_missing_or_odd_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(ChannelError, match="RAPPORT_SECRET_SHOP") as raised:
        secret(value)
    assert not value.removeprefix("whsec_") or value not in str(raised.value)


def test_a_secret_is_only_taken_by_reference() -> None:
    with pytest.raises(ChannelError, match="reference") as raised:
        Secret.resolve(WHSEC)
    assert WHSEC not in str(raised.value)


def test_a_secret_never_shows_itself() -> None:
    assert repr(secret()) == str(secret()) == "Secret(***)"
    assert "k" * 8 not in repr(vars(type(secret()))) + f"{secret()}"
