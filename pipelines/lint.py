"""What a workspace may do but hardly means: advice of `rapport check`, beside the errors of the loader."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipelines.templates import spoken
from schemas.triggers import MARKETING, TRANSACTIONAL
from schemas.workspace import Campaign, Tenant, Workspace

PROMOTION = {
    "en": ("discount", "% off", "sale", "special offer", "coupon", "voucher", "buy now", "limited time", "deal"),
    "pl": ("rabat", "promocj", "wyprzedaż", "okazja", "kupon", "taniej", "oferta specjalna", "kup teraz"),
    "de": ("rabatt", "gutschein", "ausverkauf", "sonderangebot", "jetzt kaufen"),
}


def lint(workspace: Workspace) -> list[str]:
    """One sentence for each thing that somebody should look at."""
    return [
        f"{tenant.name}/{campaign.name}: {advice}"
        for tenant in workspace.tenants.values()
        for campaign in tenant.campaigns
        for advice in _advice(campaign, tenant)
    ] + [f"{tenant.name}: {advice}" for tenant in workspace.tenants.values() for advice in _of_tenant(tenant)]


def _advice(campaign: Campaign, tenant: Tenant) -> Iterator[str]:
    if campaign.klass == TRANSACTIONAL:
        for channel, language, found in _promotion(campaign):
            yield f"{channel}, {language}: expected no promotion in what is transactional, got {found!r}; leave it out"
    if campaign.klass == MARKETING and not campaign.category:
        yield "expected a consent category for marketing, got none; add category"
    for channel in campaign.channels:
        if channel not in tenant.sinks:
            yield f"expected a sink for {channel} in channels.yaml, got none; its messages cannot leave"
        missing = set(tenant.policy.languages) - set(campaign.content.get(channel, {}))
        if missing:
            first, lacking = tenant.policy.languages[0], ", ".join(sorted(missing))
            yield f"{channel}: expected every language, got none for {lacking}; these people get {first}"
    if not campaign.live:
        yield "expected live: true, got false; nothing will be sent"


def _promotion(campaign: Campaign) -> Iterator[tuple[str, str, str]]:
    words = re.compile("|".join(rf"(?<!\w){re.escape(word)}" if word[0].isalpha() else re.escape(word)
                                for found in PROMOTION.values() for word in found))  # fmt: skip
    for channel, languages in campaign.content.items():
        for language, content in languages.items():
            if match := words.search(spoken(content)):
                yield channel, language, match[0]


def _of_tenant(tenant: Tenant) -> Iterator[str]:
    if not tenant.keys:
        yield "expected at least one write key, got none; nobody can post"
    if not tenant.brands:
        yield "expected at least one brand, got none; no post will be understood"
    if not tenant.policy.caps:
        yield "expected caps, got none; people may get any number of messages"
    if any(sink.kind == "smtp" for sink in tenant.sinks.values()) and not tenant.policy.links:
        yield "expected links with a base, got none; mail programs cannot show how to unsubscribe"
    used: dict[str, str] = {}
    for campaign in tenant.campaigns:
        if campaign.live and used.setdefault(campaign.trigger, campaign.name) != campaign.name:
            yield f"expected one live campaign for {campaign.trigger}, got {used[campaign.trigger]} and {campaign.name}"
