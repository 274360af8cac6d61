"""Sign-up confirmation (double opt-in): to the address of each sign-up, with a token that confirms once."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.keys import derived_id
from schemas.records import DAY
from transforms.logic.moment import Candidate, Moment
from transforms.logic.profile import TOKENS, Token

TRIGGER = "signup_confirmation"
VALID = 7 * DAY
MOST = (3, DAY)
"""At most so many to one address in so long."""


def on_signup(moment: Moment) -> Iterator[Candidate]:
    """One confirmation a sign-up that brings an e-mail address."""
    event = moment.cause
    campaigns = moment.plan.of_trigger(TRIGGER)
    if not event.ids.email or moment.is_history or not campaigns:
        return
    token = _issue(moment)
    for campaign in campaigns:
        yield Candidate(
            campaign=campaign,
            trigger=event.id,
            created_at=event.event_time,
            caused_at=moment.caused_at,
            channels=campaign.channels,
            words={"token": token},
            entry=campaign.name,
            shared=moment.shared,
            to=event.ids.email,
            most=MOST,
        )


def _issue(moment: Moment) -> str:
    """A new token: it begins with the person's id, so that a confirmation with nothing else finds the way here."""
    person, event = moment.person, moment.cause
    secret = derived_id(moment.plan.secret, "token", event.tenant, person.id, event.id)
    token = f"{person.id}-{secret}"
    valid = [each for each in TOKENS.read(person.tokens) if each.until > moment.now][-8:]
    person.tokens = TOKENS.write([*valid, Token(token, event.ids.email, moment.now + VALID)])
    return token
