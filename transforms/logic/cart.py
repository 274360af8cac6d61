"""The cart as a fold, in event time, of what happened to it. The order of arrival does not matter.

Operations before an unconditional reset (emptied, replaced) are forgotten, and those older than the longest wait are
folded into one; so a cart has a handful of them.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from operator import attrgetter

from msgspec.structs import replace

from schemas.records import CartUpdated, CheckoutStarted, Item, OrderPlaced
from transforms.logic.moment import HISTORY, Moment
from transforms.logic.profile import CART, CartOp, Person

ACTIVITY = frozenset(("add", "remove", "replace"))
ENDS = frozenset(("empty", "order", "checkout"))
_RESETS = frozenset(("empty", "replace", "base"))
_TIDY, _MOST = 8, 60
_order = attrgetter("order")

Held = dict[str, Item]


def learn(moment: Moment) -> bool:
    """Put what happened where it belongs in time; `moment.live` is then the activity that a reminder is about."""
    op = moment.cart_op = _operation(moment)
    ops = insert(CART.read(moment.person.cart), op)
    moment.person.cart = CART.write(ops)
    moment.live = op if ops[-1] is op and op.change == "add" and op.items else fold(ops)[1]
    return True


def _operation(moment: Moment) -> CartOp:
    event = moment.cause
    fact = event.fact
    if type(fact) is CartUpdated:
        return CartOp(event.event_time, event.id, fact.change, fact.items)
    assert isinstance(fact, CheckoutStarted | OrderPlaced)
    bought = tuple(Item(item.product) for item in fact.items)
    return CartOp(event.event_time, event.id, "order" if isinstance(fact, OrderPlaced) else "checkout", bought)


def insert(ops: list[CartOp], op: CartOp) -> list[CartOp]:
    """The operations with one more, without those that no longer matter."""
    if ops and ops[0].change in _RESETS and op.at < ops[0].at:
        return ops
    if not ops or op.at > ops[-1].at:
        ops.append(op)
    else:
        insort(ops, op, key=_order)
    if op.change in _RESETS:
        return ops[ops.index(op) :]
    return _tidy(ops) if len(ops) > _TIDY else ops


def _tidy(ops: list[CartOp]) -> list[CartOp]:
    horizon = ops[-1].at - HISTORY
    old = max(sum(op.at < horizon for op in ops), len(ops) - _MOST)
    if old <= 0:
        return ops
    held, _ = fold(ops[:old])
    return [CartOp(ops[old - 1].at, "", "base", tuple(held.values())), *ops[old:]]


def fold(ops: Iterable[CartOp]) -> tuple[Held, CartOp | None]:
    """What is in the cart (by product), and the activity after which nothing ended it, if any."""
    held: Held = {}
    live: CartOp | None = None
    for op in ops:
        if op.change == "checkout":
            live = None
        elif op.change == "order":
            left = _left(held, op)
            live, held = (live if len(left) == len(held) else None), left
        else:
            held = _change(held, op)
            live = op if op.change in ACTIVITY else live
        live = live if held else None
    return held, live


def _left(held: Held, order: CartOp) -> Held:
    """What a purchase leaves in the cart; one that does not say what was bought leaves nothing."""
    bought = {item.product for item in order.items}
    return {name: item for name, item in held.items() if bought and name not in bought}


def _change(held: Held, op: CartOp) -> Held:
    if op.change in _RESETS:
        held = {}
    for item in op.items:
        sign = -1 if op.change == "remove" else 1
        before = held[item.product].quantity if item.product in held else 0
        quantity = before + sign * item.quantity
        if quantity > 0:
            held[item.product] = item if quantity == item.quantity else replace(item, quantity=quantity)
        else:
            held.pop(item.product, None)
    return held


def contents(person: Person) -> tuple[Item, ...]:
    """What is in the cart now."""
    return tuple(fold(CART.read(person.cart))[0].values())


def is_over(person: Person) -> bool:
    """Whether nothing in the cart waits for its owner any more."""
    return fold(CART.read(person.cart))[1] is None


def add_past(person: Person, items: tuple[Item, ...], at: int) -> None:
    """Put the cart of an anonymous visit in; no reminder comes of it."""
    person.cart = CART.write(insert(CART.read(person.cart), CartOp(at, "", "past", items)))
