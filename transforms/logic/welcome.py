"""Welcome, first step: at the first sign-up or the first valid consent, once for life per person and channel."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.records import DAY, MINUTE, SignedUp
from schemas.workspace import Campaign
from transforms.logic.consent import ANY
from transforms.logic.moment import Candidate, Moment
from transforms.logic.profile import ENTERED

TRIGGER = "welcome"
LATE = 60 * MINUTE
TOO_LATE = DAY


def entry_of(campaign: Campaign, channel: str) -> str:
    """The name of a person's one entry for life."""
    return f"{campaign.name}/life/{channel}"


def on_signup(moment: Moment) -> Iterator[Candidate]:
    """Greet a newcomer; later sign-ups of the same person only greet where they bring a first consent."""
    first = not moment.person.signed_up
    if first:
        moment.person.signed_up = moment.cause.event_time
    return _greet(moment, everywhere=first)


def on_consent(moment: Moment) -> Iterator[Candidate]:
    """Greet on the channels that this event first permitted."""
    return _greet(moment, everywhere=False)


def _greet(moment: Moment, *, everywhere: bool) -> Iterator[Candidate]:
    event = moment.cause
    if moment.is_history or not (everywhere or moment.gained):
        return
    entered = ENTERED.read(moment.person.entered)
    for campaign in moment.plan.of_trigger(TRIGGER):
        opened = campaign.channels if everywhere else _gained(moment, campaign)
        channels = tuple(channel for channel in opened if entry_of(campaign, channel) not in entered)
        if channels:
            yield Candidate(
                campaign=campaign,
                trigger=event.id,
                created_at=event.event_time,
                caused_at=moment.caused_at,
                channels=channels,
                words={"signed_up": isinstance(event.fact, SignedUp)},
                entry=campaign.name,
                shared=moment.shared,
                late=LATE,
                too_late=TOO_LATE,
            )


def _gained(moment: Moment, campaign: Campaign) -> tuple[str, ...]:
    pairs = {(category, channel) for category in (campaign.category, ANY) for channel in (*campaign.channels, ANY)}
    gained = {channel for _, channel in pairs & moment.gained}
    return campaign.channels if ANY in gained else tuple(each for each in campaign.channels if each in gained)
