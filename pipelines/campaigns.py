"""From a campaign file to a `Campaign`: what the trigger brings along, what the file says, and what it must not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.fields import Fields, Notes, duration, nearest, one_of, share, shown, truth, word
from schemas.records import HOUR
from schemas.strict_yaml import Node, plain
from schemas.triggers import MARKETING, PARTS, SEGMENTS, TRANSACTIONAL, TRIGGERS, Trigger
from schemas.workspace import Campaign, Content

LONGEST_TEMPLATE = 32_768


@dataclass(frozen=True, slots=True)
class Written:
    """One template and where it stands."""

    file: str
    line: int
    where: str
    text: str


@dataclass(slots=True)
class Surroundings:
    """What the other files of the workspace say, and the templates found so far."""

    languages: tuple[str, ...]
    channels: frozenset[str]
    templates: list[Written]


def read_campaign(name: str, node: Node | None, notes: Notes, around: Surroundings) -> Campaign | None:
    """The campaign in one file; None, with notes, where it has no usable trigger."""
    fields = Fields(node, notes, "a campaign")
    kind = fields.need("trigger", one_of(TRIGGERS), "")
    trigger = TRIGGERS.get(kind)
    if trigger is None:
        return None
    klass = _klass(fields, kind, trigger)
    channels = _channels(fields, around)
    campaign = Campaign(
        name=name,
        trigger=kind,
        klass=klass,
        category=_category(fields, klass),
        channels=channels,
        after=_after(fields, kind, trigger),
        expires=_expires(fields, trigger),
        reentry=_reentry(fields, kind, trigger),
        content=_content(fields, channels, around, late="late" in trigger.options),
        control=fields.take("control", share, 0) if klass == MARKETING else 0,
        to=_to(fields, kind, trigger),
        live=fields.take("live", truth, True),
        counts_to_cap=trigger.counts_to_cap,
        obeys_cap=trigger.obeys_cap,
    )
    fields.done()
    return campaign


def _klass(fields: Fields, kind: str, trigger: Trigger) -> str:
    line = fields.line_of("class")
    klass = fields.take("class", one_of((TRANSACTIONAL, MARKETING)), trigger.klass)
    if klass != trigger.klass:
        fields.note(line, f"class: expected {trigger.klass} for trigger {kind}, got {klass}; leave the line out")
    if klass == TRANSACTIONAL and "control" in fields:
        fields.note(
            fields.line_of("control"), "control: expected none, a transactional message has no control group; remove it"
        )
        fields.node("control")
    return trigger.klass


def _category(fields: Fields, klass: str) -> str:
    """The consent category that a marketing message needs."""
    line = fields.line_of("category")
    category = fields.take("category", word, MARKETING if klass == MARKETING else "")
    if category and klass == TRANSACTIONAL:
        fields.note(line, f"category: expected none for a transactional campaign, got {category}; remove the line")
    return category


def _channels(fields: Fields, around: Surroundings) -> tuple[str, ...]:
    line = fields.line_of("channels")
    if "channels" not in fields:
        fields.need("channels", word, "")
        return ()
    channels = fields.many("channels", one_of(PARTS), ())
    if not channels:
        fields.note(line, "channels: expected at least one, got none that exists; name one, such as email")
    for channel in channels:
        if channel not in around.channels:
            hint = nearest(channel, around.channels)
            fields.note(
                line, f"channels: expected a channel of channels.yaml, got {channel}{hint}; give it a sink there"
            )
    return channels


def _after(fields: Fields, kind: str, trigger: Trigger) -> tuple[int, ...]:
    line = fields.line_of("after")
    if "after" not in trigger.options:
        if fields.node("after") is not None:
            fields.note(line, f"after: expected none, {kind} acts at once; remove the line")
        return trigger.after
    after = fields.many("after", duration, trigger.after)
    if len(after) > trigger.steps:
        fields.note(line, f"after: expected at most {trigger.steps} for {kind}, got {len(after)}; keep the first")
    if list(after) != sorted(after) or 0 in after:
        fields.note(line, "after: expected rising times above 0s; put them in order")
    return after or trigger.after


def _expires(fields: Fields, trigger: Trigger) -> int:
    line = fields.line_of("expires")
    expires = fields.take("expires", duration, trigger.expires)
    if not 0 < expires <= trigger.expires:
        fields.note(
            line, f"expires: expected at most {trigger.expires // HOUR}h; a message is worth nothing after that"
        )
    return expires


def _reentry(fields: Fields, kind: str, trigger: Trigger) -> int | None:
    """`once`, `always` or the least time between two entries."""
    if "reentry" not in trigger.options:
        line = fields.line_of("reentry")
        if fields.node("reentry") is not None:
            fields.note(line, f"reentry: expected none, it is fixed for {kind}; remove the line")
        return trigger.reentry
    return fields.take("reentry", _reentry_of, trigger.reentry)


def _reentry_of(value: object) -> int | None:
    if value in ("once", "always"):
        return None if value == "once" else 0
    try:
        return duration(value)
    except ValueError as error:
        raise ValueError("once, always or a duration such as 7d") from error


def _to(fields: Fields, kind: str, trigger: Trigger) -> tuple[str, ...]:
    line = fields.line_of("to")
    if "to" not in trigger.options:
        if fields.node("to") is not None:
            fields.note(line, f"to: expected none, {kind} knows no segments; remove the line")
        return ()
    to = fields.many("to", one_of(SEGMENTS), ())
    if not to:
        fields.note(line, f"to: expected at least one segment, got none; choose of {', '.join(SEGMENTS)}")
    return to


# --- what it says -----------------------------------------------------------------------------------------------------


def _content(
    fields: Fields, channels: tuple[str, ...], around: Surroundings, *, late: bool
) -> dict[str, dict[str, Content]]:
    """Channel → language → templates."""
    content: dict[str, dict[str, Content]] = {}
    for channel in channels:
        block = fields.child(channel, channel)
        if block is None:
            fields.note(fields.line, f"expected {channel} with {' and '.join(PARTS[channel])}, got none; add it")
            continue
        parts = _parts(block, channel, PARTS[channel], around)
        later: Mapping[str, dict[str, str]] = {}
        if late and (variant := block.child("late", f"{channel} late")) is not None:
            given = tuple(part for part in PARTS[channel] if part in variant)
            later = _parts(variant, f"{channel} late", given, around)
            variant.done()
        block.done()
        content[channel] = {
            language: Content(found, later.get(language, {})) for language, found in parts.items() if found
        }
    return content


def _parts(block: Fields, where: str, names: tuple[str, ...], around: Surroundings) -> dict[str, dict[str, str]]:
    """Language → part → template. A plain text stands for all languages."""
    parts: dict[str, dict[str, str]] = {language: {} for language in around.languages}
    for name in names:
        node = block.node(name)
        if node is None:
            block.note(block.line, f"expected {name} in {where}, got none; add it")
            continue
        for language, text in _by_language(node, f"{where} {name}", block, around.languages).items():
            template = _template(text, f"{where} {name}", block)
            parts[language][name] = template
            around.templates.append(Written(block.notes.file, text.line, f"{where} {name} ({language})", template))
    return parts


def _by_language(node: Node, where: str, block: Fields, languages: tuple[str, ...]) -> dict[str, Node]:
    if not isinstance(node.value, dict):
        return dict.fromkeys(languages, node)
    for language, text in node.value.items():
        if language not in languages:
            hint = nearest(language, languages)
            known = ", ".join(languages)
            block.note(text.line, f"{where}: expected a language of tenant.yaml ({known}), got {language}{hint}")
    if languages and languages[0] not in node.value:
        block.note(node.line, f"{where}: expected {languages[0]}, the language that others fall back to; add it")
    return {language: text for language, text in node.value.items() if language in languages}


def _template(node: Node, where: str, block: Fields) -> str:
    text = plain(node)
    if not isinstance(text, str) or not text.strip():
        block.note(node.line, f"{where}: expected text, got {shown(node)}; put it in quotes")
        return ""
    if len(text) > LONGEST_TEMPLATE:
        block.note(node.line, f"{where}: expected at most {LONGEST_TEMPLATE} characters, got {len(text)}; shorten it")
        return ""
    return text
