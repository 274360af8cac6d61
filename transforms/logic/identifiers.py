"""Identifiers in one spelling each, or none: a wrong one joins two strangers, a missing one only costs a link.

Words that programs send for want of an id (`null`, `undefined`, `test@…`) are nobody's.
"""

from __future__ import annotations

import re

LONGEST = 200
_LONGEST_EMAIL = 254
_NOBODY = frozenset(
    (
        "",
        "null",
        "undefined",
        "none",
        "nil",
        "nan",
        "n/a",
        "na",
        "-",
        "0",
        "-1",
        "true",
        "false",
        "anonymous",
        "guest",
        "unknown",
        "test",
        "user",
        "userid",
        "user_id",
        "anonymousid",
        "[object object]",
        "00000000-0000-0000-0000-000000000000",
    )
)
_NOBODYS_MAILBOX = frozenset(("test", "null", "undefined", "none", "example", "noreply", "no-reply"))
_EMAIL = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@(?:[a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}"
)
_PHONE_MARKS = re.compile(r"[\s().\-/]+")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_NAME = re.compile(r"[\w.\-]{1,64}(?:@[a-z0-9.\-]{1,100})?")
NETWORKS = (
    "twitter",
    "x",
    "instagram",
    "facebook",
    "mastodon",
    "bluesky",
    "linkedin",
    "reddit",
    "telegram",
    "tiktok",
    "youtube",
)
_SAME_NETWORK = {"x": "twitter"}


def opaque(value: object) -> str:
    """A customer id or a cookie: as it came, without surrounding space; empty if it is nobody's or cannot be shown."""
    text = value.strip() if isinstance(value, str) else _text(value)
    return "" if len(text) > LONGEST or text.lower() in _NOBODY or not text.isprintable() else text


def email(value: object) -> str:
    """One address in lower case; empty for anything else, so that no list and no line break ever passes for one."""
    if not isinstance(value, str) or len(value) > _LONGEST_EMAIL + 20:
        return ""
    text = value.strip().lower()
    if len(text) > _LONGEST_EMAIL or not text.isascii() or not _EMAIL.fullmatch(text):
        return ""
    mailbox = text[: text.index("@")]
    return "" if len(mailbox) > 64 or mailbox in _NOBODYS_MAILBOX else text


def phone(value: object) -> str:
    """A number in E.164 (`+48601234567`); empty without a country code or for anything else."""
    if not isinstance(value, str) or len(value) > 40 or not value.isascii():
        return ""
    text = _PHONE_MARKS.sub("", value)
    text = "+" + text[2:] if text.startswith("00") else text
    return text if _PHONE.fullmatch(text) else ""


def handle(network: str, name: object) -> str:
    """A name on a network, `network:name` in lower case; empty for anything else."""
    if not isinstance(name, str) or len(name) > LONGEST:
        return ""
    where = network.strip().lower()
    who = name.strip().lower().removeprefix("@")
    if not where.isalnum() or not where.isascii() or who in _NOBODY or not _NAME.fullmatch(who) or not who.isascii():
        return ""
    return f"{_SAME_NETWORK.get(where, where)}:{who}"


def is_nobody(value: object) -> bool:
    """Whether this is sent for want of a name: nothing, or a word that programs have for it."""
    if not isinstance(value, str):
        return value in (None, False, 0, [], {})
    text = value.strip().lower()
    return text in _NOBODY or text.partition("@")[0] in _NOBODYS_MAILBOX


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer() and value < 1e15:
        value = int(value)
    return str(value) if isinstance(value, int) and value is not True and 0 < value < 1 << 128 else ""
