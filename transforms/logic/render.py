"""Words: templates with hard limits, in the person's language, frozen as the bytes that will leave.

The language is Jinja2, cut down to what cannot run away: output, conditions, loops (two deep) over what the message is
about, and a few filters. No calls, assignments, macros, ranges, products or powers, so work and memory are bounded by
template size times data size; the output is cut off at 64 KB as an error.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from jinja2 import ChainableUndefined, Template, TemplateError, UndefinedError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from schemas.workspace import Content

UNSUBSCRIBE = "unsubscribe_url"
"""A word of marketing messages that also stands in their bodies by itself, for channels that have a place for it."""

MOST = 64 * 1024
_DEEPEST = 2
_LONGEST = 1000
_FILTERS = (
    *("capitalize", "count", "d", "default", "e", "escape", "first", "join", "last"),
    *("length", "lower", "title", "trim", "truncate", "upper"),
)
_ALLOWED = (
    nodes.Add,
    nodes.And,
    nodes.Compare,
    nodes.Concat,
    nodes.CondExpr,
    nodes.Const,
    nodes.Filter,
    nodes.For,
    nodes.Getattr,
    nodes.Getitem,
    nodes.If,
    nodes.Keyword,
    nodes.Name,
    nodes.Neg,
    nodes.Not,
    nodes.Operand,
    nodes.Or,
    nodes.Output,
    nodes.Sub,
    nodes.Template,
    nodes.TemplateData,
    nodes.Test,
)

_ERRORS = (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError)
"""How a template fails for some words."""


class RenderFailed(Exception):
    """The words of a message cannot be made: a forbidden or broken template, a missing language, too much text."""


class UnknownWord(RenderFailed):
    """In a trial: the template speaks of an attribute that its value never has."""


class _Known(ChainableUndefined):
    """For trials: what a person has not told, or an item behind the last, is empty; a misspelt attribute fails."""

    def __init__(
        self, hint: str | None = None, obj: Any = missing, name: Any = None, exc: Any = UndefinedError
    ) -> None:
        super().__init__(hint, obj, name, exc)
        if obj is not missing and isinstance(name, str):
            known = f": known are {', '.join(obj.__struct_fields__)}" if isinstance(obj, msgspec.Struct) else ""
            raise UnknownWord(f"expected a word that is there, got {name}{known}")


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, which need not find out anew for each of our own frozen values that it is harmless."""

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        return (isinstance(obj, msgspec.Struct) and attr[0] != "_") or super().is_safe_attribute(obj, attr, value)


def _environment(*, autoescape: bool, undefined: type[ChainableUndefined] = ChainableUndefined) -> _Sandbox:
    made = _Sandbox(autoescape=autoescape, undefined=undefined, trim_blocks=False)
    made.filters = {name: made.filters[name] for name in _FILTERS}
    made.globals = {}
    return made


_TEXT = _environment(autoescape=False)
_HTML = _environment(autoescape=True)
_TRIAL = _environment(autoescape=False, undefined=_Known)


@lru_cache(maxsize=4096)
def compiled(source: str, *, html: bool = False) -> Template:
    """A template ready to render. Raises RenderFailed, saying what is not allowed and where."""
    if len(source) > MOST:
        raise RenderFailed(f"expected a template of at most {MOST} characters, got {len(source)}")
    environment = _HTML if html else _TEXT
    try:
        _check(environment.parse(source), 0)
        return environment.from_string(source)
    except TemplateError as error:
        raise RenderFailed(f"expected a template, {error}") from error
    except (RecursionError, MemoryError, SyntaxError) as error:  # of Jinja's parser, or of Python's
        raise RenderFailed("expected a template with less inside each other, got too much; split it") from error


def _check(node: nodes.Node, depth: int) -> None:
    if not isinstance(node, _ALLOWED):
        raise RenderFailed(f"line {node.lineno}: {type(node).__name__.lower()} is not allowed in templates")
    if isinstance(node, nodes.For):
        depth += 1
        if depth > _DEEPEST or node.recursive or not isinstance(node.iter, nodes.Name | nodes.Getattr):
            raise RenderFailed(f"line {node.lineno}: loops go over a named list, at most {_DEEPEST} deep")
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        raise RenderFailed(f"line {node.lineno}: {node.attr} is not allowed in templates")
    for child in node.iter_child_nodes():
        _check(child, depth)


def tried(source: str, words: dict[str, object]) -> None:
    """Raises UnknownWord if a template speaks of what these words never have, RenderFailed if it cannot be made."""
    try:
        _check(_TRIAL.parse(source), 0)
        _TRIAL.from_string(source).render(words)
    except _ERRORS as error:
        raise RenderFailed(f"{type(error).__name__} in a template") from error


def fill(source: str, words: dict[str, object], *, html: bool = False) -> str:
    """One part of a message. Raises RenderFailed."""
    pieces: list[str] = []
    size = 0
    try:
        template = compiled(source, html=html)
        # As `template.generate`, without its two copies of the words: templates cannot change them.
        for piece in template.root_render_func(template.new_context(words, shared=True)):
            size += len(piece)
            if size > MOST:
                raise RenderFailed(f"expected at most {MOST} characters, got more")
            pieces.append(piece)
    except _ERRORS as error:
        raise RenderFailed(f"{type(error).__name__} in a template") from error
    return "".join(pieces)


def body(content: Content, words: dict[str, object], *, late: bool = False) -> bytes:
    """The frozen parts of a message as a JSON object, subject on one line. Raises RenderFailed."""
    sources = {**content.parts, **content.late} if late else content.parts
    parts = {name: fill(source, words, html=name == "html") for name, source in sources.items()}
    if "subject" in parts:
        parts["subject"] = " ".join(parts["subject"].split())
    if UNSUBSCRIBE in words:
        parts[UNSUBSCRIBE] = str(words[UNSUBSCRIBE])
    return msgspec.json.encode(parts)


def language(locale: str, languages: tuple[str, ...]) -> str:
    """The language to write in: the person's if we have it ("pl-PL" -> "pl"), else the first."""
    wanted = locale.replace("_", "-").partition("-")[0].lower()
    return wanted if wanted in languages else languages[0]


def clipped(text: str) -> str:
    """A value from outside on one line, short enough for any template."""
    return " ".join(text[:_LONGEST].split())
