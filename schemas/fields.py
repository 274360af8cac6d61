"""Typed settings out of strict YAML: each field is taken once, and every mistake is noted where it stands.

A wrong field yields its default, so that reading goes on and all problems of a workspace are reported together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from difflib import get_close_matches
from typing import Any, TypeVar

from schemas.records import DAY, HOUR, MINUTE, SECOND
from schemas.strict_yaml import Node, Problem, plain

T = TypeVar("T")

UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
LONGEST = 3_660 * DAY

_DURATION = re.compile(r"(0|[1-9][0-9]{0,8})([smhd])")
_SHARE = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?%")


def duration(text: object) -> int:
    """Microseconds of a duration such as 30s, 30m, 4h or 7d; raises ValueError for anything else."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None or (length := int(match[1]) * UNITS[match[2]]) > LONGEST:
        raise ValueError("a duration such as 30m, 4h or 7d")
    return length


def share(text: object) -> int:
    """Ten-thousandths of a share such as 10% or 2.5%; raises ValueError for anything else."""
    match = _SHARE.fullmatch(text) if isinstance(text, str) else None
    if match is None or (parts := int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))) > 10_000:
        raise ValueError("a share from 0% to 100%, such as 10%")
    return parts


def word(value: object) -> str:
    """One line of text that is not empty; raises ValueError for anything else."""
    if not isinstance(value, str) or not value.strip() or not value.strip().isprintable():
        raise ValueError("one line of text")
    return value.strip()


def truth(value: object) -> bool:
    """True or false; raises ValueError for anything else, yes and no included."""
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def whole(low: int, high: int) -> Callable[[object], int]:
    """A reader of whole numbers from `low` to `high`."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return read


def amount(value: object) -> int:
    """Hundredths of an amount such as 50 or 49.90; raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10**12:
        raise ValueError("an amount such as 50 or 49.90")
    return round(value * 100)


def one_of(names: Collection[str]) -> Callable[[object], str]:
    """A reader of one of the given words; proposes the nearest."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError(f"one of {', '.join(sorted(names))}{nearest(value, names)}")
        return value

    return read


def nearest(value: object, names: Iterable[str]) -> str:
    """ " (did you mean …?)" where one of the names comes close, else nothing."""
    found = get_close_matches(str(value), list(names), n=1, cutoff=0.6)
    return f" (did you mean {found[0]}?)" if found else ""


class Notes:
    """The problems found so far in one file."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self.file = file
        self._problems = problems

    def add(self, line: int, text: str) -> None:
        self._problems.append(Problem(self.file, line, text))


class Fields:
    """The fields of one mapping. Take each with its reader; `done` then reports what nobody took."""

    def __init__(self, node: Node | None, notes: Notes, what: str) -> None:
        self.line = node.line if node else 1
        self.what = what
        self.notes = notes
        self._asked: list[str] = []
        self._left: dict[str, Node] = {}
        if node is not None and isinstance(node.value, dict):
            self._left = dict(node.value)
        elif node is not None:
            self.note(self.line, f"expected fields of {what}, got {shown(node)}; write name: value")

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def note(self, line: int, text: str) -> None:
        self.notes.add(line, text)

    def names(self) -> list[str]:
        """The names that nobody has taken yet."""
        return list(self._left)

    def line_of(self, name: str) -> int:
        """Where a field that is still there stands; the mapping's own line if it is not there."""
        return self._left[name].line if name in self._left else self.line

    def node(self, name: str) -> Node | None:
        """Take a field as it stands."""
        self._asked.append(name)
        return self._left.pop(name, None)

    def need(self, name: str, read: Callable[[object], T], default: T) -> T:
        """A field that must be there."""
        if name not in self._left:
            self._asked.append(name)
            self.note(self.line, f"expected {name} in {self.what}, got none; add it{self._misspelt(name)}")
            return default
        return self.take(name, read, default)

    def take(self, name: str, read: Callable[[object], T], default: T) -> T:
        """A field that may be missing."""
        node = self.node(name)
        return default if node is None else self._read(name, node, read, default)

    def many(self, name: str, read: Callable[[object], T], default: tuple[T, ...]) -> tuple[T, ...]:
        """A list, or one value in place of a list of one."""
        node = self.node(name)
        if node is None:
            return default
        items = node.value if isinstance(node.value, list) else [node]
        values = [self._read(name, item, read, None) for item in items]
        found = tuple(value for value in values if value is not None)
        if len(set(found)) < len(found):
            self.note(node.line, f"{name}: expected each value once, got {shown(node)}; remove the repeated one")
        return found

    def child(self, name: str, what: str) -> Fields | None:
        """A mapping inside this one, None where there is none."""
        node = self.node(name)
        return None if node is None else Fields(node, self.notes, what)

    def children(self, name: str, what: str) -> list[Fields]:
        """A list of mappings."""
        node = self.node(name)
        if node is None:
            return []
        if not isinstance(node.value, list):
            self.note(node.line, f"{name}: expected a list, got {shown(node)}; begin each entry with a dash")
            return []
        return [Fields(item, self.notes, what) for item in node.value]

    def done(self) -> None:
        """Report every field that nobody asked for."""
        for name, node in self._left.items():
            hint = nearest(name, self._asked) or f"; known are {', '.join(self._asked)}"
            self.note(node.line, f"expected fields of {self.what}, got {name}{hint}")

    def _misspelt(self, name: str) -> str:
        found = get_close_matches(name, list(self._left), n=1, cutoff=0.7)
        return f" ({found[0]} on line {self._left[found[0]].line} comes close)" if found else ""

    def _read(self, name: str, node: Node, read: Callable[[object], T], default: Any) -> Any:
        try:
            return read(plain(node))
        except ValueError as error:
            self.note(node.line, f"{name}: expected {error}, got {shown(node)}")
            return default


def shown(node: Node) -> str:
    """A value as an error message shows it: short, on one line."""
    if isinstance(node.value, dict):
        return "a mapping"
    text = repr(plain(node))
    return text if len(text) <= 60 else f"{text[:57]}…"
