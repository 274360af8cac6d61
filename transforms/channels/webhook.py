"""Standard Webhooks 1.0: signed HTTP posts to a shop's own endpoint. Class A: the `webhook-id` is the send key."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Self
from urllib.parse import urlsplit

import msgspec
from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout, InvalidURL, TCPConnector

from schemas.records import DAY, SECOND, Message
from transforms.channels import ChannelError
from transforms.channels.addresses import PrivateAddress, PublicResolver, is_public
from transforms.channels.secret import resolve, variable_of
from transforms.logic.delivery import ACCEPTED, AGAIN, CONFLICT, GONE, NEVER, Answer, Sink

TIMEOUT = 20.0
LIMIT = 20_000


class Secret:
    """Signing keys that show themselves nowhere; several while one replaces another."""

    __slots__ = ("_keys",)

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._keys = keys

    @classmethod
    def resolve(cls, reference: str, environment: Mapping[str, str] = os.environ) -> Self:
        """The secret that `secret://NAME` stands for: RAPPORT_SECRET_NAME, `whsec_…`, several parted by spaces."""
        variable = variable_of(reference)
        value = resolve(reference, "whsec_ and base64", environment).reveal()
        return cls(tuple(_key(part, variable) for part in value.split()))

    def sign(self, content: bytes) -> str:
        """The `webhook-signature` header: one v1 signature a key."""
        macs = (hmac.digest(key, content, "sha256") for key in self._keys)
        return " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs)

    def __repr__(self) -> str:
        return "Secret(***)"


def _key(text: str, variable: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    if not 24 <= len(key) <= 64:
        raise ChannelError(f"secret: expected 24 to 64 bytes as whsec_ and base64 in {variable}, got something else")
    return key


class Webhook:
    """Posts to `url`. Private addresses are refused unless `allow_private`; `now` is real time in seconds."""

    sink = Sink("A", window=4 * DAY, limit=LIMIT, rate=500.0)

    def __init__(
        self,
        url: str,
        secret: Secret,
        *,
        allow_private: bool = False,
        timeout: float = TIMEOUT,
        now: Callable[[], float] = time.time,
    ) -> None:
        _check(url, allow_private)
        self.place = url
        self._secret = secret
        self._now = now
        self._allow_private = allow_private
        self._timeout = ClientTimeout(total=timeout)
        self._session: ClientSession | None = None

    async def send(self, message: Message) -> Answer:
        """One signed POST; redirects are not followed and the answer's body is not read."""
        body = payload(message)
        if len(body) >= self.sink.limit:
            return Answer(NEVER, "too_large")
        try:
            async with self._opened().post(
                self.place, data=body, headers=self._headers(message.key, body), allow_redirects=False
            ) as response:
                return judge(response.status, response.headers.get("Retry-After", ""), self._now())
        except PrivateAddress:
            return Answer(NEVER, "private_address")
        except (InvalidURL, ClientConnectorError) as error:
            private = isinstance(getattr(error, "os_error", None), PrivateAddress)
            return Answer(NEVER, "private_address") if private else Answer(AGAIN, "unreachable", throttle=True)
        except TimeoutError:
            return Answer(AGAIN, "timeout", doubt=True)
        except (ClientError, OSError):
            return Answer(AGAIN, "broken", doubt=True)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> ClientSession:
        if self._session is None:
            resolver = None if self._allow_private else PublicResolver()
            self._session = ClientSession(
                connector=TCPConnector(resolver=resolver, limit=self.sink.lanes),
                timeout=self._timeout,
                trust_env=False,
                auto_decompress=False,
            )
        return self._session

    def _headers(self, key: str, body: bytes) -> dict[str, str]:
        stamp = str(int(self._now()))
        return {
            "content-type": "application/json",
            "user-agent": "rapport",
            "webhook-id": key,
            "webhook-timestamp": stamp,
            "webhook-signature": self._secret.sign(b".".join((key.encode(), stamp.encode(), body))),
        }


def payload(message: Message) -> bytes:
    """The body of a message's post: the same bytes at every attempt."""
    data = {
        "key": message.key,
        "tenant": message.tenant,
        "person": message.person,
        "campaign": message.campaign,
        "step": message.step,
        "channel": message.channel,
        "to": message.to,
        "class": message.klass,
        "category": message.category,
        "message": msgspec.Raw(message.body),
    }
    decided = datetime.fromtimestamp(message.decided_at / SECOND, UTC).isoformat().replace("+00:00", "Z")
    return msgspec.json.encode({"type": "message.send", "timestamp": decided, "data": data})


def judge(status: int, retry_after: str, now: float) -> Answer:
    """What an HTTP status means for a send. Only 2xx is success; `now` (seconds) places a Retry-After date."""
    code = str(status)
    if 200 <= status < 300:
        return Answer(ACCEPTED, code)
    if status in (409, 422):
        return Answer(CONFLICT, code)
    if status == 410:
        return Answer(GONE, code)
    throttle = status in (429, 502, 503, 504)
    doubt = status == 408 or (status >= 500 and status != 503)
    return Answer(AGAIN, code, doubt, throttle, _delay(retry_after, now) if throttle else None)


def _delay(text: str, now: float) -> int | None:
    """Microseconds that a Retry-After header asks for, None if it says nothing that can be read."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return int(text[:9]) * SECOND
    try:
        return int((parsedate_to_datetime(text).timestamp() - now) * SECOND)
    except (ValueError, OverflowError):
        return None


def _check(url: str, allow_private: bool) -> None:
    parts = urlsplit(url)
    schemes = ("https", "http") if allow_private else ("https",)
    if parts.scheme not in schemes or not parts.hostname:
        raise ChannelError(f"url: expected {schemes[0]}://host/…, got scheme {parts.scheme!r}; change the sink's url")
    if _is_literal(parts.hostname) and not allow_private and not is_public(parts.hostname):
        raise ChannelError(f"url: expected a public address, got {parts.hostname}; allow private ones in the sink only")


def _is_literal(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
