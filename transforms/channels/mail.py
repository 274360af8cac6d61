"""Mail by SMTP: a sink of class C, which neither honours keys nor can be asked.

Each attempt tracks how far its dialogue got. Until the content is on its way, whatever fails is surely not sent; from
then on only the server's answer to the final dot tells, and without it the mail is in doubt.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import cast

from aiosmtplib import SMTP, SMTPException, SMTPResponseException
from aiosmtplib.protocol import SMTPProtocol

from schemas.records import DAY, Message
from transforms.channels.letter import Letterhead, Unwritable, ascii_address
from transforms.channels.secret import Hidden
from transforms.logic.delivery import ACCEPTED, AGAIN, NEVER, Answer, Sink

LIMIT = 10 << 20
DEADLINE = 60.0
MOST = 100
"""Mails over one connection; many servers end those that bring more."""

IMPLICIT, STARTTLS, NONE = "implicit", "starttls", "none"

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\S)")
_FIRST_DOT = re.compile(rb"^\.", re.MULTILINE)
_LOGIN = frozenset((530, 534, 535, 538))

log = logging.getLogger("rapport.sender")


class Phase(IntEnum):
    """How far a dialogue has got: what is asked of the server now."""

    SESSION = 0
    SENDER = 1
    RECIPIENT = 2
    CONTENT = 3


@dataclass(frozen=True, slots=True)
class Server:
    """Where mails are handed in. `tls` is implicit, starttls or none; `context` replaces the machine's trust."""

    host: str
    port: int
    tls: str = STARTTLS
    user: str = ""
    password: Hidden | None = None
    context: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """What the server bears: connections at a time, mails a second, seconds for one whole dialogue.

    `again` sends a mail in doubt again: its readers may then get it twice, where otherwise they may not get it.
    """

    connections: int = 4
    rate: float = 10.0
    deadline: float = DEADLINE
    again: bool = False


class Mail:
    """Hands mails to one server, over connections that are kept as long as they work."""

    def __init__(self, server: Server, letterhead: Letterhead, pace: Pace = Pace()) -> None:
        self.sink = Sink(
            "C", 4 * DAY, LIMIT, pace.connections, pace.rate, max(pace.rate, float(pace.connections)), pace.again
        )
        self.place = f"smtp://{server.host}:{server.port}"
        self._server, self._letterhead, self._pace = server, letterhead, pace
        self._idle: list[tuple[SMTP, int]] = []

    async def send(self, message: Message) -> Answer:
        """One dialogue, within the deadline as a whole however slowly the server talks."""
        try:
            to, letter = ascii_address(message.to), self._letterhead.write(message)
        except Unwritable as error:
            return Answer(NEVER, str(error))
        if len(letter) > LIMIT:
            return Answer(NEVER, "too_large")
        talk = Talk(self._letterhead.address, to, letter)
        try:
            async with asyncio.timeout(self._pace.deadline):
                return await self._hold(talk)
        except TimeoutError:
            answer = broken(talk.phase, "timeout")
        except SMTPResponseException as error:
            answer = judge(talk.phase, error.code, error.message)
        except (SMTPException, OSError) as error:
            answer = broken(talk.phase, _name(talk.phase, error))
        if talk.phase == Phase.SESSION:
            log.warning("%s cannot be talked to (%s); its mails wait", self.place, answer.code)
        return answer

    async def close(self) -> None:
        """Take leave of the server and close the connections."""
        while self._idle:
            client, _ = self._idle.pop()
            with suppress(SMTPException, OSError, TimeoutError):
                await client.quit(timeout=1.0)
            client.close()

    async def _hold(self, talk: Talk) -> Answer:
        client, used = await self._connected()
        kept = False
        try:
            answer = await talk.hold(client)
            kept = client.is_connected and used < MOST
        finally:  # also when the sender breaks the attempt off
            if kept:
                self._idle.append((client, used))
            else:
                client.close()
        return answer

    async def _connected(self) -> tuple[SMTP, int]:
        """A connection that works, without anything left of the mail before, and its mails with this one."""
        while self._idle:
            client, used = self._idle.pop()
            if await _is_fresh(client):
                return client, used + 1
        return await self._open(), 1

    async def _open(self) -> SMTP:
        server = self._server
        client = SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls == IMPLICIT,
            start_tls=server.tls == STARTTLS,
            tls_context=server.context,
            username=server.user or None,
            password=server.password.reveal() if server.password else None,
            local_hostname=self._letterhead.domain,
            timeout=self._pace.deadline,
        )
        try:
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
        except BaseException:
            client.close()
            raise
        return client


def _name(phase: Phase, error: Exception) -> str:
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return "tls"
    return "broken" if phase else "unreachable"


async def _is_fresh(client: SMTP) -> bool:
    with suppress(SMTPException, OSError, TimeoutError):
        if client.is_connected and (await client.execute_command(b"RSET", timeout=5.0)).code == 250:
            return True
    client.close()
    return False


class Talk:
    """One mail's dialogue over an open connection; `phase` stays where it ended."""

    def __init__(self, sender: str, to: str, letter: bytes) -> None:
        self.phase = Phase.SESSION
        self._sender, self._to, self._letter = sender.encode(), to.encode(), letter

    async def hold(self, client: SMTP) -> Answer:
        """The server's answer. Raises what aiosmtplib raises."""
        size = [b"SIZE=%d" % len(self._letter)] if client.supports_extension("size") else []
        asked = (
            (Phase.SENDER, (b"MAIL", b"FROM:<%s>" % self._sender, *size), (250,)),
            (Phase.RECIPIENT, (b"RCPT", b"TO:<%s>" % self._to), (250, 251)),
            (Phase.RECIPIENT, (b"DATA",), (354,)),
        )
        for phase, command, expected in asked:
            self.phase = phase
            response = await client.execute_command(*command)
            if response.code not in expected:
                return judge(phase, response.code, response.message)
        return await self._content(client)

    async def _content(self, client: SMTP) -> Answer:
        """From here on only the answer tells whether the mail was taken."""
        protocol = cast("SMTPProtocol", client.protocol)
        self.phase = Phase.CONTENT
        protocol.write(_FIRST_DOT.sub(b"..", self._letter) + b".\r\n")
        response = await protocol.read_response()
        if response.code == 421:
            client.close()
        return judge(self.phase, response.code, response.message)


def judge(phase: Phase, code: int, text: str) -> Answer:
    """What a reply means for a send, by its code and where it came; its text, which may hold addresses, is not kept.

    A refused session or sender is the sink's trouble, not the mail's: it waits until somebody has mended that.
    """
    found = _ENHANCED.match(text)
    status = found[0] if found else ""
    shown = f"{code} {status}".rstrip()
    if phase == Phase.CONTENT and 200 <= code < 300:
        return Answer(ACCEPTED, shown)
    if not 400 <= code < 600:
        return broken(phase, "nonsense")
    mine = phase >= Phase.RECIPIENT and code not in _LOGIN
    if code == 552 or (code >= 500 and mine):
        return Answer(NEVER, shown)
    return Answer(AGAIN, shown, throttle=code in (421, *_LOGIN) or code >= 500 or not phase or status[:4] == "4.3.")


def broken(phase: Phase, code: str) -> Answer:
    """A dialogue without an end: in doubt only if the content was on its way."""
    doubt = phase == Phase.CONTENT
    return Answer(AGAIN, code, doubt=doubt, throttle=not doubt)
