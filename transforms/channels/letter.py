"""A message as a mail: text and HTML, headers in any script, the same bytes at every attempt; signed if there is a key.

Header values are printable ASCII by the time they are put together, whatever a message holds: no line can be added.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.charset import QP, Charset
from email.header import Header
from email.message import Message as Part
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from hashlib import blake2b
from typing import Protocol

import msgspec

from schemas.records import SECOND, Message

ONE_CLICK = "List-Unsubscribe=One-Click"
"""What a mail program posts to the address in `List-Unsubscribe` (RFC 8058)."""

_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?=.{1,255}$)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_LINK = re.compile(r"https?://[!-;=?-~]{1,900}")
_UTF8 = Charset("utf-8")
_UTF8.body_encoding = QP


class Unwritable(ValueError):
    """A message that makes no mail: its code says what is wrong, never what the message holds."""


class Signer(Protocol):
    """Gives the DKIM-Signature header, with its line end, of a whole mail."""

    def __call__(self, letter: bytes) -> bytes: ...


class _Parts(msgspec.Struct):
    subject: str = ""
    text: str = ""
    html: str = ""
    unsubscribe_url: str = ""


class Letterhead:
    """What all mails of a sink have in common: who writes, where answers go, who signs."""

    def __init__(self, name: str, address: str, reply_to: str = "", sign: Signer | None = None) -> None:
        self.address = ascii_address(address)
        self._from = formataddr((_line(name), self.address))
        self._reply_to = ascii_address(reply_to) if reply_to else ""
        self.domain = self.address.rpartition("@")[2]
        self._sign = sign

    def write(self, message: Message) -> bytes:
        """The whole mail, lines ending in CRLF. Raises Unwritable."""
        try:
            parts = msgspec.json.decode(message.body, type=_Parts)
        except msgspec.MsgspecError:
            raise Unwritable("unreadable_body") from None
        head = "".join(f"{name}: {value}\r\n" for name, value in self._fields(message, parts).items() if value)
        letter = head.encode("ascii") + _body(parts, message.key).as_bytes(policy=SMTP)
        return self._sign(letter) + letter if self._sign else letter

    def _fields(self, message: Message, parts: _Parts) -> dict[str, str]:
        decided = datetime.fromtimestamp(message.decided_at // SECOND, UTC)
        link = parts.unsubscribe_url if _LINK.fullmatch(parts.unsubscribe_url) else ""
        return {
            "From": self._from,
            "To": ascii_address(message.to),
            "Reply-To": self._reply_to,
            "Subject": _encoded(_line(parts.subject), "Subject"),
            "Date": format_datetime(decided),
            "Message-ID": f"<{message_name(message.key)}@{self.domain}>",
            "List-Unsubscribe": f"<{link}>" if link else "",
            "List-Unsubscribe-Post": ONE_CLICK if link else "",
        }


def message_name(key: str) -> str:
    """The left side of the Message-ID of a send key: the key itself unless it is none that we made."""
    return key if re.fullmatch(r"[0-9a-f-]{1,80}", key) else blake2b(key.encode(), digest_size=16).hexdigest()


def ascii_address(address: str) -> str:
    """An address as SMTP without extensions takes it, its domain in punycode. Raises Unwritable."""
    local, at, domain = address.rpartition("@")
    try:
        found = local + at + domain.encode("idna").decode()
    except UnicodeError:
        found = ""
    if not _ADDRESS.fullmatch(found):
        raise Unwritable("bad_address")
    return found


def _body(parts: _Parts, key: str) -> Part:
    plain = MIMEText(_clean(parts.text), "plain", _UTF8)  # type: ignore[arg-type]
    if not parts.html:
        return plain
    # "=_" cannot stand in quoted-printable text, so no content can hold the boundary
    both = MIMEMultipart("alternative", f"=_{blake2b(key.encode(), digest_size=12).hexdigest()}")
    both.attach(plain)
    both.attach(MIMEText(_clean(parts.html), "html", _UTF8))  # type: ignore[arg-type]
    return both


def _clean(text: str) -> str:
    """Text with one kind of line end."""
    return "\n".join(text.splitlines()) + "\n"


def _line(text: str) -> str:
    """One line of what can be printed."""
    seen = "".join(each if each.isprintable() else " " for each in text[:900])
    return " ".join(seen.split())


def _encoded(text: str, name: str) -> str:
    """A header's text in ASCII, folded, in encoded words where it has to be."""
    if text.isascii() and "=?" not in text:
        return text
    return Header(text, "utf-8", header_name=name).encode(linesep="\r\n")
