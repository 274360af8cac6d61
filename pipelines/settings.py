"""The smaller settings of a workspace, each read from its fields: caps, RFM cuts, sinks, keys, names."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pipelines.mail_settings import mail_server, secret
from schemas.fields import Fields, amount, duration, nearest, one_of, shown, truth, whole, word
from schemas.records import CLAIMED, DAY, HOUR, MINUTE, TRUSTED
from schemas.strict_yaml import plain
from schemas.triggers import PARTS
from schemas.workspace import Brand, Cap, Cuts, Sink, WriteKey

S = TypeVar("S")

FREQUENCY = (2, 3, 4, 6)
"""Lower bounds of the scores 2 to 5: orders 1, 2, 3, 4-5, 6 and more."""

_IDENTIFIER = re.compile(r"[a-z][a-z0-9]*([._-][a-z0-9]+)*")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
_HANDLE = re.compile(r"[a-z][a-z0-9]*:[^\s:@A-Z]{1,64}")
_KEY = re.compile(r"[A-Za-z0-9_-]{16,128}")
_BASE = re.compile(r"https?://[A-Za-z0-9._:/~-]{1,200}")


def finished(entry: Fields, setting: S) -> S:
    """The setting, once every field that nobody asked for is reported."""
    entry.done()
    return setting


def identifier(value: object) -> str:
    """A name in lower case; raises ValueError for anything else."""
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value) or len(value) > 64:
        raise ValueError("a name of small letters, digits and dashes, such as web-shop")
    return value


def language(value: object) -> str:
    """A language code; raises ValueError for anything else."""
    if not isinstance(value, str) or not _LANGUAGE.fullmatch(value):
        raise ValueError("a language such as en, pl or pt-BR")
    return value


def timezone(value: object) -> str:
    """A zone that exists; raises ValueError for anything else."""
    zones = available_timezones()
    if not isinstance(value, str) or value not in zones:
        raise ValueError(f"a time zone such as Europe/Warsaw{nearest(value, zones)}")
    return value


def write_key(entry: Fields) -> WriteKey:
    """Who may post, with which key."""
    name = entry.need("name", identifier, "")
    key = entry.need("key", _key, "")
    return finished(entry, WriteKey(name, key, entry.need("trust", one_of((TRUSTED, CLAIMED)), CLAIMED)))


def brand(entry: Fields) -> Brand:
    """A name with the words and handles that mean it; the name itself counts as a word."""
    name = entry.need("name", word, "")
    words = entry.many("words", word, ())
    handles = entry.many("handles", _handle, ())
    return finished(entry, Brand(name, tuple(dict.fromkeys((name, *words))), handles))


def sink(entry: Fields, channel: str) -> Sink:
    """Where a channel's messages go."""
    kinds = ("recorder", "webhook", "smtp") if channel == "email" else ("recorder", "webhook")
    kind = entry.need("sink", one_of(kinds), "recorder")
    if kind == "recorder":
        return finished(entry, Sink(kind))
    if kind == "smtp":
        return finished(entry, Sink(kind, mail=mail_server(entry)))
    private = entry.take("allow_private", truth, False)
    url = entry.need("url", _any_url if private else _url, "")
    return finished(entry, Sink(kind, url, entry.need("secret", secret, ""), allow_private=private))


def caps(fields: Fields) -> tuple[Cap, ...]:
    """At most ten rules, all of which must hold."""
    line = fields.line_of("caps")
    found = [
        finished(
            entry,
            Cap(
                "*" if (channel := entry.need("channel", one_of(("any", *PARTS)), "any")) == "any" else channel,
                entry.need("most", whole(1, 1000), 1),
                entry.need("within", _window, HOUR),
            ),
        )
        for entry in fields.children("caps", "a cap")
    ]
    if len(found) > 10:
        fields.note(line, f"caps: expected at most 10, got {len(found)}; remove some")
    return tuple(found)


def cuts(fields: Fields) -> Cuts:
    """RFM cut points; the defaults of `docs/workspace.md` where the file says nothing."""
    entry = fields.child("rfm", "rfm")
    if entry is None:
        return Cuts("default", (30, 90, 180, 365), FREQUENCY, (50_00, 200_00, 500_00, 1000_00))
    days, orders = whole(0, 3_660), whole(1, 100_000)
    found = Cuts(
        entry.take("version", identifier, "default"),
        _four(entry, "recency", days, (30, 90, 180, 365)),
        _four(entry, "frequency", orders, FREQUENCY),
        _four(entry, "monetary", amount, (50_00, 200_00, 500_00, 1000_00)),
    )
    return finished(entry, found)


def links(fields: Fields) -> str:
    """Where people reach the door; empty if nowhere."""
    entry = fields.child("links", "links")
    return "" if entry is None else finished(entry, entry.need("base", _base, "")).rstrip("/")


Four = tuple[int, int, int, int]


def _four(entry: Fields, name: str, read: Callable[[object], int], default: Four) -> Four:
    """Four rising bounds between the scores 1 to 5."""
    node = entry.node(name)
    if node is None:
        return default
    values = plain(node)
    try:
        found = [read(value) for value in values] if isinstance(values, list) else []
    except ValueError as error:
        entry.note(node.line, f"{name}: expected {error} four times, got {shown(node)}")
        return default
    if len(found) != 4 or any(low >= high for low, high in pairwise(found)):
        entry.note(node.line, f"{name}: expected four rising numbers, got {shown(node)}")
        return default
    return found[0], found[1], found[2], found[3]


def _window(value: object) -> int:
    window = duration(value)
    if not MINUTE <= window <= 30 * DAY:
        raise ValueError("a duration from 1m to 30d")
    return window


def _key(value: object) -> str:
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise ValueError("a key of 16 to 128 letters, digits, _ and -")
    return value


def _handle(value: object) -> str:
    if not isinstance(value, str) or not _HANDLE.fullmatch(value):
        raise ValueError("network:name in small letters and without @, such as chirp:fernweh")
    return value


def _url(value: object) -> str:
    if not _is_url(value, ("https",)):
        raise ValueError("an address such as https://example.org/hook, without a password in it")
    return str(value)


def _any_url(value: object) -> str:
    """An address inside one's own network may do without encryption."""
    if not _is_url(value, ("https", "http")):
        raise ValueError("an address such as http://10.0.0.7/hook, without a password in it")
    return str(value)


def _base(value: object) -> str:
    """An address that mail programs may post to: encrypted, unless it is this machine."""
    here = isinstance(value, str) and urlsplit(value).hostname in ("localhost", "127.0.0.1")
    if not _is_url(value, ("https", "http") if here else ("https",)) or not _BASE.fullmatch(str(value)):
        raise ValueError("an address such as https://example.org/rapport")
    return str(value)


def _is_url(value: object, schemes: tuple[str, ...]) -> bool:
    parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
    return parts.scheme in schemes and bool(parts.hostname) and not parts.username
