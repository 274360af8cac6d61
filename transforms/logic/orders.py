"""What the person bought, by order id: each counts once, net of what was taken back, however they arrive.

A browser's word on orders is for shops whose server tells of none: a server's takes its place, and where there is one
no browser is heard any more. Only a server takes money back.
"""

from __future__ import annotations

from schemas.records import CLAIMED, DAY, OrderChanged, OrderPlaced
from transforms.logic import order_confirmation
from transforms.logic.moment import Moment
from transforms.logic.profile import ORDERS, SENDS, Order

_KEPT = 730 * DAY
_MOST = 1000


def place(moment: Moment) -> bool:
    """Learn of an order; `moment.new_order` tells the rules whether it is news."""
    event, person = moment.cause, moment.person
    assert isinstance(event.fact, OrderPlaced)
    orders, claimed = ORDERS.read(person.orders), event.trust == CLAIMED
    if claimed and any(order.at and not order.claimed for order in orders):
        return False
    order = _find(orders, event.fact.order)
    heard = (event.event_time, event.fact.value)
    if not order.at:
        moment.new_order, order.claimed = True, event.id if claimed else ""
    elif order.claimed and not claimed:
        moment.new_order = order.value != event.fact.value or not _is_confirmed(moment, order)
        order.claimed = ""
    else:
        heard = min((order.at, order.value), heard)
    order.at, order.value = heard
    person.orders = ORDERS.write(_kept(orders))
    return True


def _is_confirmed(moment: Moment, order: Order) -> bool:
    """Whether the person was told of an order when a browser claimed it."""
    campaigns = {campaign.name for campaign in moment.plan.of_trigger(order_confirmation.TRIGGER)}
    sends = SENDS.read(moment.person.sends)
    return any(
        send.trigger == order.claimed and send.campaign in campaigns for send in sends if send.state != "refused"
    )


def change(moment: Moment) -> bool:
    """Learn that an order was cancelled or refunded, wholly (value 0) or in part; a delivery changes no money."""
    event, person = moment.cause, moment.person
    fact = event.fact
    assert isinstance(fact, OrderChanged)
    if fact.change not in ("cancelled", "refunded") or event.trust == CLAIMED:
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
            if other.at and (not own.at or _word(other) < _word(own)):
                own.at, own.value, own.claimed = other.at, other.value, other.claimed
    return list(found.values())


def _word(order: Order) -> tuple[bool, int, int, str]:
    """A server's before a browser's, then the earliest, then the lowest."""
    return bool(order.claimed), order.at, order.value, order.claimed
