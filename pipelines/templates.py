"""What a campaign says: its templates by channel and language, tried out on hostile people before they may go live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from schemas.fields import Fields, nearest, shown
from schemas.records import Item, OrderPlaced, SegmentChange, Traits
from schemas.strict_yaml import Node, plain
from schemas.triggers import MORE_PARTS, PARTS, TRIGGERS
from schemas.workspace import Content
from transforms.logic.render import UNSUBSCRIBE, RenderFailed, UnknownWord, compiled, fill, tried
from transforms.logic.words import CartWords, OrderWords

LONGEST = 32_768

_parser = ImmutableSandboxedEnvironment()

TRAITS = Traits.__struct_fields__
"""What may be known of anybody; the words of every trigger."""

_HOSTILE = (
    "",
    "{{ ''.__class__.__mro__ }}{% for x in y %}",
    "<script>alert(1)</script>\r\nBcc: everybody@example.org",
    "\u202eabc\u0300\u0300\u0300 \U0001f9d1\u200d\U0001f680" * 20,
    "x" * 1_000,
)


class Writing:
    """Reads the templates of one campaign of `trigger`, in the tenant's `languages`."""

    def __init__(self, trigger: str, languages: tuple[str, ...]) -> None:
        self._trigger = trigger
        self._languages = languages

    def content(self, fields: Fields, channels: tuple[str, ...]) -> dict[str, dict[str, Content]]:
        """Channel → language → templates."""
        content: dict[str, dict[str, Content]] = {}
        for channel in channels:
            block = fields.child(channel, channel)
            if block is None:
                fields.note(fields.line, f"expected {channel} with {' and '.join(PARTS[channel])}, got none; add it")
                continue
            more = tuple(part for part in MORE_PARTS.get(channel, ()) if part in block)
            parts = self._parts(block, PARTS[channel] + more)
            late = self._late(block, channel)
            block.done()
            content[channel] = {
                language: Content(found, late.get(language, {})) for language, found in parts.items() if found
            }
        return content

    def _late(self, block: Fields, channel: str) -> Mapping[str, dict[str, str]]:
        """What replaces the parts when the message comes late, for triggers that know of it."""
        if "late" not in TRIGGERS[self._trigger].options:
            return {}
        variant = block.child("late", f"{channel} late")
        if variant is None:
            return {}
        known = PARTS[channel] + MORE_PARTS.get(channel, ())
        late = self._parts(variant, tuple(part for part in known if part in variant))
        variant.done()
        return late

    def _parts(self, block: Fields, names: tuple[str, ...]) -> dict[str, dict[str, str]]:
        """Language → part → template. A plain text stands for all languages."""
        parts: dict[str, dict[str, str]] = {language: {} for language in self._languages}
        for name in names:
            node = block.node(name)
            if node is None:
                block.note(block.line, f"expected {name} in {block.what}, got none; add it")
                continue
            for language, text in self._by_language(node, name, block).items():
                parts[language][name] = self._template(text, name, block)
        return parts

    def _by_language(self, node: Node, name: str, block: Fields) -> dict[str, Node]:
        if not isinstance(node.value, dict):
            return dict.fromkeys(self._languages, node)
        known = ", ".join(self._languages)
        for language, text in node.value.items():
            if language not in self._languages:
                hint = nearest(language, self._languages)
                block.note(text.line, f"{name}: expected a language of tenant.yaml ({known}), got {language}{hint}")
        if self._languages and self._languages[0] not in node.value:
            block.note(node.line, f"{name}: expected {self._languages[0]}, which others fall back to; add it")
        return {language: text for language, text in node.value.items() if language in self._languages}

    def _template(self, node: Node, name: str, block: Fields) -> str:
        text = plain(node)
        if not isinstance(text, str) or not text.strip():
            block.note(node.line, f"{name}: expected text, got {shown(node)}; put it in quotes")
            return ""
        if len(text) > LONGEST:
            block.note(node.line, f"{name}: expected at most {LONGEST} characters, got {len(text)}; shorten it")
            return ""
        for problem in problems(self._trigger, text, html=name == "html"):
            block.note(node.line, f"{name}: {problem}")
        return text


def problems(trigger: str, template: str, *, html: bool = False) -> list[str]:
    """What is wrong with a template of `trigger`: it does not compile, or fails for some person."""
    try:
        compiled(template, html=html)
    except RenderFailed as error:
        return [f"expected a template that may go live: {error}"]
    known = sorted(next(_trials(trigger)))
    unknown = sorted(meta.find_undeclared_variables(_parser.parse(template)) - set(known))
    if unknown:
        hint = nearest(unknown[0], known) or f"; known are {', '.join(known)}"
        return [f"expected words of {trigger}, got {unknown[0]}{hint}"]
    return _failures(trigger, template, html=html)


def _failures(trigger: str, template: str, *, html: bool) -> list[str]:
    for words in _trials(trigger):
        try:
            tried(template, words)
            fill(template, words, html=html)
        except UnknownWord as error:
            return [f"{error}; mend its name"]
        except RenderFailed as error:
            return [f"expected a template that suits everybody, got {error} for a hostile name; guard it"]
    return []


def _trials(trigger: str) -> Iterator[dict[str, object]]:
    """What a template of `trigger` may speak of, for a few people who are up to no good and one who is unknown."""
    for evil in _HOSTILE:
        yield {**dict.fromkeys(TRAITS, evil), UNSUBSCRIBE: "https://x", "tenant": "shop", **_about(trigger, evil)}
    yield {"tenant": "shop", **_about(trigger, "")}


def _about(trigger: str, evil: str) -> dict[str, object]:
    """The words that come with the trigger."""
    items = (Item(evil, evil, evil, evil, 10**14, 10**6),) * 60
    about: dict[str, dict[str, object]] = {
        "signup_confirmation": {"token": "0" * 32},
        "welcome": {"signed_up": True},
        "order_confirmation": {"order": OrderWords.of(OrderPlaced(evil, -(10**14), evil, items))},
        "abandoned_cart": {"cart": CartWords.of(items)},
        "rfm_transition": {"segment": SegmentChange(evil, evil, evil, "", "Champion", 0, evil, "order", 5, 5, 5)},
    }
    return about[trigger]


def spoken(content: Content) -> str:
    """Everything that templates say, in one text, for looking words up."""
    return " ".join((*content.parts.values(), *content.late.values())).casefold()
