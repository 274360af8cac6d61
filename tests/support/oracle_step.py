"""The oracle's steps: what one record or one wake brings about for one person, at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oracle_bodies import micros, money, products
from oracle_deciding import Chance
from oracle_person import Cart, Consents, best_of, certain_mails, rank_of_state, scored
from oracle_verdict import Arrival, Verdict

from schemas.keys import address_of, derived_id
from schemas.records import DAY, HOUR, Receipt
from schemas.workspace import Campaign, Tenant

if TYPE_CHECKING:
    from oracle_living import World

HISTORY = 7 * DAY
STATES = {"delivered": "sent", "opened": "sent", "clicked": "sent", "bounced": "sent", "complained": "sent"}


@dataclass
class Step:
    """One person at one moment: a record or a wake, and what follows at once."""

    world: World
    person: dict[str, Any]
    now: int
    arrival: Arrival | None = None
    gained: set[tuple[str, str]] = field(default_factory=set)

    def apply(self, arrival: Arrival) -> None:
        """Learn what the record says; then whatever it triggers."""
        self.arrival = arrival
        waited = self.waits()  # what the record itself brings about is decided in the light of its no
        self._observe(arrival)
        consents = self._learn_consents(arrival)
        if arrival.past and arrival.past["cart"]:
            self.cart.put(arrival.past["cart_at"], "", "past", arrival.past["cart"])
        getattr(self, f"_on_{arrival.kind}", self._on_nothing)(arrival)
        if arrival.kind != "signup" and (consents or arrival.kind == "confirmed"):
            self._welcome(everywhere=False)
        self._tell_door(arrival, waited)

    def _observe(self, arrival: Arrival) -> None:
        person = self.person
        moments = [person["first_seen"], arrival.happened, *([arrival.past["first"]] if arrival.past else [])]
        person["first_seen"] = min(moments)
        sure = arrival.trust == "server"
        at = 0 if arrival.kind in ("page", "screen", "view") else arrival.happened
        strong = [(kind, value) for kind, value in arrival.ids.items() if kind != "cookie"]
        person["names"] += [(kind, value, 2 if sure else 0, at) for kind, value in strong]
        person["verified"] = person["verified"] or (sure and bool(strong))

    def _learn_consents(self, arrival: Arrival) -> bool:
        """What is permitted from now on; what a browser claims for somebody known waits for a confirmation."""
        found = statements(arrival)
        before = self.consents.copy()
        for category, channel, accept, until in found:
            waits = accept and not arrival.sure and (self.person["verified"] or before.refused(category, channel))
            self.consents.say(category, channel, accept, arrival.happened, until, waits=waits)
        self.gained |= self.consents.gained(before, self.now)
        return bool(found)

    # --- what each kind of record brings ------------------------------------------------------------------------------

    def _on_nothing(self, arrival: Arrival) -> None:
        """Pages, views, and the like only tell who is there."""

    def _on_signup(self, arrival: Arrival) -> None:
        first = not self.person["signed_up"]
        self.person["signed_up"] = self.person["signed_up"] or arrival.happened
        email = arrival.ids.get("email")
        if email and not self.stale:
            token = derived_id(self.world.secret, "token", arrival.tenant, self.person["id"], arrival.id)
            self.person["tokens"][f"{self.person['id']}-{token}"] = (email, self.now + HISTORY)
            for campaign in self.campaigns("signup_confirmation"):
                Chance(self, campaign, arrival.id, arrival.happened, to=email, most=3).decide()
        self._welcome(everywhere=first)

    def _welcome(self, *, everywhere: bool) -> None:
        """At the first sign-up, or at the first permission on a channel; not for history."""
        assert self.arrival is not None
        for campaign in self.campaigns("welcome"):
            opened = {(campaign.category, "email"), (campaign.category, "*"), ("*", "email"), ("*", "*")} & self.gained
            entered = f"{campaign.name}/life" in self.person["entries"]
            if not self.stale and not entered and (everywhere or opened):
                Chance(self, campaign, self.arrival.id, self.arrival.happened, late=HOUR, too_late=DAY).decide()

    def _on_confirmed(self, arrival: Arrival) -> None:
        """A server's word on somebody by name: all is well again. Our own token: what was never refused is allowed."""
        named = arrival.sure and bool(set(arrival.ids) - {"cookie"})
        if not named:
            email, until = self.person["tokens"].get(arrival.body.get("token"), ("", 0))
            if self.now >= until or (self.person["verified"] and email not in certain_mails(self.person)):
                return
            del self.person["tokens"][arrival.body["token"]]
            self.person["names"].append(("email", email, 1, arrival.happened))
        self.person["verified"] = True
        if named:
            self._suppress("confirmed", arrival.happened)
        before = self.consents.copy()
        self.consents.confirm(arrival.happened, whatever=named)
        self.gained |= self.consents.gained(before, self.now)

    def _on_unsubscribed(self, arrival: Arrival) -> None:
        """From what the shop really sends, else from everything: nobody leaves in vain."""
        self._suppress(self._left(arrival), arrival.happened)

    def _left(self, arrival: Arrival) -> str:
        named = str(arrival.body.get("category") or "marketing").lower()
        sent = {campaign.category for campaign in self.tenant.campaigns} - {""}
        return named if named in sent and not arrival.body.get("all") else "*"

    def _on_opened(self, arrival: Arrival) -> None:
        self.person["upset"].append(arrival.happened)

    def _on_said(self, arrival: Arrival) -> None:
        if arrival.fact.directed and arrival.fact.sentiment == "negative":
            self.person["upset"].append(arrival.happened)

    def _on_order(self, arrival: Arrival) -> None:
        new = self._is_news(arrival)
        for campaign in self.campaigns("order_confirmation") if new and not self.stale else ():
            Chance(self, campaign, arrival.id, arrival.happened, most=0 if arrival.sure else 3).decide()
        self._touch_cart(arrival)
        if new:
            self._move("order")

    def _is_news(self, arrival: Arrival) -> bool:
        """Hear of an order. What a browser says counts until a server speaks of any of this person's orders."""
        if not arrival.sure and any(order["heard"] for order in self.person["orders"].values()):
            return False
        order = self._order(arrival)
        heard, claims, word = order["heard"], order["claims"], (arrival.happened, money(arrival.body))
        if arrival.sure:
            confirmed = [send for send in self.person["sends"].values() if send["trigger"] == order["news"]]
            names = [campaign.name for campaign in self.campaigns("order_confirmation")]
            went = any(send["campaign"] in names and send["state"] != "refused" for send in confirmed)
            new = not heard and not (claims and went and min(claims)[1] == word[1])
            heard.append(word)
            return new
        claims.append(word)
        order["news"] = order["news"] or arrival.id
        return len(claims) == 1

    def _on_refunded(self, arrival: Arrival) -> None:
        self.person["upset"].append(arrival.happened)
        self._take_back(arrival, money(arrival.body) if "total" in arrival.body else 0)

    def _on_cancelled(self, arrival: Arrival) -> None:
        self._take_back(arrival, 0)

    def _on_delivered(self, arrival: Arrival) -> None:
        self._move("order")

    def _take_back(self, arrival: Arrival, part: int) -> None:
        """A part of an order's money, or all of it."""
        if arrival.sure:
            order = self._order(arrival)
            order["void"], order["back"] = order["void"] or not part, order["back"] + part
        self._move("order")

    def _order(self, arrival: Arrival) -> dict[str, Any]:
        new = {"heard": [], "claims": [], "news": "", "back": 0, "void": False}
        found: dict[str, Any] = self.person["orders"].setdefault(str(arrival.body["order_id"]), new)
        return found

    def _on_receipt(self, arrival: Arrival) -> None:
        receipt: Receipt = arrival.fact
        self.verdict.receipts[receipt.key, receipt.state, receipt.key in self.person["sends"]] += 1
        self._settle(receipt, STATES.get(receipt.state, receipt.state))
        if receipt.state == "bounced" and receipt.code[:1] in ("", "5"):
            self._suppress("bounced", receipt.at)
        elif receipt.state == "complained":
            self._suppress("*", receipt.at)

    def _settle(self, receipt: Receipt, state: str) -> None:
        """Move a reservation; what left without one counts all the same."""
        send = self.person["sends"].get(receipt.key)
        if send is not None:
            if rank_of_state(state) > rank_of_state(send["state"]):
                send.update(state=state, at=receipt.at)
            elif state == send["state"]:
                send["at"] = min(send["at"], receipt.at)
        elif receipt.state in ("sent", "in_doubt"):
            ghost = {"campaign": "", "to": "", "trigger": "", "counts": True, "regretted": False}
            times = {"decided": receipt.at, "expires": receipt.at, "at": receipt.at}
            self.person["sends"][receipt.key] = {**ghost, **times, "state": state}

    def _suppress(self, what: str, at: int) -> None:
        self.person["suppressed"][what] = max(at, self.person["suppressed"].get(what, 0))

    # --- what the door is told ----------------------------------------------------------------------------------------

    def _tell_door(self, arrival: Arrival, waited: bool) -> None:
        """A no may come when a message waits already; a server's confirmation ends what the door was told before."""
        if arrival.kind == "confirmed" and arrival.sure and set(arrival.ids) - {"cookie"}:
            if self.person["told"]:
                self._tell(())
            return
        listed = list(arrival.body.get("consent") or [])
        listed += [arrival.body] if arrival.kind == "consent" and not listed else []
        no = {(each.get("category") or "*", each.get("channel") or "any") for each in listed if _is_no(each)}
        pairs = {(category, "*" if channel == "any" else channel) for category, channel in no}
        if arrival.kind == "unsubscribed":
            pairs.add((self._left(arrival), "*"))
        if arrival.kind == "receipt" and arrival.fact.state == "complained":
            self.person["told"] = True
            self._tell((("*", "*"),))
            return
        self.warn(pairs, waited)

    def waits(self) -> bool:
        """Whether a message may still be on its way."""
        return any(each["state"] == "open" and self.now < each["expires"] for each in self.person["sends"].values())

    def warn(self, pairs: set[tuple[str, str]], waits: bool) -> None:
        """Tell the door of a no if a message `waits` for it, or if somebody else may be the same person."""
        if pairs and (waits or self._perhaps_others()):
            self.person["told"] = True
            self._tell(tuple(sorted(pairs)))

    def _perhaps_others(self) -> bool:
        """Whether only browsers say that a name of another address, which this record does not give, is theirs."""
        assert self.arrival is not None
        home, ids = self.arrival.address, self.arrival.ids
        for kind in ("customer", "email", "phone", "handle"):
            for value, (sureness, _) in best_of(self.person, kind).items():
                elsewhere = address_of(self.world.secret, self.tenant.name, kind, value) != home
                if sureness < 2 and ids.get(kind) != value and elsewhere:
                    return True
        return False

    def stands(self) -> set[tuple[str, str]]:
        """Everything that the person refuses now."""
        suppressed = self.person["suppressed"]
        whole = {what for what, at in suppressed.items() if at >= suppressed.get("confirmed", 0)}
        return {(what, "*") for what in whole - {"confirmed", "bounced"}} | self.consents.refusals()

    def _tell(self, pairs: tuple[tuple[str, str], ...]) -> None:
        arrival = self.arrival
        assert arrival is not None
        everywhere = tuple(sorted({*self.addresses(), arrival.address, *self.person["homes"]}))
        place = (arrival.first_time or arrival.time, (*arrival.places, arrival.sequence)[0])
        self.verdict.silenced[arrival.id, arrival.address, everywhere, pairs, *place] += 1

    def addresses(self) -> tuple[bytes, ...]:
        """The person's own address, and one for each name."""
        names = {(kind, value) for kind, value, *_ in self.person["names"]}
        named = {address_of(self.world.secret, self.tenant.name, kind, value) for kind, value in names}
        return tuple(sorted(named | {bytes.fromhex(self.person["id"])}))

    # --- carts --------------------------------------------------------------------------------------------------------

    def _touch_cart(self, arrival: Arrival) -> None:
        self.cart.put(arrival.happened, arrival.id, arrival.kind, products(arrival.kind, arrival.body))
        _, live = self.cart.at()
        for campaign in self.campaigns("abandoned_cart"):
            run = self.person["runs"].setdefault(campaign.name, {"due": 0, "since": (0, "")})
            if live is None:
                if run["due"]:
                    run["due"] = 0
                    self.record(campaign, run["since"][1], "EXCEPTION_EVENT")
            elif live > run["since"] and self.now - live[0] <= HISTORY:
                run.update(since=live, due=max(live[0] + campaign.after[0], self.now))
        if arrival.kind in ("empty", "checkout", "order") and not self.stale:
            self._regret(arrival.happened)

    _on_add = _on_remove = _on_replace = _on_empty = _on_checkout = _touch_cart

    def _regret(self, happened: int) -> None:
        """A reminder went although something had ended the cart before."""
        for campaign in self.campaigns("abandoned_cart"):
            for send in self.person["sends"].values():
                late = send["campaign"] == campaign.name and not send["regretted"] and happened < send["decided"]
                if late and self._was_over(happened, send, campaign):
                    send["regretted"] = True
                    self.verdict.regretted[self.person["id"], campaign.name, send["trigger"], self.now] += 1

    def _was_over(self, happened: int, send: dict[str, Any], campaign: Campaign) -> bool:
        if self.cart.began_anew(happened):
            return bool(happened >= send["expires"] - campaign.expires - campaign.after[0])
        return self.cart.at(send["decided"])[1] is None

    # --- wakes --------------------------------------------------------------------------------------------------------

    def ring(self, name: str) -> None:
        """A cart's wait is over (its campaign's name), or it is time to look at the segment again ("")."""
        if not name:
            self._move("decay")
            return
        run = self.person["runs"][name]
        due, run["due"] = run["due"], 0
        for campaign in self.campaigns("abandoned_cart"):
            if campaign.name == name:
                Chance(self, campaign, run["since"][1], due, caused=due).decide()

    # --- segments -----------------------------------------------------------------------------------------------------

    def _move(self, cause: str) -> None:
        """Score anew; a move that no cut points caused may fire campaigns."""
        change = self.score(cause)
        if change is None or change[0] == "recut" or self.stale:
            return
        for campaign in self.campaigns("rfm_transition"):
            if self.person["segment"] in campaign.to:
                Chance(self, campaign, change[1], self.now, caused=self.now, entry=self.person["segment"]).decide()

    def score(self, cause: str) -> tuple[str, str] | None:
        """Cause and trigger of a move that is published now: at once, or once it has held for an hour."""
        person, orders = self.person, self.person["orders"]
        cuts = self.world.cuts(self.tenant.name, self.now)
        assert cuts is not None
        new, scores, following = scored(orders, self.now, cuts)
        if new != person["segment"] and cause == "decay":
            held = person["waiting"] is not None and person["waiting"][0] == new
            if not held or self.now - person["waiting"][1] < HOUR:
                person["waiting"], person["look"] = (new, self.now), self.now + HOUR
                return None
        before = self.world.cuts(self.tenant.name, self.now, person["cuts"] or "none")
        person["look"], person["waiting"], person["cuts"] = following, None, cuts.version
        if new == person["segment"]:
            return None
        if before is not None and scored(orders, self.now, before)[0] == person["segment"]:
            cause = "recut"
        self.verdict.segments[person["id"], person["segment"], new, cause, self.now, cuts.version, *scores] += 1
        person["segment"] = new
        trigger = self.arrival.id if self.arrival else derived_id("segment", person["id"], new, self.now)
        return cause, trigger

    # --- what else a chance of a message asks -------------------------------------------------------------------------

    @property
    def verdict(self) -> Verdict:
        return self.world.verdict

    @property
    def tenant(self) -> Tenant:
        return self.world.tenants[self.person["tenant"]]

    @property
    def stale(self) -> bool:
        """History: it updates the profile and fires nothing."""
        return self.arrival is not None and self.now - self.arrival.happened > HISTORY

    @property
    def cart(self) -> Cart:
        found: Cart = self.person["cart"]
        return found

    @property
    def consents(self) -> Consents:
        found: Consents = self.person["consents"]
        return found

    def campaigns(self, trigger: str) -> list[Campaign]:
        return [campaign for campaign in self.tenant.campaigns if campaign.trigger == trigger]

    def record(self, campaign: Campaign, trigger: str, reason: str) -> None:
        self.verdict.decisions[self.person["id"], campaign.name, trigger, reason, self.now] += 1


def _is_no(said: dict[str, Any]) -> bool:
    return bool(said.get("action") != "accept")


def statements(arrival: Arrival) -> list[tuple[str, str, bool, int]]:
    """(category, channel, yes, until) of each consent; a yes without category or end is a no."""
    found = []
    listed = list(arrival.body.get("consent") or [])
    if arrival.kind in ("signup", "identify", "confirmed") and arrival.body.get("marketing_opt_in"):
        listed.append({"action": "accept", "category": "marketing", "channel": "email", "unlimited": True})
    if arrival.kind == "consent" and not listed:
        listed.append(arrival.body)
    for said in listed:
        category, channel = said.get("category") or "*", said.get("channel") or "any"
        until = micros(said["valid_until"]) if said.get("valid_until") else 0
        yes = said.get("action") == "accept" and category != "*" and bool(until or said.get("unlimited"))
        found.append((category, "*" if channel == "any" else channel, yes, until))
    return found
