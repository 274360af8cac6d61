"""The door's HTTP side: what SDKs post, cut into entries, answered once they are durable.

The path decides what a body is, never its content type. An answer of 200 means that the record is in the journal and
that whoever it says must not be written to, is not. Content is judged later: a 4xx only makes SDKs send it again.
"""

from __future__ import annotations

import math
from base64 import b64decode
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines import greet
from pipelines.callers import Caller, Callers, UnknownKey
from pipelines.commit import Committer
from schemas.records import TRUSTED
from transforms.logic.intake import REQUEST_BYTES, TooLarge
from transforms.logic.posted import POSTHOG, SNOWPLOW, cut

_CALLS = ("track", "identify", "page", "alias", "group", "screen")
PATHS = {
    **{f"/v1/{call[0]}": call for call in _CALLS},
    **{f"/v1/{call}": call for call in _CALLS},
    **{f"/api/s/{call}": call for call in _CALLS},
    **{f"/api/s/s2s/{call}": call for call in _CALLS},
    "/v1/batch": "batch",
    "/v1/b": "batch",
    "/beacon/v1/batch": "batch",
    "/v1/mentions": "mention",
    "/v1/receipts": "receipt",
    **{f"/{path}{end}": POSTHOG for path in ("batch", "capture", "e", "i/v0/e", "track") for end in ("", "/")},
    **dict.fromkeys(("/com.snowplowanalytics.snowplow/tp2", "/i"), SNOWPLOW),
}
"""What each path takes."""

_PIXEL = "/i"
"""Where Snowplow sends one event as a query and wants an image."""

_SERVER_ONLY = ("mention", "receipt")
"""What anybody could forge with a key that stands in a web page: words in somebody's mouth, fates of messages."""

_ENCODINGS = (b"", b"identity", b"gzip", b"x-gzip")

Headers = list[tuple[bytes, bytes]]


class Refused(Exception):
    """A request that is not taken: HTTP status, a reason to count, a sentence, and when to come again (seconds)."""

    def __init__(self, status: int, reason: str, sentence: str, after: float = 0.0) -> None:
        super().__init__(sentence)
        self.status, self.reason, self.after = status, reason, after


@dataclass(slots=True)
class Tally:
    """What the door's HTTP side did since it started."""

    requests: int = 0
    records: int = 0
    refused: Counter[str] = field(default_factory=Counter)


class Receiver:
    """An ASGI app: takes what is posted to PATHS; everything else goes to `pages`."""

    def __init__(self, callers: Callers, committer: Committer, pages: ASGIApp) -> None:
        self._callers, self._committer, self._pages = callers, committer, pages
        self.tally = Tally()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        call = PATHS.get(path)
        if call is None and not greet.greets(path):
            await self._pages(scope, receive, send)
            return
        self.tally.requests += 1
        headers = dict(scope["headers"])
        try:
            if call is None:
                start, body = self._greet(path, scope["method"], scope["query_string"], headers)
            elif scope["method"] == "POST":
                await self._take(call, scope["query_string"], headers, receive)
                start, body = _TAKEN
            elif scope["method"] == "GET" and path == _PIXEL:
                query = scope["query_string"]
                await self._commit(call, query, self._callers.of_request(headers, query))
                start, body = _IMAGE
            else:
                start, body = _preflight(scope["method"], headers)
        except (Refused, UnknownKey, TooLarge) as error:
            start, body = self._refuse(error)
        if b"origin" in headers:
            start = {**start, "headers": start["headers"] + _allowing(headers[b"origin"])}
        await send(start)
        await send(body)

    async def _take(self, call: str, query: bytes, headers: dict[bytes, bytes], receive: Receive) -> None:
        """Return once everything in the request is durable."""
        caller = self._callers.of_request(headers, query)
        _plain_or_gzip(headers.get(b"content-encoding", b""))
        await self._commit(call, await _read(receive, int(headers.get(b"content-length", b"0"))), caller)

    async def _commit(self, call: str, body: bytes, caller: Caller | None) -> None:
        """Return once everything in a body is durable; without a `caller` yet, it names its write key itself."""
        found = cut(call, body)
        if caller is None:
            caller = self._callers.of_key(found.write_key)
        if call in _SERVER_ONLY and caller.trust != TRUSTED:
            raise Refused(403, "browser_key", f"expected a server key: a {call} is not taken from a browser")
        self._admit(caller.tenant, max(len(found.pieces), len(body) >> 10))
        taken = self._committer.take(caller, found.pieces)
        if not await taken.durable():
            raise Refused(503, "disk", "the journal cannot be written now; send it again", after=5)
        self.tally.records += len(found.pieces)
        if taken.unheard:
            raise _unheard(taken.unheard)

    def _greet(self, path: str, method: str, query: bytes, headers: dict[bytes, bytes]) -> tuple[Message, Message]:
        """What an SDK asks before it sends."""
        if method not in ("GET", "POST"):
            return _preflight(method, headers)
        document = greet.open_to_all(path)
        if document is None:
            caller = self._callers.of_request(headers, query) or self._callers.of_key("")
            document = greet.keyed(path, caller)
        return _answer(200, document, [])

    def _admit(self, tenant: str, cost: int) -> None:
        if self._committer.full:
            raise Refused(503, "busy", "too much waits for the disk; send it again", after=1)
        after = self._callers.rates.wait(tenant, cost)
        if after:
            raise Refused(429, "rate", "more records than this tenant may send at once; send it again", after)

    def _refuse(self, error: Refused | UnknownKey | TooLarge) -> tuple[Message, Message]:
        if isinstance(error, UnknownKey):
            error = Refused(401, "unknown_key", str(error))
        elif isinstance(error, TooLarge):
            error = Refused(413, "too_large", str(error))
        self.tally.refused[error.reason] += 1
        after = [(b"retry-after", b"%d" % math.ceil(error.after))] if error.after else []
        return _answer(error.status, {"success": False, "error": str(error)}, after)


