"""What the person looked at: the last products, bounded; and what they did before they had a name."""

from __future__ import annotations

from bisect import insort

from schemas.records import Past, Seen, Viewed
from transforms.logic.cart import add_past
from transforms.logic.moment import Moment
from transforms.logic.profile import VIEWS, Person

_MOST = 20


def learn(moment: Moment) -> bool:
    """Count a product view; pages and screens leave no trace in the profile."""
    event, person = moment.cause, moment.person
    assert isinstance(event.fact, Viewed)
    item = event.fact.item
    if item is None:
        return False
    person.views = VIEWS.write(count(VIEWS.read(person.views), Seen(item.product, 1, event.event_time, item.name)))
    return True


def count(views: list[Seen], new: Seen) -> list[Seen]:
    """The views, newest last, with some more of one product; the longest unseen falls out."""
    product = new.product
    for index, old in enumerate(views):
        if old.product == product:
            newest = max(old, new, key=lambda seen: (seen.last, seen.name))
            new = Seen(product, old.count + new.count, newest.last, newest.name)
            del views[index]
            break
    if not views or new.last > views[-1].last:
        views.append(new)
    else:
        insort(views, new, key=_order)
    return views[-_MOST:]


def _order(seen: Seen) -> tuple[int, str]:
    return seen.last, seen.product


def remember(person: Person, past: Past) -> None:
    """Take over what an anonymous visit did. It starts nothing."""
    if past.first_seen:
        person.first_seen = min(person.first_seen, past.first_seen)
    views = VIEWS.read(person.views)
    for seen in past.views:
        views = count(views, seen)
    person.views = VIEWS.write(views)
    if past.cart:
        add_past(person, past.cart, past.cart_at)
