"""What can still be made of a broken body: its good records, and what a bad one says about not being written to.

    {"batch":[{"type":"page"},{"type":"track","event":"\\ud800"}]}  ->  two records, the second one unreadable alone

Everything here reads more than JSON allows (NaN, halves of surrogate pairs, invalid UTF-8, control characters), costs
time in proportion to the body, and is only asked for bodies that the strict readers refused.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from json.decoder import JSONDecoder
from typing import Any, NamedTuple

LONGEST = 256 * 1024
"""A record beyond this size is not read any more, only looked at; no SDK sends one."""

LEAPS = 100
"""Records of one batch that cannot be read and are still told apart; each costs the reader a look at all before it."""

LEAP = 128 * 1024
"""Bytes of such records that are searched for their ends, all together."""

_GZIP, _NESTED = b"\x1f\x8b", 3
_BLANK = re.compile(r"[ \t\r\n]*")
_SCALAR = re.compile(r"[^,\]]*")
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
_LONE = re.compile("[\ud800-\udfff]")
_LETTER = re.compile(r"\\u00([2-7][0-9a-fA-F])")
_SEPARATORS = str.maketrans("", "", "\0 _-.:/\t")
_OPT_OUTS = ("unsubscri", "consent", "optout", "spam", "complain")
"""What the name of an opt-out, or a field of one, holds in every spelling."""

_KEY = rb'"(?:%s)"\s{0,9}:\s{0,9}"([^"\\]{1,200})"'
_decoder = JSONDecoder(strict=False, parse_int=str, parse_constant=lambda _: None)


class Opened(NamedTuple):
    """The records of a batch and its clock, as their bytes; what follows a place that nothing can read is the last."""

    records: list[bytes]
    sent_at: bytes


def opened(body: bytes, field: str, most: int, clock: str = "sentAt") -> Opened | None:
    """The records under `field`; stops after more than `most`. None if the body has no such list.

    `clock` is the field that says when the body left.
    """
    reader = _Reader(body)
    found: list[bytes] | None = None
    sent_at = b""
    try:
        for name in reader.names():
            if name == field and reader.past("["):
                found = reader.records(most)
            elif name == clock:
                sent_at = reader.bytes_of_value()
            else:
                reader.value()
    except (ValueError, RecursionError):
        pass  # from here on nobody can tell what belongs to what
    if found is None:
        return None
    rest = body[reader.at :].strip()
    return Opened([*found, rest] if rest else found, sent_at)


def key_in(body: bytes, names: bytes = b"writeKey") -> str:
    """The write key that stands in a body which cannot be decoded, under one of `names` (a|b); "" if none."""
    found = re.search(_KEY % names, body)
    return found[1].decode("ascii", "replace") if found else ""


class _Reader:
    """Walks through a body. Every byte is one letter here, so that places in the text are places in the body."""

    def __init__(self, body: bytes) -> None:
        self._body, self._text = body, body.decode("latin-1")
        self.at = 0
        self._leaps, self._leap = LEAPS, LEAP

    def past(self, mark: str) -> bool:
        """Whether `mark` comes next, behind blanks; then the reader stands behind it."""
        blank = _BLANK.match(self._text, self.at)
        self.at = blank.end() if blank else self.at
        if not self._text.startswith(mark, self.at):
            return False
        self.at += len(mark)
        return True

    def _over(self) -> bool:
        """Whether nothing but blanks comes."""
        self.past("")
        return self.at >= len(self._text)

    def value(self) -> Any:
        """The next value. Raises ValueError, RecursionError and stays where it is."""
        self.past("")
        found, self.at = _decoder.raw_decode(self._text, self.at)
        return found

    def names(self) -> Iterator[Any]:
        """The names of an object's fields; whoever asks for the next one has read the value of the last."""
        more = self.past("{") and not self.past("}")
        while more:
            name = self.value()
            if not self.past(":"):
                return
            yield name
            more = self.past(",")
            if not more:
                self.past("}")

    def bytes_of_value(self) -> bytes:
        """The next value as it stands in the body. Raises as `value`."""
        self.past("")
        start = self.at
        self.value()
        return self._body[start : self.at]

    def records(self, most: int) -> list[bytes]:
        """The elements of a list up to its end; one that cannot be read is passed over by its brackets."""
        found: list[bytes] = []
        more = not self.past("]")
        while more and not self._over() and len(found) <= most:
            start = self.at
            try:
                self.value()
            except (ValueError, RecursionError):
                self.at = self._end(start)
            found.append(self._body[start : self.at].strip())
            more = self.past(",")
        self.past("]")
        return found

    def _end(self, start: int) -> int:
        """Where an element ends that cannot be read; the end of the body if that cannot be told at a fair price."""
        self._leaps -= 1
        if self._leaps < 0:
            return len(self._text)
        if self._text[start] not in "{[":
            scalar = _SCALAR.match(self._text, start)
            return scalar.end() if scalar else start
        depth, limit = 0, start + self._leap
        for token in _TOKEN.finditer(self._text, start, limit):
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
            if not depth:
                self._leap -= token.end() - start
                return token.end()
        self._leap = 0
        return len(self._text)


def plain(body: bytes) -> bytes:
    """The body, unpacked as far as it can be if it is gzip, in several layers perhaps."""
    for _ in range(_NESTED):
        if body[:2] != _GZIP:
            break
        try:
            body = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body, LONGEST)
        except zlib.error:
            break
    return body


def record_in(body: bytes) -> dict[str, Any] | None:
    """The object in a body of at most `LONGEST` bytes, read with every leniency: what cannot be text becomes U+FFFD."""
    if len(body) > LONGEST:
        return None
    text = _text(body).lstrip("\ufeff")
    try:
        found = _decoder.decode(text)
        if "\\u" in text:
            found = _decoder.decode(_clean(found))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def encoded(record: dict[str, Any]) -> bytes:
    """A record as clean JSON."""
    return _clean(record).encode()


def may_refuse(body: bytes) -> bool:
    """Whether somebody who reads the body could take it for an opt-out."""
    text = _text(body)
    if "\\u00" in text:
        text = _LETTER.sub(lambda found: chr(int(found[1], 16)), text)
    text = text.lower().translate(_SEPARATORS)
    return any(word in text for word in _OPT_OUTS)


def _clean(value: Any) -> str:
    """JSON without halves of surrogate pairs and without NULs."""
    return _LONE.sub("\ufffd", json.dumps(value, ensure_ascii=False).replace("\\u0000", "\ufffd"))


def _text(body: bytes) -> str:
    return body.decode(json.detect_encoding(body), "replace")
