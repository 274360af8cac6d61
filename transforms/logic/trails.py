"""What is kept of one cookie: whom it was last seen with, how many different people that were, and, while that is
nobody, what the visitor did.

A cookie proves nothing: it leads to the person who last gave a name on it. Seen with more than three people in 30 days
it is `shared` (a tablet in a shop) and links no longer.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec.msgpack import Decoder
from msgspec.structs import replace

from schemas.codec import VERSION, unpack
from schemas.records import DAY, CartUpdated, CheckoutStarted, Event, Item, OrderPlaced, Past, Record, Seen, Viewed

MEMORY = 90 * DAY
"""How long a visitor nobody knew is remembered."""

POINTER_MEMORY = 365 * DAY
_WINDOW = 30 * DAY
_MOST_PEOPLE = 3
_MOST_VIEWS = 50
_MOST_ITEMS = 50


class Trail(Record, frozen=True):
    """`people` are the addresses seen with the cookie and when last (journal time); `last` is when it was last kept.

    `armed` is its wake, at which it is forgotten if it has gone cold and armed again if it has not.
    """

    pointer: bytes = b""
    people: tuple[tuple[bytes, int], ...] = ()
    past: Past | None = None
    last: int = 0
    armed: int = 0

    def shared(self, now: int) -> bool:
        """Whether more people than one household used it lately."""
        return len(self.people) > _MOST_PEOPLE and now - min(at for _, at in self.people) <= _WINDOW

    @property
    def cold_at(self) -> int:
        """When it is forgotten if nothing more comes."""
        return self.last + (POINTER_MEMORY if self.pointer else MEMORY)


_decoder = Decoder(Trail)


def unpacked(row: bytes) -> Trail:
    """The trail in a row, as `schemas.codec.unpack` reads it; one is read for each event, so its decoder is at hand."""
    if row.startswith(VERSION):
        return _decoder.decode(row[len(VERSION) :])
    return unpack(row, Trail)  # which says what is wrong


def named(trail: Trail, address: bytes, others: Collection[bytes], now: int) -> Trail:
    """Somebody gave a name on this cookie; `others` are weaker addresses of the same person.

    Gives back the very same trail if there is nothing to learn, for most records of a known visitor teach nothing.
    """
    if trail.pointer == address and trail.past is None and now - trail.last < DAY and trail.people[-1][0] == address:
        return trail
    people = [(each, at) for each, at in trail.people if each != address and each not in others and now - at <= _WINDOW]
    people.append((address, now))
    kept = tuple(people[-_MOST_PEOPLE - 1 :])
    return replace(trail, pointer=address, people=kept, last=now, armed=trail.armed or now + MEMORY)


def repaired(trail: Trail, address: bytes, now: int) -> Trail:
    """The pointer led to an alias: it leads to `address` from now on, and both are one person."""
    return named(trail, address, (trail.pointer,), now)


def walked(trail: Trail, event: Event) -> Trail:
    """A visitor without a name did something: only what a campaign may use later is kept."""
    now = event.received_at
    past = trail.past or Past(event.event_time)
    if event.event_time < past.first_seen:
        past = replace(past, first_seen=event.event_time)
    fact = event.fact
    if isinstance(fact, Viewed):
        past = _viewed(past, fact, event.event_time)
    elif isinstance(fact, CartUpdated | CheckoutStarted | OrderPlaced) and event.event_time >= past.cart_at:
        past = replace(past, cart=_cart(past.cart, fact), cart_at=event.event_time)
    return replace(trail, past=past, last=now, armed=trail.armed or now + MEMORY)


def _viewed(past: Past, fact: Viewed, at: int) -> Past:
    item = fact.item
    if item is None:
        return past
    old = next((seen for seen in past.views if seen.product == item.product), Seen(item.product, 0, 0))
    views = [seen for seen in past.views if seen is not old]
    views.append(Seen(item.product, old.count + 1, max(old.last, at), item.name or old.name))
    views.sort(key=lambda seen: seen.last)
    return replace(past, views=tuple(views[-_MOST_VIEWS:]))


def _cart(cart: tuple[Item, ...], fact: CartUpdated | CheckoutStarted | OrderPlaced) -> tuple[Item, ...]:
    if isinstance(fact, OrderPlaced):
        return ()
    if isinstance(fact, CheckoutStarted):
        return fact.items[:_MOST_ITEMS] or cart
    if fact.change in ("replace", "empty"):
        return fact.items[:_MOST_ITEMS]
    held = {(item.product, item.variant): item for item in cart}
    for item in fact.items:
        name = item.product, item.variant
        before = held[name].quantity if name in held else 0
        left = before + item.quantity if fact.change == "add" else before - item.quantity
        if left > 0:
            held[name] = replace(item, quantity=left)
        else:
            held.pop(name, None)
    return tuple(held.values())[:_MOST_ITEMS]
