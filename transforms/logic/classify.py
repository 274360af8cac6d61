"""What a mention says: which brands, to them or about them, in which language, with which feeling. Pure.

A mention that names no brand, or that one of the tenant's own accounts wrote, is filtered before any model is asked.
What the models say of a text is a label and nothing else: no text that is read here is ever an instruction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from schemas.keys import derived_id
from schemas.records import Classification, Derived, Ids, Mention, MentionRow, Said
from transforms.logic.brands import Gazetteer, Named
from transforms.logic.refusals import failure
from transforms.logic.shard import Outputs
from transforms.logic.wording import visible

STAGE = "classify"
APPLIED, FILTERED, FAILED = "applied", "filtered", "failed"
NO_BRAND, OWN_ACCOUNT, UNKNOWN_TENANT, MODEL_ERROR = "no_brand", "own_account", "unknown_tenant", "model_error"
EXCERPT = 280
WHOLE_TENANT = ""
"""The brand of a post that speaks to a tenant with several brands without naming one."""


class Models(Protocol):
    """What classify asks of the models. `stamp` is name@sha256 prefix; scores are rounded to three decimals."""

    @property
    def stamp(self) -> str: ...

    def score(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """Sentiment (negative, neutral, positive) of each text with its probability."""

    def language(self, text: str) -> tuple[str, float]:
        """Language code with its probability; `und` where unsure."""


class Opinion(Struct, frozen=True, gc=False):
    """What the models say about a text."""

    language: str
    language_score: float
    sentiment: str
    score: float
    model: str


def classify(mentions: Sequence[Mention], brands: Mapping[str, Gazetteer], models: Models) -> Outputs:
    """One mention row each; for those that concern a brand a classification a brand and what goes back to the person.

    Raises whatever the models raise; nothing is kept then, and `refuse` says what to record instead.
    """
    out = Outputs()
    kept: list[tuple[Mention, list[Named]]] = []
    for mention in mentions:
        known = brands.get(mention.tenant)
        if known is None:
            _fail(out, mention, UNKNOWN_TENANT, f"no workspace for tenant {mention.tenant!r}")
        elif known.owns(mention.network, mention.author):
            out.rows.append(line(mention, FILTERED, OWN_ACCOUNT))
        elif named := _concerned(mention, known):
            kept.append((mention, named))
        else:
            out.rows.append(line(mention, FILTERED, NO_BRAND))
    for (mention, named), opinion in zip(kept, _opinions([mention.text for mention, _ in kept], models), strict=True):
        _record(out, mention, named, opinion)
    return out


def refuse(mention: Mention, error: Exception) -> Outputs:
    """What to record for a mention that `classify` could not take: one failure and its line."""
    out = Outputs()
    _fail(out, mention, MODEL_ERROR, type(error).__name__)
    return out


def line(
    mention: Mention, disposition: str, reason: str = "", *, language: str = "", directed: bool = False
) -> MentionRow:
    """The one line of a mention with what became of it; `language` is empty where nobody looked."""
    return MentionRow(
        id=line_id(mention),
        tenant=mention.tenant,
        source_type=mention.source_type,
        network=mention.network,
        author=mention.author,
        text=mention.text,
        url=mention.url,
        thread=mention.thread,
        event_time=mention.event_time,
        received_at=mention.received_at,
        partition=mention.partition,
        sequence=mention.sequence,
        language=language,
        directed=directed,
        disposition=disposition,
        reason=reason,
    )


def line_id(mention: Mention) -> str:
    """The id of a mention's line, by its place in the journal."""
    return derived_id("mention", mention.partition, mention.sequence, mention.sub)


def _concerned(mention: Mention, known: Gazetteer) -> list[Named]:
    """The brands of a mention; one that the source calls directed always concerns the tenant."""
    named = known.named(mention.text, mention.network)
    if mention.directed and not any(each.directed for each in named):
        if not named:
            brand = known.brands[0] if len(known.brands) == 1 else WHOLE_TENANT
            return [Named(brand, True)]
        return [Named(each.brand, True) for each in named]
    return named


def _opinions(texts: Sequence[str], models: Models) -> list[Opinion]:
    if not texts:
        return []
    feelings = models.score(texts)
    languages = [models.language(text) for text in texts]
    return [
        Opinion(code, sure, label, score, models.stamp)
        for (code, sure), (label, score) in zip(languages, feelings, strict=True)
    ]


def _record(out: Outputs, mention: Mention, named: Sequence[Named], opinion: Opinion) -> None:
    directed = any(each.directed for each in named)
    out.rows.append(line(mention, APPLIED, language=opinion.language, directed=directed))
    out.rows.extend(_classification(mention, each, opinion) for each in named)
    if mention.author:
        out.feedback.append(_said(mention, named, opinion, directed))


def _classification(mention: Mention, named: Named, opinion: Opinion) -> Classification:
    place = line_id(mention)
    return Classification(
        id=derived_id("classification", place, named.brand),
        mention=place,
        tenant=mention.tenant,
        brand=named.brand,
        language=opinion.language,
        language_score=opinion.language_score,
        sentiment=opinion.sentiment,
        score=opinion.score,
        directed=named.directed,
        model=opinion.model,
        received_at=mention.received_at,
    )


def _said(mention: Mention, named: Sequence[Named], opinion: Opinion, directed: bool) -> Derived:
    """The mention as the person lane sees it; its id repeats when the mention is classified again."""
    fact = Said(
        mention=mention.id,
        brands=tuple(each.brand for each in named if each.brand),
        directed=directed,
        sentiment=opinion.sentiment,
        score=opinion.score,
        language=opinion.language,
        excerpt=visible(mention.text, EXCERPT),
        url=mention.url,
        reply_to=mention.parent,
    )
    return Derived(
        id=derived_id("said", mention.tenant, mention.id),
        tenant=mention.tenant,
        event_time=mention.event_time,
        ids=Ids(handle=handle_of(mention)),
        fact=fact,
        cause=mention.id,
    )


def handle_of(mention: Mention) -> str:
    """network:author, as identify keys it."""
    return f"{mention.network}:{mention.author.removeprefix('@')}".lower()


def _fail(out: Outputs, mention: Mention, reason: str, detail: str) -> None:
    out.rows.append(line(mention, FAILED, reason))
    out.failures.append(failure(STAGE, mention, reason, detail))
