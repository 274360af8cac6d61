"""The oracle's gates: one chance of one message to one person, and every reason against it in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from oracle_person import best_of, certain_mails

from schemas.keys import send_key
from schemas.records import DAY, HOUR
from schemas.workspace import Campaign

if TYPE_CHECKING:
    from oracle_step import Step

ASKED_FOR = ("signup_confirmation", "welcome")
"""What somebody may get for whom nobody vouches."""


@dataclass
class Chance:
    """A candidate. `to`: the address it must go to, at most `most` a day; `late` and `too_late` are ages."""

    step: Step
    campaign: Campaign
    trigger: str
    created: int
    entry: str = ""
    to: str = ""
    most: int = 0
    late: int = 0
    too_late: int = 0
    caused: int = 0

    def decide(self) -> None:
        """Record the one decision; if nothing is against it, the message and its reservation."""
        reason, person, now = next(self._refusals(), ""), self.step.person, self.step.now
        self.step.record(self.campaign, self.trigger, reason or "SENT")
        if reason in ("", "CONTROL", "CAPPED") and self.campaign.reentry != 0:
            person["entries"][self._entry()] = now
        if reason:
            return
        expires = self.created + self.campaign.expires
        self.step.verdict.messages[self._key()] = (
            self.campaign.name,
            self._to(),
            "late" if self.late and now - self.created > self.late else "",
            now,
            expires,
            self.caused or self._first_time(),
            self.step.addresses(),
        )
        person["sends"][self._key()] = {
            "campaign": self.campaign.name,
            "to": self._to(),
            "trigger": self.trigger,
            "decided": now,
            "expires": expires,
            "counts": self.campaign.counts_to_cap,
            "state": "open",
            "at": 0,
            "regretted": False,
        }

    # --- the gates ----------------------------------------------------------------------------------------------------

    def _refusals(self) -> Iterator[str]:
        person, campaign, age = self.step.person, self.campaign, self.step.now - self.created
        marketing = campaign.klass == "marketing"
        if self._key() in person["sends"]:
            yield "DUPLICATE"
        if not campaign.live:
            yield "PAUSED"
        if self.too_late and age > self.too_late:
            yield "TOO_LATE"
        if age > campaign.expires:
            yield "EXPIRED"
        if not person["verified"] and campaign.trigger not in ASKED_FOR:
            yield "IDENTITY_LOW"
        if (marketing and self._suppressed(campaign.category, "*")) or self._suppressed("bounced"):
            yield "SUPPRESSED"
        if marketing and not self.step.consents.permits(campaign.category, "email", self.step.now):
            yield "NO_CONSENT"
        if not self._to():
            yield "UNREACHABLE"
        if campaign.trigger == "abandoned_cart" and self.step.cart.at()[1] is None:
            yield "EXCEPTION_EVENT"
        if self._entered() or self._too_many():
            yield "NOT_REENTRANT"
        if marketing and self._upset():
            yield "CARE_HOLD"
        if marketing and self._control():
            yield "CONTROL"
        if marketing and campaign.obeys_cap and self._capped():
            yield "CAPPED"

    def _suppressed(self, *what: str) -> bool:
        found = self.step.person["suppressed"]
        return any(name in found and found[name] >= found.get("confirmed", 0) for name in what)

    def _entered(self) -> bool:
        last, again = self.step.person["entries"].get(self._entry()), self.campaign.reentry
        return last is not None and (again is None or self.step.now - last < again)

    def _too_many(self) -> bool:
        """So many went within a day: to this address, or to any if it need not be a certain one."""
        sends = [send for send in self.step.person["sends"].values() if send["campaign"] == self.campaign.name]
        there = [send for send in sends if not self.to or send["to"] == self.to]
        lately = [send for send in there if self.step.now - send["decided"] < DAY]
        return bool(self.most) and len(lately) >= self.most

    def _upset(self) -> bool:
        hold = self.step.tenant.policy.care_hold
        return any(self.step.now < at + hold for at in self.step.person["upset"])

    def _control(self) -> bool:
        name = f"{self.step.tenant.name}\x1f{self.campaign.name}\x1f{self.step.person['id']}"
        return int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) % 10_000 < self.campaign.control

    def _capped(self) -> bool:
        now, times = self.step.now, list(map(self._counts_at, self.step.person["sends"].values()))
        return any(
            sum(1 for time in times if time is not None and now - time < cap.window) >= cap.count
            for cap in self.step.tenant.policy.caps
            if cap.channel in ("*", "email")
        )

    def _counts_at(self, send: dict[str, Any]) -> int | None:
        """An open reservation counts as sent now, and from three days after its expiry as sent then."""
        if not send["counts"] or send["state"] == "refused":
            return None
        if send["state"] != "open":
            at: int = send["at"]
            return at
        now, expires = self.step.now, int(send["expires"])
        return now if now < expires + 72 * HOUR else expires

    # --- names --------------------------------------------------------------------------------------------------------

    def _entry(self) -> str:
        return f"{self.campaign.name}/life" if self.campaign.reentry is None else f"{self.campaign.name}/{self.entry}"

    def _key(self) -> str:
        cause = "life" if self.campaign.reentry is None else self.trigger
        return send_key(self.step.tenant.name, self.campaign.name, 0, self.step.person["id"], cause, "email")

    def _to(self) -> str:
        """The address of the sign-up itself, or the surest and newest; for somebody verified only a certain one."""
        person = self.step.person
        mails = certain_mails(person) if person["verified"] else best_of(person, "email")
        return self.to or max(((*rank, mail) for mail, rank in mails.items()), default=(0, 0, ""))[2]

    def _first_time(self) -> int:
        arrival = self.step.arrival
        return (arrival.first_time or arrival.time) if arrival else self.step.now