def _unheard(places: tuple[int, ...]) -> Refused:
    """Never a yes to an opt-out that nobody applies."""
    sentence = (
        f"record {places[0] + 1} may be an opt-out and could not be applied ({len(places)} such here): expected JSON "
        "in UTF-8 with a customer id, e-mail, phone or handle; mend it and send it again; all others were taken"
    )
    return Refused(400, "opt_out", sentence)


def _plain_or_gzip(encoding: bytes) -> None:
    if encoding.strip().lower() not in _ENCODINGS:
        raise Refused(415, "encoding", "expected a body as it is or in gzip; send it without another encoding")


async def _read(receive: Receive, announced: int) -> bytes:
    """The whole body. Raises TooLarge as soon as it is known to be."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        chunks, size = [body], len(body)
        while message.get("more_body") and max(size, announced) <= REQUEST_BYTES:
            message = await receive()
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
        body = b"".join(chunks)
    if message["type"] == "http.disconnect":
        raise Refused(400, "gone", "the caller left before the body was complete")
    if max(len(body), announced) > REQUEST_BYTES:
        raise TooLarge(f"expected a body of at most {REQUEST_BYTES} bytes; send smaller batches")
    return body


def _answer(status: int, content: Mapping[str, Any] | None, more: Headers) -> tuple[Message, Message]:
    body = msgspec.json.encode(dict(content)) if content is not None else b""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *more]
    start = {"type": "http.response.start", "status": status, "headers": headers}
    return start, {"type": "http.response.body", "body": body}


_TAKEN = _answer(200, {"success": True}, [])
_DOT = b64decode("R0lGODlhAQABAIAAAAAAAAAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")
_IMAGE: tuple[Message, Message] = (
    {
        "type": "http.response.start",
        "status": 200,
        "headers": [
            (b"content-type", b"image/gif"),
            (b"content-length", b"%d" % len(_DOT)),
            (b"cache-control", b"no-store"),
        ],
    },
    {"type": "http.response.body", "body": _DOT},
)
"""One transparent dot."""


def _preflight(method: str, headers: dict[bytes, bytes]) -> tuple[Message, Message]:
    """What a browser asks before it posts across origins."""
    if method != "OPTIONS":
        raise Refused(405, "method", "expected POST")
    asked = headers.get(b"access-control-request-headers", b"content-type")
    allowed = [
        (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
        (b"access-control-allow-headers", asked),
        (b"access-control-max-age", b"86400"),
    ]
    return _answer(204, None, allowed)


def _allowing(origin: bytes) -> Headers:
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"vary", b"Origin"),
    ]
