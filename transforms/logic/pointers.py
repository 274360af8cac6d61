"""Whose it is: each event goes to the address of its strongest identifier; a cookie alone goes where it points.

    customer c1, e-mail ana@…   ->  known at c1, and, if a server says so, a link from ana@… to c1
    cookie k7, seen with c1     ->  known at c1
    cookie k8, never named      ->  kept as anonymous facts until somebody gives a name on it

Nobody mints a person here: an address is a hash that any two shards compute alike.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from schemas.failures import NO_IDENTIFIER, STEP_FAILED, UNKNOWN_KEY, Refused, form_of
from schemas.keys import address_in, address_of
from schemas.records import CLAIMED, Aliased, Confirmed, CutsPublished, Event, Ids, Known, Past, Receipt, Route
from transforms.logic import lines, trails
from transforms.logic.refusals import failure
from transforms.logic.shard import Outputs, Shard
from transforms.logic.trail_book import TrailBook

STAGE = "pointers"
VERIFIED, UNPROVEN, SHARED = "verified", "claimed", "shared"
EVERYBODY = "\x00tenant"
"""No customer has this id: its address stands for all of a tenant's people."""

_PLACED_BY_KIND = frozenset((Receipt, CutsPublished, Aliased))
"""Facts that are not simply about whom their identifiers name."""


class Pointers:
    """The stage that finds addresses. `secret` is the key of all identifier hashes."""

    name = STAGE

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def key(self, event: Event) -> bytes:
        """The cookie that the event may teach something about, else whatever names its person.

        Their text and not their address, for placing needs no secret and is asked for each event.
        """
        return f"{event.tenant}\x1f{_cookie(event) or _name(event)}".encode()

    def run(self, shard: Shard, events: Sequence[Event]) -> Outputs:
        """Place the events, in their order; a record that names nobody is a failure."""
        out = Outputs()
        cookies = [self._address(event.tenant, "cookie", _cookie(event)) for event in events]
        book = TrailBook(shard, [cookie for cookie in cookies if cookie])
        for event, cookie in zip(events, cookies, strict=True):
            try:
                self._place(event, cookie, book, out)
            except Refused as refused:
                _fail(out, event, refused.reason, refused.detail)
        book.keep()
        return out

    def wake(self, shard: Shard, upto: int) -> Outputs:
        """Forget trails that went cold."""
        due = shard.due(upto)
        TrailBook(shard, [key for _, key in due]).forget(due)
        return Outputs()

    def refuse(self, event: Event, error: Exception) -> Outputs:
        """One failure and its line."""
        out = Outputs()
        _fail(out, event, STEP_FAILED, type(error).__name__)
        return out

    # --- one event ----------------------------------------------------------------------------------------------------

    def _place(self, event: Event, cookie: bytes, book: TrailBook, out: Outputs) -> None:
        if event.route is not None:
            out.known.append(_routed(event, event.route, cookie, book))
        elif type(event.fact) in _PLACED_BY_KIND:
            self._place_by_kind(event, cookie, book, out)
        elif strong := self._strong(event.tenant, event.ids):
            _named(event, strong, cookie, book, out)
        elif type(event.fact) is Confirmed and (person := _person_in(event.fact.token)):
            out.known.append(Known(person, event, _confidence(event, False)))
        elif cookie:
            _unnamed(event, cookie, book, out)
        else:
            raise _nobody()

    def _place_by_kind(self, event: Event, cookie: bytes, book: TrailBook, out: Outputs) -> None:
        fact = event.fact
        if isinstance(fact, Receipt):
            out.known.append(Known(_address_in(fact.key), event, VERIFIED))
        elif isinstance(fact, Aliased):
            strong = self._strong(event.tenant, event.ids)
            if not strong:
                raise _nobody()
            if event.trust != CLAIMED:
                strong = self._joined(event.tenant, strong, fact.previous)
            _named(event, strong, cookie, book, out)
        else:
            # Cut points: one record for all; its reader hands it to every shard.
            out.known.append(Known(self._address(event.tenant, "customer", EVERYBODY), event, VERIFIED))

    # --- addresses ----------------------------------------------------------------------------------------------------

    def _address(self, tenant: str, kind: str, value: str) -> bytes:
        return address_of(self._secret, tenant, kind, value) if value else b""

    def _strong(self, tenant: str, ids: Ids) -> list[bytes]:
        """The addresses of all strong identifiers, the strongest first."""
        found = []
        if ids.customer:
            found.append(address_of(self._secret, tenant, "customer", ids.customer))
        if ids.email:
            found.append(address_of(self._secret, tenant, "email", ids.email))
        if ids.phone:
            found.append(address_of(self._secret, tenant, "phone", ids.phone))
        if ids.handle:
            found.append(address_of(self._secret, tenant, "handle", ids.handle))
        return found

    def _joined(self, tenant: str, strong: list[bytes], previous: str) -> list[bytes]:
        """A server says that an older customer id is the same person: the smaller address is the stronger."""
        older = self._address(tenant, "customer", previous)
        return sorted({*strong, older})


