"""Where somebody leaves a list: the page behind the link in a message, and what mail programs post by themselves.

Looking changes nothing, because mail scanners follow every link. A post (RFC 8058: no cookie, no login, no redirect) is
answered once nothing can be sent to that person any more, as any other opt-out.
"""

from __future__ import annotations

import json
import secrets
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from pipelines.accept import Desk
from pipelines.callers import Caller
from schemas.records import CLAIMED
from transforms.logic.intake import cut_line
from transforms.logic.leaving import PATH, Leaving, NoToken, is_over, opened

SOURCE = "unsubscribe"
"""The source of these records in the journal. They vouch for nobody; refusing is believed of everybody."""

_HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
    "content-security-policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
}
_UNKNOWN = (
    404,
    "This link does not work",
    "It is incomplete, or was never one of ours. Please open it again from the whole message, or write to the sender.",
)
_OVER = (
    410,
    "This link is too old",
    "Please use the link in a newer message, or write to the sender: they must stop when you say so.",
)
_LATER = (503, "Not now", "Your wish could not be saved. Please try again in a minute.")


def routes(desk: Desk) -> list[Route]:
    """The door's pages for leaving."""
    return [Route(PATH + "{token}", Exit(desk).answer, methods=["GET", "POST"])]


class Exit:
    """Shows and does what the links of one installation stand for."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._secret = desk, desk.config.secret()

    async def answer(self, request: Request) -> HTMLResponse:
        """A page for whoever looks, a change for whoever posts."""
        try:
            leaving = opened(self._secret, request.path_params["token"])
        except NoToken:
            return _page(*_UNKNOWN)
        if leaving.tenant not in self._desk.tenants:
            return _page(*_UNKNOWN)
        if is_over(leaving, self._desk.now()):
            return _page(*_OVER)
        everything = request.query_params.get("all") == "1"
        if request.method != "POST":
            return _asking(leaving)
        if not await self._left(leaving, everything):
            return _page(*_LATER, headers={"retry-after": "5"})
        what = "messages that you did not ask for" if everything else f"“{leaving.category}” messages"
        return _page(200, "You have unsubscribed", f"{leaving.tenant} will send you no more {what}.")

    async def _left(self, leaving: Leaving, everything: bool) -> bool:
        """Whether it is durable and counts; False if the disk is full or behind."""
        if self._desk.committer.full:
            return False
        piece = cut_line(json.dumps(said(leaving, everything)).encode())
        taken = self._desk.committer.take(Caller(leaving.tenant, CLAIMED, SOURCE), [piece])
        return await taken.durable() and not taken.unheard


def said(leaving: Leaving, everything: bool) -> dict[str, Any]:
    """The call that somebody's shop would have made of it."""
    who = {"userId": leaving.value} if leaving.kind == "customer" else {}
    traits = {} if who else {leaving.kind: leaving.value}
    what: dict[str, Any] = {"all": True} if everything else {"category": leaving.category}
    called = {"type": "track", "event": "Unsubscribed", "messageId": f"unsubscribe-{secrets.token_hex(16)}"}
    return {**called, **who, "context": {"traits": traits}, "properties": what}


def _asking(leaving: Leaving) -> HTMLResponse:
    category = escape(leaving.category)
    forms = (
        f'<form method="post" action="?"><button>No more “{category}” messages</button></form>'
        '<form method="post" action="?all=1"><button>Only what my orders and account need</button></form>'
    )
    return _page(200, "Unsubscribe?", f"Which messages should {leaving.tenant} not send you any more?", forms)


def _page(status: int, title: str, text: str, more: str = "", headers: dict[str, str] | None = None) -> HTMLResponse:
    """A whole page without anything from elsewhere."""
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>' + title + "</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1"></head>'
        f"<body><main><h1>{title}</h1><p>{escape(text)}</p>{more}</main></body></html>"
    )
    return HTMLResponse(body, status, {**_HEADERS, **(headers or {})})
