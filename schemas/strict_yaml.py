"""YAML without surprises: what stands in the file is what you get, and every refusal names its line.

The scalars are those of YAML 1.2's core schema and no more, so that `NO` and `22:30` stay text. Tags, anchors,
aliases, merge keys, duplicate keys, several documents, and files that are too large or too deep are refused.

>>> node, problems = parse("after: [4h, 22:30]\\nstop: NO\\n", "a.yaml")
>>> plain(node)
{'after': ['4h', '22:30'], 'stop': 'NO'}
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml  # type: ignore[import-untyped]
from msgspec import Struct
from yaml import events

MAX_BYTES = 256 * 1024
MAX_DEPTH = 24
MAX_NODES = 20_000
MAX_PROBLEMS = 100

_NULL = re.compile(r"null|Null|NULL|~|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})?\.[0-9]{1,17}|[-+]?(0|[1-9][0-9]{0,17})\.")


class Problem(Struct, frozen=True, order=True):
    """One thing that is wrong in a file: where (lines count from 1), and what was expected, what came, what to do."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


class Node(Struct, frozen=True):
    """A value and the line on which it starts: text, a number, a truth value, None, a list or a mapping of nodes."""

    line: int
    value: str | int | float | bool | list[Node] | dict[str, Node] | None


class _Stop(Exception):
    """Reading further makes no sense."""


def parse(text: str, file: str) -> tuple[Node | None, list[Problem]]:
    """The document in `text` and everything that is wrong with it; no node where nothing could be made of it."""
    reader = _Reader(file)
    node: Node | None = None
    try:
        reader.guard_size(text)
        node = reader.document(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        reader.report(*_syntax(error, text))
    except _Stop:
        pass
    return node, reader.problems


def plain(node: Node | None) -> Any:
    """The bare values, without their lines."""
    value = node.value if node else None
    if isinstance(value, dict):
        return {key: plain(child) for key, child in value.items()}
    if isinstance(value, list):
        return [plain(child) for child in value]
    return value


def scalar(text: str) -> str | int | float | bool | None:
    """The value of an unquoted word. A number with a leading zero, an exponent or a base is text: nothing is guessed.

    >>> [scalar(word) for word in ("NO", "22:30", "0o17", "017", "17", "1.5", "true", "~")]
    ['NO', '22:30', '0o17', '017', 17, 1.5, True, None]
    """
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


def _syntax(error: yaml.YAMLError, text: str) -> tuple[int, str]:
    """Line and wording of an error that the scanner found."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        found = getattr(error, "problem", None) or getattr(error, "context", None)
        return mark.line + 1, f"expected YAML, {found}; mend the line or put the text in quotes"
    position = getattr(error, "position", 0)
    character = text[position : position + 1]
    return text.count("\n", 0, position) + 1, f"expected printable text, got {character!r}; remove the character"


class _Reader:
    """Builds nodes from parser events. The parser itself does not recurse, so the depth limit here is the only one."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._nodes = 0

    def report(self, line: int, text: str) -> None:
        self.problems.append(Problem(self.file, line, text))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _Stop

    def guard_size(self, text: str) -> None:
        size = len(text.encode("utf-8", "surrogatepass"))
        if size > MAX_BYTES:
            self.report(1, f"expected at most {MAX_BYTES} bytes, got {size}; split the file")
            raise _Stop

    def document(self, stream: Iterator[events.Event]) -> Node | None:
        """The one document of a stream; None for an empty one."""
        next(stream)  # the stream's start
        start = next(stream)
        if isinstance(start, events.StreamEndEvent):
            return None
        if start.version or start.tags:
            self.report(_line(start), "expected plain YAML, got a % directive; remove it")
        node = self._node(next(stream), stream, 0)
        next(stream)  # the document's end
        after = next(stream)
        if not isinstance(after, events.StreamEndEvent):
            self.report(_line(after), "expected one document a file, got another after '---'; put it in its own file")
        return node

    def _node(self, event: events.Event, stream: Iterator[events.Event], depth: int) -> Node:
        self._guard(event, depth)
        line = _line(event)
        if isinstance(event, events.SequenceStartEvent):
            return Node(line, self._sequence(stream, depth))
        if isinstance(event, events.MappingStartEvent):
            return Node(line, self._mapping(stream, depth))
        if isinstance(event, events.ScalarEvent):
            return Node(line, scalar(event.value) if _bare(event) else event.value)
        return Node(line, None)  # an alias, reported by the guard

    def _guard(self, event: events.Event, depth: int) -> None:
        self._nodes += 1
        line = _line(event)
        if self._nodes > MAX_NODES:
            self.report(line, f"expected at most {MAX_NODES} values in a file, got more; split it")
            raise _Stop
        if depth > MAX_DEPTH:
            self.report(line, f"expected at most {MAX_DEPTH} levels, got more; flatten it")
            raise _Stop
        if isinstance(event, events.AliasEvent):
            self.report(line, f"expected a value, got the alias *{event.anchor}; write the value out")
        elif event.anchor is not None:
            self.report(line, f"expected a value, got the anchor &{event.anchor}; remove it and write values out")
        if getattr(event, "tag", None) is not None:
            self.report(line, f"expected a value, got the tag {event.tag}; remove it")

    def _sequence(self, stream: Iterator[events.Event], depth: int) -> list[Node]:
        items = []
        while not isinstance(event := next(stream), events.SequenceEndEvent):
            items.append(self._node(event, stream, depth + 1))
        return items

    def _mapping(self, stream: Iterator[events.Event], depth: int) -> dict[str, Node]:
        fields: dict[str, Node] = {}
        while not isinstance(event := next(stream), events.MappingEndEvent):
            key = self._key(event, depth)
            value = self._node(next(stream), stream, depth + 1)
            if key in fields:
                first = fields[key].line
                self.report(_line(event), f"expected each key once, got {key!r} again (see line {first}); remove one")
            elif key is not None:
                fields[key] = value
        return fields

    def _key(self, event: events.Event, depth: int) -> str | None:
        """A key is always the text that stands there, `NO` and `1` included."""
        if not isinstance(event, events.ScalarEvent):
            self.report(_line(event), "expected a word as key, got a list, a mapping or an alias; use a word")
            raise _Stop
        self._guard(event, depth)
        if event.value == "<<" and _bare(event):
            self.report(_line(event), "expected a key, got the merge key <<; write the fields out")
            return None
        return str(event.value)


def _bare(event: events.ScalarEvent) -> bool:
    """Whether a scalar stands there without quotes."""
    return event.style is None


def _line(event: events.Event) -> int:
    return int(event.start_mark.line) + 1
