"""The oracle's reading, in journal order: what each record says, whether it came before, and whose it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from oracle_bodies import ids_of, json_of, kind_of, micros, money, products, put_in, says
from oracle_verdict import Arrival, Verdict

from schemas.codec import unpack
from schemas.failures import (
    BAD_VALUE,
    CONFLICT,
    DUPLICATE,
    MISSING_FIELD,
    NO_IDENTIFIER,
    NOT_TRUSTED,
    UNREADABLE,
    Refused,
)
from schemas.keys import address_in, address_of
from schemas.records import DAY, CutsPublished, Derived, Entry, Receipt

STRONG = ("customer", "email", "phone", "handle")
CART = ("add", "remove", "replace", "empty", "checkout", "order")


class Reading:
    """Journal order: `arrivals` are the records that have an address, links before the record that brings them."""

    def __init__(self, secret: bytes, verdict: Verdict) -> None:
        self.secret, self.verdict = secret, verdict
        self.arrivals: list[Arrival] = []
        self.by_sequence: dict[int, Arrival] = {}
        self.seen: dict[tuple[str, str], tuple[int, Any]] = {}
        self.trails: dict[tuple[str, str], dict[str, Any]] = {}

    def read(self, entry: Entry, received: int, sequence: int) -> None:
        if entry.kind == "mention":
            return
        try:
            told = _derived if entry.kind == "derived" else _called
            found = told(self, entry, received, sequence)
            self._once(found, entry)
            self._place(found)
        except Refused as refused:
            disposition = "filtered" if refused.reason == DUPLICATE else "failed"
            self.verdict.lines[sequence, disposition, refused.reason, ""] += 1

    def _once(self, found: Arrival, entry: Entry) -> None:
        """The same id within seven days and the rest of the first: a repeat, with other words a conflict."""
        name, words = (entry.tenant, found.mark or found.id), says(entry)
        known = self.seen.get(name)
        if known is not None and known[0] // DAY >= (found.time - 7 * DAY) // DAY:
            raise Refused(DUPLICATE if known[1] == words else CONFLICT)
        self.seen[name] = (found.time, words)

    def _place(self, found: Arrival) -> None:
        """Find the address; a visitor without a name leaves a trail instead."""
        cookie = found.fact if found.kind == "alias" and not found.mark else found.ids.get("cookie", "")
        if found.kind == "cuts":
            self._keep(found)
        elif found.address:
            if cookie and not isinstance(found.fact, Receipt):
                trail = self._trail(found, cookie)
                _logged_in(trail, found.address, [trail["pointer"]], found.time)
            self._keep(found)
        elif isinstance(found.fact, Receipt):
            found.address = address_in(found.fact.key)
            self._keep(found)
        elif strong := self._strong(found):
            self._named(found, strong, cookie)
        else:
            self._unnamed(found, cookie)

    def _strong(self, found: Arrival) -> list[bytes]:
        """The addresses that it names, the strongest first."""
        strong = [self._address(found, kind, found.ids[kind]) for kind in STRONG if found.ids.get(kind)]
        if found.kind == "alias":
            if not strong:
                raise Refused(NO_IDENTIFIER)
            if found.sure:  # a server: an older customer id is the same person
                return sorted({*strong, self._address(found, "customer", found.fact)})
        return strong

    def _named(self, found: Arrival, strong: list[bytes], cookie: str) -> None:
        found.address, *weaker = strong
        if cookie:
            trail = self._trail(found, cookie)
            if not _logged_in(trail, found.address, weaker, found.time):
                found.past, trail["past"] = trail["past"], None
        if found.sure:  # a browser joins nobody to anybody
            for sub, address in enumerate(weaker):
                self.arrivals.append(replace(found, address=address, link=found.address, sub=sub))
            found.sub = len(weaker)
        self._keep(found)

    def _unnamed(self, found: Arrival, cookie: str) -> None:
        """Our own token knows whom it was sent to, a cookie who last gave a name on it."""
        if found.kind == "confirmed" and len(found.body.get("token", "")) == 65:
            found.address = address_in(found.body["token"])
            self._keep(found)
        elif not cookie:
            raise Refused(NO_IDENTIFIER)
        elif pointer := self._trail(found, cookie)["pointer"]:
            found.address = pointer
            self._keep(found)
        else:
            _walked(self._trail(found, cookie), found)
            self.verdict.line(found, "")

    def _keep(self, found: Arrival) -> None:
        self.arrivals.append(found)
        self.by_sequence[found.sequence] = found

    def _trail(self, found: Arrival, cookie: str) -> dict[str, Any]:
        return self.trails.setdefault((found.tenant, cookie), {"pointer": b"", "people": {}, "past": None})

    def is_mailbox_of(self, found: Arrival, address: bytes) -> bool:
        """Whether a browser's record went on from somebody else's address to that of its e-mail."""
        mail = found.ids.get("email", "")
        return not found.sure and address not in (b"", found.address) and address == self._address(found, "email", mail)

    def _address(self, found: Arrival, kind: str, value: str) -> bytes:
        return address_of(self.secret, found.tenant, kind, value)


# --- what it says -----------------------------------------------------------------------------------------------------


def _called(_: Reading, entry: Entry, received: int, sequence: int) -> Arrival:
    """A call of an SDK."""
    if entry.kind == "unreadable":
        raise Refused(UNREADABLE)
    body = json_of(entry.body)
    kind, properties, traits = kind_of(entry.kind, body), body.get("properties") or {}, body.get("traits") or {}
    _check(kind, properties, entry.trust)
    fact = _cuts(properties) if kind == "cuts" else str(body.get("previousId")) if kind == "alias" else None
    words = properties | {name: traits[name] for name in ("marketing_opt_in",) if name in traits}
    if permissions := _permissions(entry.kind, body):
        words["consent"] = permissions
    return Arrival(
        received,
        sequence,
        0,
        entry.tenant,
        entry.trust,
        kind,
        body["messageId"],
        _happened(body, entry, received),
        ids_of(kind, body),
        words,
        fact=fact,
    )


def _permissions(call: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """All consents, wherever they stand; what an SDK repeats in the traits of other calls only takes back."""
    own, around = body.get("traits") or {}, (body.get("context") or {}).get("traits") or {}
    told = list((body.get("properties") or {}).get("consent") or [])
    places = [own, around] if "traits" in body else [around]
    if call == "identify":
        told += places.pop(0).get("consent") or []
    return told + [said for place in places for said in place.get("consent") or [] if not _is_yes(said)]


def _is_yes(said: dict[str, Any]) -> bool:
    lasts = said.get("valid_until") or said.get("unlimited")
    return bool(said.get("action") == "accept" and said.get("category") and lasts)


def _check(kind: str, properties: dict[str, Any], trust: str) -> None:
    """What a decision hangs on is demanded, and not everybody is believed."""
    if kind == "order" and not 0 <= money(properties) <= 10**12:
        raise Refused(BAD_VALUE)
    if kind in ("order", "refunded", "cancelled", "delivered") and not properties.get("order_id"):
        raise Refused(MISSING_FIELD)
    unproven = kind == "cuts" or (kind == "confirmed" and not properties.get("token"))
    if unproven and trust == "browser":
        raise Refused(NOT_TRUSTED)


def _happened(body: dict[str, Any], entry: Entry, received: int) -> int:
    """On the journal's clock: a sender's clock is corrected, unless it is wrong by more than a day."""
    said = body.get("originalTimestamp") or body.get("timestamp")
    if not said:
        return received
    happened = micros(said)
    sent = micros(body["sentAt"]) if body.get("sentAt") else entry.sent_at
    if sent and abs(received - sent) <= DAY:
        happened += received - sent
    return min(happened, received)


def _cuts(properties: dict[str, Any]) -> CutsPublished:
    bounds = (tuple(properties[name]) for name in ("recency", "frequency", "monetary"))
    return CutsPublished(str(properties["version"]), *bounds)


def _derived(reading: Reading, entry: Entry, received: int, sequence: int) -> Arrival:
    """A record of the job's own; a forward is the record itself, at another address."""
    derived = unpack(entry.body, Derived)
    if derived.original is not None:
        again = reading.by_sequence[derived.original.sequence]
        if again.kind == "signup" and reading.is_mailbox_of(again, derived.address):
            again = replace(again, ids={"email": again.ids["email"]})  # whose else it claimed to be is forgotten
        return replace(
            again,
            time=received,
            sequence=sequence,
            sub=0,
            address=derived.address,
            hops=derived.hops,
            places=(*again.places, again.sequence),
            mark=derived.id,
            first_time=again.first_time or again.time,
        )
    return Arrival(
        received,
        sequence,
        0,
        derived.tenant,
        "own",
        type(derived.fact).kind,
        derived.id,
        derived.event_time,
        {"handle": derived.ids.handle} if derived.ids.handle else {},
        {},
        derived.address,
        derived.fact,
    )


# --- trails of cookies ------------------------------------------------------------------------------------------------


def _logged_in(trail: dict[str, Any], address: bytes, same: list[bytes], now: int) -> bool:
    """The cookie leads to its latest login from now on. True for a tablet in a shop that many people use."""
    trail["pointer"] = address
    people = {name: at for name, at in trail["people"].items() if name not in same and now - at <= 30 * DAY}
    people.pop(address, None)
    trail["people"] = people = dict([*people.items(), (address, now)][-4:])
    return len(people) > 3


def _walked(trail: dict[str, Any], found: Arrival) -> None:
    """What a visitor without a name did: when first, and what lies in the cart."""
    past = trail["past"] = trail["past"] or {"first": found.happened, "cart": {}, "cart_at": 0}
    past["first"] = min(past["first"], found.happened)
    if found.kind in CART and found.happened >= past["cart_at"]:
        past["cart_at"], listed = found.happened, products(found.kind, found.body)
        if found.kind == "order":
            past["cart"] = {}
        elif found.kind in ("replace", "empty", "checkout"):
            past["cart"] = listed if listed or found.kind != "checkout" else past["cart"]
        else:
            put_in(past["cart"], found.kind, listed)
