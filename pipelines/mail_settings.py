"""How mails leave, read from its fields: the server, who writes, who signs."""

from __future__ import annotations

import re
from email.utils import parseaddr

from schemas.fields import Fields, one_of, whole, word
from schemas.workspace import Dkim, MailServer

PORTS = {"implicit": 465, "starttls": 587, "none": 25}
"""What each kind of encryption is usually offered on."""

_SECRET = re.compile(r"secret://[A-Za-z][A-Za-z0-9_-]{0,63}")
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
_SELECTOR = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?")
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_LONGEST_NAME = 64


def mail_server(entry: Fields) -> MailServer:
    """The fields of a sink of kind smtp."""
    tls = entry.take("tls", one_of(PORTS), "starttls")
    name, address = entry.need("from", sender, ("", ""))
    line = entry.line_of("user")
    user = entry.take("user", word, "")
    found = MailServer(
        host=entry.need("host", _host, ""),
        port=entry.take("port", whole(1, 65_535), PORTS[tls]),
        tls=tls,
        name=name,
        address=address,
        reply_to=entry.take("reply_to", _address, ""),
        user=user,
        password=entry.need("password", secret, "") if user else "",
        dkim=_dkim(entry.child("dkim", "dkim")),
        connections=entry.take("connections", whole(1, 64), 4),
        rate=entry.take("rate", whole(1, 10_000), 10),
        again=entry.take("in_doubt", one_of(("leave", "again")), "leave") == "again",
    )
    if user and tls == "none":
        entry.note(line, "user: expected encryption where a password is sent; set tls to starttls or implicit")
    return found


def sender(value: object) -> tuple[str, str]:
    """Name and address of who writes; raises ValueError for anything else."""
    name, address = parseaddr(value) if isinstance(value, str) and value.isprintable() else ("", "")
    if not _ADDRESS.fullmatch(address) or len(name) > _LONGEST_NAME:
        raise ValueError("a name and an address such as Fernweh <hello@fernweh.example>")
    return name, address


def secret(value: object) -> str:
    """A reference to a secret; raises ValueError for anything else."""
    if not isinstance(value, str) or not _SECRET.fullmatch(value):
        raise ValueError("a reference secret://NAME (the value itself stands in RAPPORT_SECRET_NAME, never here)")
    return value


def _dkim(entry: Fields | None) -> Dkim | None:
    if entry is None:
        return None
    found = Dkim(entry.need("domain", _host, ""), entry.need("selector", _selector, ""), entry.need("key", secret, ""))
    entry.done()
    return found


def _host(value: object) -> str:
    if not isinstance(value, str) or not _HOST.fullmatch(value):
        raise ValueError("the name of a host such as smtp.example.org")
    return value


def _selector(value: object) -> str:
    if not isinstance(value, str) or not _SELECTOR.fullmatch(value):
        raise ValueError("a selector such as rapport, as in rapport._domainkey.example.org")
    return value


def _address(value: object) -> str:
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise ValueError("an address such as help@example.org")
    return value
