"""What the person bought, by order id: each counts once, net of what was taken back, however they arrive."""

from __future__ import annotations

from schemas.records import DAY, OrderChanged, OrderPlaced
from transforms.logic.moment import Moment
from transforms.logic.profile import ORDERS, Order

_KEPT = 730 * DAY
_MOST = 1000


def place(moment: Moment) -> bool:
    """Learn of an order; `moment.new_order` tells the rules whether it is news."""
    event, person = moment.cause, moment.person
    assert isinstance(event.fact, OrderPlaced)
    orders = ORDERS.read(person.orders)
    order = _find(orders, event.fact.order)
    moment.new_order = not order.at
    heard = (event.event_time, event.fact.value)
    order.at, order.value = heard if moment.new_order else min((order.at, order.value), heard)
    person.orders = ORDERS.write(_kept(orders))
    return True


def change(moment: Moment) -> bool:
    """Learn that an order was cancelled or refunded, wholly (value 0) or in part; a delivery changes no money."""
    event, person = moment.cause, moment.person
    fact = event.fact
    assert isinstance(fact, OrderChanged)
    if fact.change not in ("cancelled", "refunded"):
        return False
    orders = ORDERS.read(person.orders)
    order = _find(orders, fact.order)
    order.void = order.void or not fact.value
    order.back += fact.value
    person.orders = ORDERS.write(orders)
    return True


def _find(orders: list[Order], name: str) -> Order:
    found = next((order for order in orders if order.id == name), None)
    if found is None:
        found = Order(name)
        orders.append(found)
    return found


def _kept(orders: list[Order]) -> list[Order]:
    """Those young enough to count in any score, and at most so many."""
    newest = max(order.at for order in orders)
    if len(orders) < _MOST and min(order.at or newest for order in orders) > newest - _KEPT:
        return orders
    kept = [order for order in orders if (order.at or newest) > newest - _KEPT]
    return sorted(kept, key=lambda order: (order.at or newest, order.id))[-_MOST:]


def unite(mine: list[Order], others: list[Order]) -> list[Order]:
    """The orders of two people who turn out to be one: by id, each once."""
    found = {order.id: order for order in mine}
    for other in others:
        own = found.setdefault(other.id, other)
        if own is not other:
            own.void, own.back = own.void or other.void, max(own.back, other.back)
            if other.at and (not own.at or (other.at, other.value) < (own.at, own.value)):
                own.at, own.value = other.at, other.value
    return list(found.values())
