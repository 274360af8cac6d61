"""From a campaign file to a `Campaign`: what the trigger brings along, what the file says, and what it must not say."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.templates import Writing
from schemas.fields import Fields, Notes, duration, nearest, one_of, share, truth, word
from schemas.records import HOUR
from schemas.strict_yaml import Node
from schemas.triggers import MARKETING, PARTS, SEGMENTS, TRANSACTIONAL, TRIGGERS, Trigger
from schemas.workspace import Campaign


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the other files of the workspace say."""

    languages: tuple[str, ...]
    channels: frozenset[str]


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
        content=Writing(kind, around.languages).content(fields, channels),
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
    """The consent category that a marketing message needs, in lower case as consents spell it."""
    line = fields.line_of("category")
    category = fields.take("category", word, MARKETING if klass == MARKETING else "").lower()
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
