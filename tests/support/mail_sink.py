"""An SMTP server in the test's own loop that answers as it is told and keeps what it took: the truth about mails."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter, deque
from email import message_from_bytes
from email.message import Message as Parsed
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from patience import outlast

HANG, DROP = "hang", "drop"
"""Instead of a reply: say nothing more; end the connection."""


class MailSink:
    """Listens on loopback within `async with`. `told` holds replies per command (MAIL, RCPT, DATA), used up in order.

    A reply to DATA that begins with "taken " means: the mail counts as taken, whatever is then said of it.
    """

    def __init__(self, context: ssl.SSLContext | None = None, *, implicit: bool = False) -> None:
        self.told: dict[str, deque[str]] = {name: deque() for name in ("MAIL", "RCPT", "DATA")}
        self.taken: list[bytes] = []
        self.senders: list[str] = []
        self.to: list[str] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.encrypted: list[bool] = []
        self.connections = 0
        self.port = 0
        self._context, self._implicit = context, implicit
        self._open: set[Any] = set()

    def tell(self, command: str, *replies: str) -> MailSink:
        """Answer the next commands of a kind like this."""
        self.told[command] += replies
        return self

    @property
    def names(self) -> Counter[str]:
        """How often each Message-ID was taken."""
        return Counter(each["Message-ID"] for each in self.mails)

    @property
    def mails(self) -> list[Parsed]:
        return [message_from_bytes(each) for each in self.taken]

    async def __aenter__(self) -> MailSink:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._protocol, "127.0.0.1", 0, ssl=self._context if self._implicit else None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for each in self._open:
            if each.transport is not None and not each.transport.is_closing():  # TLS of 3.11.2 takes it once only
                each.transport.abort()
            if each._handler_coroutine is not None:
                each._handler_coroutine.cancel()
        ending = [each._handler_coroutine for each in self._open if each._handler_coroutine]
        await asyncio.gather(*ending, return_exceptions=True)
        await self._server.wait_closed()

    def _protocol(self) -> SMTP:
        self.connections += 1
        context = None if self._implicit else self._context
        made = SMTP(
            self,
            hostname="sink.example",
            tls_context=context,
            authenticator=self._login,
            auth_require_tls=not self._implicit,
        )
        self._open.add(made)
        return made

    def _login(self, _: SMTP, __: Session, ___: Envelope, ____: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"right", handled=False)

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, _: Any) -> str:
        envelope.mail_from = address
        return await self._reply("MAIL", server, "250 OK")

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, _: Any) -> str:
        reply = await self._reply("RCPT", server, "250 OK")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        told = self.told["DATA"][0] if self.told["DATA"] else "taken 250 OK"
        if told.startswith("taken "):
            self.taken.append(bytes(envelope.original_content or b""))
            self.senders.append(str(envelope.mail_from))
            self.to += envelope.rcpt_tos
            self.encrypted.append(session.ssl is not None or self._implicit)
        return await self._reply("DATA", server, "taken 250 OK")

    async def _reply(self, command: str, server: SMTP, otherwise: str) -> str:
        told = self.told[command].popleft() if self.told[command] else otherwise
        told = told.removeprefix("taken ")
        if told == HANG:
            await outlast()
        if told == DROP:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            await asyncio.Event().wait()
        return told
