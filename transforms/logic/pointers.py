"""Whose it is: each event goes to the address of its strongest identifier; a cookie alone goes where it points.

    customer c1, e-mail ana@…   ->  known at c1, and a link from ana@… to c1
    cookie k7, seen with c1     ->  known at c1
    cookie k8, never named      ->  kept as anonymous facts until somebody gives a name on it

Nobody mints a person here: an address is a hash that any two shards compute alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

from msgspec.structs import replace

from schemas.failures import NO_IDENTIFIER, STEP_FAILED, UNKNOWN_KEY, Refused
from schemas.keys import address_in, address_of
from schemas.records import CLAIMED, Aliased, CutsPublished, Event, Ids, Known, Past, Receipt
from transforms.logic import lines, trails
from transforms.logic.refusals import failure
from transforms.logic.shard import Outputs, Shard
from transforms.logic.trail_book import TrailBook

STAGE = "pointers"
VERIFIED, UNPROVEN, SHARED = "verified", "claimed", "shared"
EVERYBODY = "\x00tenant"
"""No customer has this id: its address stands for all of a tenant's people."""

_REMEMBERED_ADDRESSES = 1 << 14


class Pointers:
    """The stage that finds addresses. `secret` is the key of all identifier hashes."""

    name = STAGE

    def __init__(self, secret: bytes) -> None:
        self._address = lru_cache(_REMEMBERED_ADDRESSES)(partial(address_of, secret))

    def key(self, event: Event) -> bytes:
        """The cookie that the event may teach something about, else whatever names its person."""
        cookie = _cookie(event)
        if cookie:
            return self._address(event.tenant, "cookie", cookie)
        if event.route is not None:
            return event.route.address
        strong = self._strong(event.tenant, event.ids)
        return strong[0] if strong else event.id.encode()

    def run(self, shard: Shard, events: Sequence[Event]) -> Outputs:
        """Place the events, in their order; a record that names nobody is a failure."""
        out = Outputs()
        book = TrailBook(
            shard, [self._address(event.tenant, "cookie", _cookie(event)) for event in events if _cookie(event)]
        )
        for event in events:
            try:
                self._place(event, book, out)
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
        _fail(out, event, STEP_FAILED, f"{type(error).__name__}: {error}")
        return out

    # --- one event ----------------------------------------------------------------------------------------------------

    def _place(self, event: Event, book: TrailBook, out: Outputs) -> None:
        fact = event.fact
        if event.route is not None:
            self._routed(event, book, out)
        elif type(fact) is Receipt:
            out.known.append(Known(_address_in(fact.key), event, VERIFIED))
        elif type(fact) is CutsPublished:
            # One record for all: its reader hands it to every shard.
            out.known.append(Known(self._address(event.tenant, "customer", EVERYBODY), event, VERIFIED))
        elif strong := self._strong(event.tenant, event.ids):
            if type(fact) is Aliased and event.trust != CLAIMED:
                strong = self._joined(event.tenant, strong, fact.previous)
            self._named(event, strong, book, out)
        elif event.ids.cookie and type(fact) is not Aliased:
            self._unnamed(event, book, out)
        else:
            raise Refused(NO_IDENTIFIER, "expected a customer id, e-mail, phone, handle or anonymous id")

    def _routed(self, event: Event, book: TrailBook, out: Outputs) -> None:
        route = event.route
        assert route is not None
        shared = False
        if event.ids.cookie:
            cookie = self._address(event.tenant, "cookie", event.ids.cookie)
            trail = trails.repaired(book.find(cookie, event.received_at), route.address, event.received_at)
            book.put(cookie, trail)
            shared = trail.shared(event.received_at)
        out.known.append(Known(route.address, event, _confidence(event, shared), past=route.past, hops=route.hops))

    def _named(self, event: Event, strong: list[bytes], book: TrailBook, out: Outputs) -> None:
        past, shared = self._learn(event, strong, book)
        confidence, address = _confidence(event, shared), strong[0]
        for sub, weaker in enumerate(strong[1:]):
            out.known.append(Known(weaker, replace(event, sub=sub), confidence, address))
        if len(strong) > 1:
            event = replace(event, sub=len(strong) - 1)
        out.known.append(Known(address, event, confidence, past=past))

    def _learn(self, event: Event, strong: list[bytes], book: TrailBook) -> tuple[Past | None, bool]:
        """The cookie's pointer follows the latest login; what it did before goes to that person, once."""
        cookie = _cookie(event)
        if not cookie:
            return None, False
        key = self._address(event.tenant, "cookie", cookie)
        trail = trails.named(book.find(key, event.received_at), strong[0], strong[1:], event.received_at)
        shared = trail.shared(event.received_at)
        if shared or trail.past is None:
            book.put(key, trail)
            return None, shared
        book.put(key, replace(trail, past=None))
        return trail.past, False

    def _unnamed(self, event: Event, book: TrailBook, out: Outputs) -> None:
        cookie = self._address(event.tenant, "cookie", event.ids.cookie)
        trail = book.find(cookie, event.received_at)
        if trail.pointer:
            out.known.append(Known(trail.pointer, event, SHARED if trail.shared(event.received_at) else UNPROVEN))
            return
        book.put(cookie, trails.walked(trail, event))
        out.rows.append(lines.event_row(event, ""))

    # --- addresses ----------------------------------------------------------------------------------------------------

    def _strong(self, tenant: str, ids: Ids) -> list[bytes]:
        """The addresses of all strong identifiers, the strongest first."""
        found = []
        if ids.customer:
            found.append(self._address(tenant, "customer", ids.customer))
        if ids.email:
            found.append(self._address(tenant, "email", ids.email))
        if ids.phone:
            found.append(self._address(tenant, "phone", ids.phone))
        if ids.handle:
            found.append(self._address(tenant, "handle", ids.handle))
        return found

    def _joined(self, tenant: str, strong: list[bytes], previous: str) -> list[bytes]:
        """A server says that an older customer id is the same person: the smaller address is the stronger."""
        older = self._address(tenant, "customer", previous)
        return sorted({*strong, older})


def _cookie(event: Event) -> str:
    """The cookie whose trail an event may change: the one that an alias names, else the event's own."""
    fact = event.fact
    if type(fact) is Receipt:
        return ""
    return fact.previous if type(fact) is Aliased and event.route is None else event.ids.cookie


def _confidence(event: Event, shared: bool) -> str:
    if event.trust != CLAIMED:
        return VERIFIED
    return SHARED if shared else UNPROVEN


def _address_in(key: str) -> bytes:
    try:
        return address_in(key)
    except ValueError as error:
        raise Refused(UNKNOWN_KEY, str(error)) from error


def _fail(out: Outputs, event: Event, reason: str, detail: str) -> None:
    out.failures.append(failure(STAGE, event, reason, detail))
    out.rows.append(lines.event_row(event, "", lines.FAILED, reason))
