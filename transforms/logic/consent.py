"""Permission and its withdrawal. Everything here fails closed: unknown, expired, invalid or equal in time means no."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.records import CLAIMED, Confirmed, Consent, Unsubscribed
from transforms.logic.identity import KINDS, identifiers, is_trusted
from transforms.logic.identity import unite as unite_identifiers
from transforms.logic.moment import Moment
from transforms.logic.profile import (
    IDENTIFIERS,
    PERMISSIONS,
    SUPPRESSED,
    TOKENS,
    Identifier,
    Permission,
    Permissions,
    Person,
)
from transforms.logic.suppress import left

ANY = "*"
CONFIRMED = "confirmed"
MOST = 200
"""So many words on different categories and channels are kept of one person; nobody honest has a tenth of them."""


def learn(moment: Moment) -> None:
    """Take the consents of an event in; what a browser claims for somebody known only waits for a confirmation."""
    person, event = moment.person, moment.cause
    before = PERMISSIONS.read(person.permissions)
    after = Permissions(list(before.given), list(before.asked))
    for consent in event.consents:
        new = _permission(consent, event.event_time)
        waits = new.accept and event.trust == CLAIMED and _widens(person, before, new)
        _keep(after.asked if waits else after.given, new)
    _settle(moment, before, _bounded(after))


def _bounded(words: Permissions) -> Permissions:
    """Words without end would fill the profile; too many are one no to everything, for a withdrawal is never lost."""
    if len(words.given) > MOST:
        words.given = [Permission(ANY, ANY, False, max(word.at for word in words.given), 0)]
    words.asked = words.asked[-MOST:]
    return words


def _permission(consent: Consent, at: int) -> Permission:
    accept = consent.accept and consent.valid and bool(consent.category)
    return Permission(consent.category or ANY, consent.channel or ANY, accept, at, consent.valid_until)


def _widens(person: Person, before: Permissions, new: Permission) -> bool:
    """A claim may open what nobody has spoken about for somebody unverified, and nothing else."""
    return person.verified or _refused(before, new)


def _refused(words: Permissions, asked: Permission) -> bool:
    return any(_covers(old, asked.category, asked.channel) for old in words.given if not old.accept)


def _keep(found: list[Permission], new: Permission) -> None:
    """The latest word stays; at the same time, no stays."""
    for index, old in enumerate(found):
        if (old.category, old.channel) == (new.category, new.channel):
            if rank(new) > rank(old):
                found[index] = new
            return
    found.append(new)


def rank(permission: Permission) -> tuple[int, bool, int]:
    """Latest first; a withdrawal beats a permission of the same time, the shorter permission the longer."""
    return permission.at, not permission.accept, -(permission.until or 1 << 62)


def unite(mine: Permissions, others: Permissions) -> Permissions:
    """The words of two people who turn out to be one."""
    for permission in others.given:
        _keep(mine.given, permission)
    for permission in others.asked:
        _keep(mine.asked, permission)
    return mine


def _settle(moment: Moment, before: Permissions, after: Permissions) -> None:
    """Store the words and note which (category, channel) became permitted by this event."""
    moment.person.permissions = PERMISSIONS.write(after)
    pairs = {(word.category, word.channel) for word in after.given if word.accept}
    moment.gained |= frozenset(
        pair for pair in pairs if permits(after, *pair, moment.now) and not permits(before, *pair, moment.now)
    )


def permits(words: Permissions, category: str, channel: str, now: int) -> bool:
    """Whether a message of this category may go on this channel now."""
    best: Permission | None = None
    for word in words.given:
        if _covers(word, category, channel) and (best is None or rank(word) > rank(best)):
            best = word
    return best is not None and best.accept and (not best.until or now < best.until)


def _covers(word: Permission, category: str, channel: str) -> bool:
    return word.category in (category, ANY) and word.channel in (channel, ANY)


def confirm(moment: Moment) -> bool:
    """The person confirmed: the address is verified, and what was asked for is given.

    Only a server that names the person, or an unused token of ours, confirms. The server's word also ends suppression
    and what was refused before. A token's does not: the door cannot look into tokens and goes on refusing, so the
    profile does the same, and what was asked for against a refusal waits on.
    """
    person, event = moment.person, moment.cause
    assert isinstance(event.fact, Confirmed)
    vouched = moment.sure and any(getattr(event.ids, kind) for kind in KINDS)
    if not vouched and not _redeem(moment, event.fact.token):
        return False
    person.verified = True
    if vouched:
        _note(person, CONFIRMED, event.event_time)
    before = PERMISSIONS.read(person.permissions)
    after = Permissions(list(before.given))
    for word in before.asked:
        if vouched or not _refused(before, word):
            _keep(after.given, Permission(word.category, word.channel, True, event.event_time, word.until))
        else:
            after.asked.append(word)
    _settle(moment, before, after)
    return True


def _redeem(moment: Moment, token: str) -> bool:
    """Use a token up; the address that it was sent to is then proven.

    Somebody verified gets no address in this way that is not theirs already: whoever holds a mailbox may have claimed
    any customer's id with it.
    """
    person = moment.person
    tokens, known = TOKENS.read(person.tokens), identifiers(person)
    found = next((each for each in tokens if token and each.token == token and moment.now < each.until), None)
    if found is None or (person.verified and not is_trusted(known, "email", found.email)):
        return False
    tokens.remove(found)
    person.tokens = TOKENS.write(tokens)
    named = {(each.kind, each.value): each for each in known}
    unite_identifiers(named, Identifier("email", found.email, False, moment.cause.event_time, True))
    person.identifiers = IDENTIFIERS.write(list(named.values()))
    return True


def unsubscribe(moment: Moment) -> bool:
    """Suppress a category, or everything; what the door did when it took the record."""
    fact = moment.cause.fact
    assert isinstance(fact, Unsubscribed)
    _note(moment.person, left(fact, moment.plan.tenant.categories), moment.cause.event_time)
    return True


def suppress(person: Person, what: str, at: int) -> None:
    """Suppress a category, or an address that bounced (`bounced`)."""
    _note(person, what, at)


def bounced(channel: str) -> str:
    """The name under which a dead address on a channel is suppressed."""
    return f"bounced:{channel}"


def _note(person: Person, what: str, at: int) -> None:
    found = SUPPRESSED.read(person.suppressed)
    found[what] = max(at, found.get(what, 0))
    person.suppressed = SUPPRESSED.write(found)


def is_suppressed(suppressed: dict[str, int], names: Iterable[str]) -> bool:
    """Whether any of the names stands suppressed since the last confirmation (equal in time: still)."""
    return any(suppressed.get(name, -1) >= suppressed.get(CONFIRMED, 0) for name in names)
