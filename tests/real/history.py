"""What is played: orders of CDNOW and posts to airlines, read in place, as calls in the order of their time.

    play_of(folder, short=False)  ->  History(orders, posts, links), and `calls()` over all three

Everything follows from the files: ids come from the row, the hour of an order from the row too, consent from the
customer's number. Times are microseconds since 1970.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from schemas.records import DAY, HOUR, SECOND

ORDERS = Path("behaviour/cdnow/CDNOW_master.txt")
POSTS = Path("mentions/us-airlines/tweets.csv")

BRANDS = {"United": "united", "Southwest": "southwestair", "Virgin America": "virginamerica"}
"""Brand (as the posts' labels call it) and its account."""

SHIFT = timedelta(days=-6097)
"""From the week of the posts (16 to 24 February 2015) to 8 June 1998; the days of the week stay."""
SHORT_SHIFT = timedelta(days=-6559)
"""The same to 4 March 1997."""

SHORT_END = "19970401"
SHORT_CUSTOMERS, SHORT_POSTS = 3, 500
PRIME = 7919
LINKS = 40
TRACK, IDENTIFY, MENTION = "track", "identify", "mention"


class Order(NamedTuple):
    """One row of CDNOW. `row` counts from 1; `consent` is what the customer says with it: yes, no or nothing."""

    at: int
    row: int
    customer: str
    units: int
    dollars: str
    consent: str


class Post(NamedTuple):
    """One row of the airline posts; `label` is what people read in it, for the test only."""

    at: int
    row: int
    author: str
    text: str
    brand: str
    label: str


class Link(NamedTuple):
    """A server says that a customer writes under a name."""

    at: int
    customer: str
    author: str


@dataclass(frozen=True, slots=True)
class History:
    """All of it, each in the order of time."""

    orders: list[Order]
    posts: list[Post]
    links: list[Link]

    @property
    def week(self) -> tuple[int, int]:
        """When the first link or post comes, and when the last post does."""
        return min(self.links[0].at, self.posts[0].at), self.posts[-1].at

    def calls(self) -> list[Call]:
        """Everything as what is posted, in the order of time."""
        said = [
            *(Call(each.at, TRACK, order_call(each)) for each in self.orders),
            *(Call(each.at, IDENTIFY, link_call(each)) for each in self.links),
            *(Call(each.at, MENTION, post_call(each)) for each in self.posts),
        ]
        return sorted(said, key=lambda call: call.at)


class Call(NamedTuple):
    """One record to post when its time comes."""

    at: int
    kind: str
    body: dict[str, Any]


def play_of(data: Path, *, short: bool) -> History:
    """What the folder holds; `short` takes three months, every third customer and 500 posts."""
    orders = list(_orders(data / ORDERS, short=short))
    posts = list(_posts(data / POSTS, SHORT_SHIFT if short else SHIFT))
    if short:
        posts = [posts[index * len(posts) // SHORT_POSTS] for index in range(SHORT_POSTS)]
    posts.sort()
    return History(orders, posts, sorted(_links(orders, posts)))


# --- reading ----------------------------------------------------------------------------------------------------------


def rows_of_orders(file: Path) -> Iterator[tuple[int, str, str, int, str]]:
    """Row (from 1), customer, day (YYYYMMDD), units and dollars as they stand in the file."""
    with file.open(encoding="ascii") as lines:
        next(lines)
        for row, line in enumerate(lines, 1):
            customer, day, units, dollars = line.split()
            yield row, customer, day, int(units), dollars


def moment_of(row: int, day: str) -> int:
    """When an order came: its day, and a second of it that the row says."""
    return micros(datetime.strptime(day, "%Y%m%d")) + row * PRIME % 86_400 * SECOND


def is_played(customer: str, day: str, *, short: bool) -> bool:
    """Whether an order belongs to the play."""
    return not short or (day < SHORT_END and int(customer) % SHORT_CUSTOMERS == 0)


def consent_of(customer: str) -> str:
    """What a customer says with the first order: six of ten agree, two refuse, two say nothing."""
    return ("yes", "yes", "yes", "yes", "yes", "yes", "no", "no", "", "")[int(customer) % 10]


def micros(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp()) * SECOND


def _orders(file: Path, *, short: bool) -> Iterator[Order]:
    rows = sorted(
        (moment_of(row, day), row, customer, units, dollars)
        for row, customer, day, units, dollars in rows_of_orders(file)
        if is_played(customer, day, short=short)
    )
    met: set[str] = set()
    for at, row, customer, units, dollars in rows:
        yield Order(at, row, customer, units, dollars, "" if customer in met else consent_of(customer))
        met.add(customer)


def _posts(file: Path, shift: timedelta) -> Iterator[Post]:
    with file.open(encoding="utf-8", newline="") as lines:
        for row, each in enumerate(csv.DictReader(lines), 1):
            said = datetime.strptime(each["tweet_created"], "%d-%m-%Y %H.%M") + shift
            at = micros(said) + row * PRIME % 60 * SECOND
            yield Post(at, row, each["name"], each["text"], each["airline"], each["airline_sentiment"])


def _links(orders: Iterable[Order], posts: Iterable[Post]) -> Iterator[Link]:
    """Some who complain are made buyers who buy again within two days of it: some before they spoke, some after."""
    angry = [post for post in posts if post.label == "negative" and post.author.isalnum() and post.author.isascii()]
    first, last = angry[0].at, angry[-1].at
    buyers = [
        order
        for order in orders
        if first + DAY < order.at < last and consent_of(order.customer) == "yes" and not order.consent
    ]
    taken: set[str] = set()
    for number, order in enumerate(buyers):
        heard = [post for post in angry if order.at - 40 * HOUR < post.at < order.at - 12 * HOUR]
        post = next((post for post in heard if post.author.lower() not in taken), None)
        if post is None or order.customer in taken or len(taken) >= 2 * LINKS:
            continue
        taken |= {post.author.lower(), order.customer}
        yield Link(first - HOUR if number % 2 else post.at + 6 * HOUR, order.customer, post.author)


# --- calls ------------------------------------------------------------------------------------------------------------


def iso(at: int) -> str:
    return datetime.fromtimestamp(at // SECOND, UTC).isoformat()


def customer_id(customer: str) -> str:
    return f"cdnow-{customer}"


def order_call(order: Order) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "order_id": f"order-{order.row}",
        "revenue": float(order.dollars),
        "currency": "USD",
        "email": f"buyer-{order.customer}@cdnow.example",
        "products": [{"product_id": "cd", "name": "CD", "quantity": order.units}],
    }
    if order.consent:
        action = "accept" if order.consent == "yes" else "reject"
        said = {"action": action, "category": "marketing", "channel": "email", "unlimited": True, "proof": "checkout"}
        properties["consent"] = [said]
    return {
        "type": "track",
        "event": "Order Completed",
        "messageId": f"cdnow-{order.row}",
        "userId": customer_id(order.customer),
        "timestamp": iso(order.at),
        "properties": properties,
    }


def link_call(link: Link) -> dict[str, Any]:
    return {
        "type": "identify",
        "messageId": f"link-{link.customer}",
        "userId": customer_id(link.customer),
        "timestamp": iso(link.at),
        "traits": {"handles": {"chirp": link.author}},
    }


def post_call(post: Post) -> dict[str, Any]:
    return {
        "id": f"airline-{post.row}",
        "network": "chirp",
        "source_type": "social",
        "author": {"handle": post.author},
        "text": post.text,
        "url": f"https://chirp.example/{post.row}",
        "timestamp": iso(post.at),
    }
