"""The gates that every candidate passes, in order; the first that refuses gives the reason. Read `GATES`.

A gate may narrow the channels that are still possible. Gates that do not exist yet stand in their place without a
check, and decisions name them as not checked.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from msgspec import Struct

from schemas.keys import send_key
from schemas.workspace import Campaign
from transforms.logic import abandoned_cart, caps, cart, confirmation, consent, leaving, render, welcome
from transforms.logic.assign import is_control
from transforms.logic.identity import CHANNEL_KIND, address_on, is_trusted
from transforms.logic.moment import STEP, Candidate, Moment
from transforms.logic.profile import ENTERED, PERMISSIONS, SUPPRESSED, TRAITS, Identifier, Person, Send

OWN = frozenset((confirmation.TRIGGER, welcome.TRIGGER))
"""What somebody may get whose identity is only claimed: the messages that a person asks for by signing up."""

TRANSACTIONAL = frozenset(("transactional",))
UNASKED = frozenset(("transactional", "service"))
"""The classes that need no marketing consent."""

LIFE = "life"


class Case(Struct):
    """One candidate on its way through the gates: what is still possible (`channels`), and what was chosen."""

    moment: Moment
    candidate: Candidate
    known: list[Identifier]
    sends: list[Send]
    channels: tuple[str, ...]
    channel: str = ""
    to: str = ""
    body: bytes = b""
    variant: str = ""
    keys: dict[str, str] = {}

    @property
    def person(self) -> Person:
        return self.moment.person

    @property
    def campaign(self) -> Campaign:
        return self.candidate.campaign

    @property
    def age(self) -> int:
        return self.moment.now - self.candidate.created_at

    def key(self, channel: str) -> str:
        """The idempotency key of the send that this would be."""
        if channel not in self.keys:
            trigger = LIFE if self.campaign.reentry is None else self.candidate.trigger
            tenant, campaign = self.moment.plan.tenant.name, self.campaign.name
            self.keys[channel] = send_key(tenant, campaign, STEP, self.person.id, trigger, channel)
        return self.keys[channel]

    def address(self, channel: str) -> str:
        """Where the channel reaches the person; the address of the sign-up itself where that is the point."""
        if self.candidate.to and channel == "email":
            return self.candidate.to
        return address_on(channel, self.known, self.person.verified)

    def keep(self, channels: list[str], reason: str) -> str | None:
        """Go on with these channels; none left is a refusal."""
        self.channels = tuple(channels)
        return None if channels else reason


def duplicate(case: Case) -> str | None:
    """This very send was decided before."""
    sent = {send.key for send in case.sends}
    return "DUPLICATE" if sent and any(case.key(channel) in sent for channel in case.channels) else None


def live(case: Case) -> str | None:
    """The campaign runs, and the candidate is not too old."""
    if not case.campaign.live:
        return "PAUSED"
    if case.candidate.too_late is not None and case.age > case.candidate.too_late:
        return "TOO_LATE"
    return "EXPIRED" if case.age > case.campaign.expires else None


def identity(case: Case) -> str | None:
    """A server vouches for the person, or the message is one that a sign-up asks for."""
    return None if case.person.verified or case.campaign.trigger in OWN else "IDENTITY_LOW"


def suppression(case: Case) -> str | None:
    """An address that bounced takes nothing; everything else stops only what the person did not ask for."""
    found = SUPPRESSED.read(case.person.suppressed)
    if case.campaign.klass not in TRANSACTIONAL and consent.is_suppressed(found, (case.campaign.category, consent.ANY)):
        return "SUPPRESSED"
    alive = [each for each in case.channels if not consent.is_suppressed(found, (consent.bounced(each),))]
    return case.keep(alive, "SUPPRESSED")


def permission(case: Case) -> str | None:
    """The person allows this category on the channel."""
    words, category, now = PERMISSIONS.read(case.person.permissions), case.campaign.category, case.moment.now
    return case.keep([each for each in case.channels if consent.permits(words, category, each, now)], "NO_CONSENT")


def reachable(case: Case) -> str | None:
    """There is an address on the channel."""
    return case.keep([channel for channel in case.channels if case.address(channel)], "UNREACHABLE")


def exception(case: Case) -> str | None:
    """Nothing happened since that makes the message pointless."""
    over = case.campaign.trigger == abandoned_cart.TRIGGER and cart.is_over(case.person)
    return "EXCEPTION_EVENT" if over else None


def reentry(case: Case) -> str | None:
    """The person did not enter lately, or ever where it is once for life."""
    entered = ENTERED.read(case.person.entered)
    again = case.campaign.reentry
    if again is None:
        new = [channel for channel in case.channels if welcome.entry_of(case.campaign, channel) not in entered]
        return case.keep(new, "NOT_REENTRANT")
    since = entered.get(case.candidate.entry)
    if again and since is not None and case.moment.now - since < again:
        return "NOT_REENTRANT"
    return "NOT_REENTRANT" if _too_many(case) else None


def _too_many(case: Case) -> bool:
    if case.candidate.most is None:
        return False
    most, window = case.candidate.most
    to, since = caps.mark(case.candidate.to), case.moment.now - window
    return _sent(case, to, since) >= most


def _sent(case: Case, to: str, since: int) -> int:
    """How often the campaign went to an address, or to any if it is none, since a time."""
    name = case.campaign.name
    return sum(send.campaign == name and to in ("", send.to) and send.decided > since for send in case.sends)


def care_hold(case: Case) -> str | None:
    """The person is not to be left in peace."""
    return "CARE_HOLD" if case.moment.now < case.person.held_until else None


def control(case: Case) -> str | None:
    """The person is not in the campaign's control group."""
    tenant = case.moment.plan.tenant.name
    return "CONTROL" if is_control(tenant, case.campaign.name, case.person.id, case.campaign.control) else None