# --- one event --------------------------------------------------------------------------------------------------------


def _routed(event: Event, route: Route, cookie: bytes, book: TrailBook) -> Known:
    shared = False
    if cookie:
        trail = trails.repaired(book.find(cookie, event.received_at), route.address, event.received_at)
        book.put(cookie, trail)
        shared = trail.shared(event.received_at)
    return Known(route.address, event, _confidence(event, shared), past=route.past, hops=route.hops)


def _named(event: Event, strong: list[bytes], cookie: bytes, book: TrailBook, out: Outputs) -> None:
    past, shared = _learn(event, strong, cookie, book) if cookie else (None, False)
    confidence, address = _confidence(event, shared), strong[0]
    if len(strong) > 1 and event.trust != CLAIMED:  # a browser's word joins nobody to anybody
        for sub, weaker in enumerate(strong[1:]):
            out.known.append(Known(weaker, replace(event, sub=sub), confidence, address))
        event = replace(event, sub=len(strong) - 1)
    out.known.append(Known(address, event, confidence, b"", past))


def _learn(event: Event, strong: list[bytes], cookie: bytes, book: TrailBook) -> tuple[Past | None, bool]:
    """The cookie's pointer follows the latest login; what it did before goes to that person, once."""
    now = event.received_at
    before = book.find(cookie, now)
    trail = trails.named(before, strong[0], strong[1:], now)
    shared = trail.shared(now)
    if trail is before:
        return None, shared
    if shared or trail.past is None:
        book.put(cookie, trail)
        return None, shared
    book.put(cookie, replace(trail, past=None))
    return trail.past, False


def _unnamed(event: Event, cookie: bytes, book: TrailBook, out: Outputs) -> None:
    trail = book.find(cookie, event.received_at)
    if trail.pointer:
        out.known.append(Known(trail.pointer, event, SHARED if trail.shared(event.received_at) else UNPROVEN))
        return
    book.put(cookie, trails.walked(trail, event))
    out.rows.append(lines.event_row(event, ""))


def _cookie(event: Event) -> str:
    """The cookie whose trail an event may change: the one that an alias names, else the event's own."""
    fact = event.fact
    if type(fact) is Receipt:
        return ""
    return fact.previous if type(fact) is Aliased and event.route is None else event.ids.cookie


def _name(event: Event) -> str:
    """Whatever names the person of an event without a cookie."""
    if event.route is not None:
        return event.route.address.hex()
    ids = event.ids
    return ids.customer or ids.email or ids.phone or ids.handle or event.id


def _nobody() -> Refused:
    return Refused(NO_IDENTIFIER, "expected a customer id, e-mail, phone, handle or anonymous id")


def _confidence(event: Event, shared: bool) -> str:
    if event.trust != CLAIMED:
        return VERIFIED
    return SHARED if shared else UNPROVEN


def _address_in(key: str) -> bytes:
    try:
        return address_in(key)
    except ValueError as error:
        raise Refused(UNKNOWN_KEY, f"key: expected a send key of ours, got {form_of(key)}") from error


def _person_in(token: str) -> bytes:
    """Whom a token of ours was sent to, empty if it is none: its link may be followed on any browser."""
    try:
        return address_in(token)
    except ValueError:
        return b""


def _fail(out: Outputs, event: Event, reason: str, detail: str) -> None:
    out.failures.append(failure(STAGE, event, reason, detail))
    out.rows.append(lines.event_row(event, "", lines.FAILED, reason))