def channel(case: Case) -> str | None:
    """The first channel that is left; which one suits the person best is not weighed yet."""
    case.channel = case.channels[0]
    case.to = case.address(case.channel)
    return None


def words(case: Case) -> str | None:
    """Write the message. A name is used only where a server vouches for the name, the person and the address."""
    traits = TRAITS.read(case.person.traits)
    sure = case.person.verified and not case.candidate.shared and is_trusted(case.known, case.channel, case.to)
    named = {name: render.clipped(trait.value) for name, trait in traits.items() if sure and trait.sure}
    tenant = case.moment.plan.tenant
    locale = traits["locale"].value if "locale" in traits else ""
    contents = case.campaign.content.get(case.channel, {})
    content = contents.get(render.language(locale, tenant.policy.languages)) or contents.get(tenant.policy.languages[0])
    if content is None:
        return "RENDER_FAILED"
    late = case.candidate.late is not None and case.age > case.candidate.late
    case.variant = "late" if late else ""
    try:
        known = {**named, **_link(case), "tenant": tenant.name, **case.candidate.words}
        case.body = render.body(content, known, late=late)
    except render.RenderFailed:
        return "RENDER_FAILED"
    return None


def _link(case: Case) -> dict[str, object]:
    """Where the person can leave what a marketing message belongs to, if the tenant has a place for that."""
    plan, campaign = case.moment.plan, case.campaign
    base = plan.tenant.policy.links
    if not base or campaign.klass in TRANSACTIONAL:
        return {}
    kind, until = CHANNEL_KIND.get(case.channel, "customer"), leaving.last_day(case.moment.now)
    who = leaving.Leaving(plan.tenant.name, kind, case.to, campaign.category, until)
    return {render.UNSUBSCRIBE: f"{base}{leaving.PATH}{leaving.token(plan.secret, who)}"}


def cap(case: Case) -> str | None:
    """One more message does not break a cap."""
    if not case.campaign.obeys_cap:
        return None
    limits = case.moment.plan.tenant.policy.caps
    return "CAPPED" if caps.is_capped(case.sends, limits, case.channel, case.moment.now) else None


class Gate(Struct, frozen=True):
    """One gate: its name, its check (None where it does not exist yet, `whole` false where it does so in part), and
    the message classes that walk around it."""

    name: str
    check: Callable[[Case], str | None] | None
    skips: frozenset[str] = frozenset()
    whole: bool = True


GATES = (
    Gate("duplicate", duplicate),
    Gate("live", live),
    Gate("identity", identity),
    Gate("suppression", suppression),
    Gate("consent", permission, UNASKED),
    Gate("reachable", reachable),
    Gate("exception", exception),
    Gate("reentry", reentry),
    Gate("care_hold", care_hold, UNASKED),
    Gate("recently_bought", None, TRANSACTIONAL),
    Gate("audience", None, TRANSACTIONAL),
    Gate("control", control, TRANSACTIONAL),
    Gate("arbitration", None, TRANSACTIONAL),
    Gate("channel", channel, whole=False),
    Gate("timing", None, TRANSACTIONAL),
    Gate("render", words),
    Gate("cap", cap, UNASKED),
)

ENTERS = "control"
"""Whoever comes as far as this gate has entered the campaign, in whichever arm and whatever the later gates say."""


class Verdict(Struct, frozen=True):
    """The reason of the first refusal (empty: none), whether the person entered, and the gates that could not check."""

    reason: str
    entered: bool
    not_checked: tuple[str, ...]


@cache
def _way(klass: str) -> tuple[list[tuple[Callable[[Case], str | None], bool, tuple[str, ...]]], tuple[str, ...]]:
    """The checks of a message class, each with whether somebody refused there has entered and what was not checked."""
    way = []
    entered, unchecked = False, list[str]()
    for gate in GATES:
        entered = entered or gate.name == ENTERS
        if klass in gate.skips:
            continue
        if gate.check is None or not gate.whole:
            unchecked.append(gate.name)
        if gate.check is not None:
            way.append((gate.check, entered, tuple(unchecked)))
    return way, tuple(unchecked)


def judge(case: Case) -> Verdict:
    """Walk through the gates."""
    way, all_unchecked = _way(case.campaign.klass)
    for check, entered, unchecked in way:
        reason = check(case)
        if reason is not None:
            return Verdict(reason, entered, unchecked)
    return Verdict("", True, all_unchecked)
