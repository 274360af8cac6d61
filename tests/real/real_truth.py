"""What must have come of the play, worked out from the files alone, without the job's code: one check a function.

Each check takes an `Outcome` and gives a sentence for everything that is not as it must be.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipelines.config import Config
from pipelines.run import Head
from pipelines.views import connect
from schemas.records import DAY, HOUR
from tests.real.history import (
    BRANDS,
    ORDERS,
    History,
    consent_of,
    customer_id,
    is_played,
    moment_of,
    play_of,
    rows_of_orders,
)
from transforms.stores.parquet import read_rows

HISTORY, HOLD = 7 * DAY, 72 * HOUR
SAMPLE = 200
MARKETING = ("thank-regulars", "welcome", "win-back")
SHOWN = 3

GRID = """
    New            | Potential loyalist | Potential loyalist | Champion | Champion
    Promising      | Potential loyalist | Potential loyalist | Loyal    | Loyal
    About to sleep | About to sleep     | Needs attention    | Loyal    | Loyal
    Hibernating    | Hibernating        | At risk            | At risk  | Can't lose
    Hibernating    | Hibernating        | At risk            | At risk  | Can't lose
"""
"""Segments: recency 5 to 1 downwards, frequency 1 to 5 to the right."""

SEGMENTS = [[cell.strip() for cell in line.split("|")] for line in GRID.strip().splitlines()]
Bought = dict[str, list[tuple[int, int]]]
"""By customer: time and cents of each order."""


@dataclass(frozen=True)
class Outcome:
    """A run's data folder beside the files that were played."""

    source: Path
    config: Config
    short: bool

    @cached_property
    def history(self) -> History:
        return play_of(self.source, short=self.short)

    @cached_property
    def bought(self) -> Bought:
        """The orders as the file has them."""
        found: Bought = defaultdict(list)
        for row, customer, day, _, dollars in rows_of_orders(self.source / ORDERS):
            if is_played(customer, day, short=self.short):
                found[customer].append((moment_of(row, day), round(float(dollars) * 100)))
        return found

    @cached_property
    def orders(self) -> int:
        return sum(map(len, self.bought.values()))

    @cached_property
    def persons(self) -> dict[str, str]:
        """The person of each customer id, by the lines of the orders."""
        return dict(
            self.ask("""
            SELECT json_extract_string(decode(properties::BLOB), '$.userId'), any_value(person)
            FROM events WHERE type = 'order_placed' GROUP BY 1""")
        )

    @cached_property
    def end(self) -> int:
        """Journal time at the end."""
        return Head(self.config.folder("journal")).stamp()

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = connect(self.config.folder("tables")).sql(question).fetchall()
        return rows


def every_record_has_one_end(outcome: Outcome) -> Iterator[str]:
    """Each record from outside has exactly one final line, and there are as many as were posted."""
    records, wrong = outcome.ask("""
        SELECT count(*), count(*) FILTER (lines <> 1) FROM (
            SELECT "partition", sequence, count(*) AS lines FROM (
                SELECT "partition", sequence FROM events WHERE NOT derived AND disposition <> 'forwarded'
                UNION ALL SELECT "partition", sequence FROM mentions) GROUP BY ALL)""")[0]
    posted = outcome.orders + len(outcome.history.posts) + len(outcome.history.links)
    yield from _equal("records with an end", records, posted)
    yield from _equal("records with another number of ends than one", wrong, 0)
    yield from _equal("failures", outcome.ask("SELECT count(*) FROM failures")[0][0], 0)


def every_order_is_applied_at_its_time(outcome: Outcome) -> Iterator[str]:
    """Each row of the file is one applied order of its customer, at its own time."""
    told = Counter(
        outcome.ask("""
        SELECT json_extract_string(decode(properties::BLOB), '$.userId'), epoch_us(event_time)
        FROM events WHERE type = 'order_placed' AND NOT derived AND disposition = 'applied'""")
    )
    wanted = Counter((customer_id(each), at) for each, orders in outcome.bought.items() for at, _ in orders)
    yield from _equal("orders applied", told.total(), outcome.orders)
    yield from _first(
        f"an order of {customer} at {at} in one of both only" for customer, at in (told - wanted) + (wanted - told)
    )


def every_customer_is_one_person(outcome: Outcome) -> Iterator[str]:
    """All orders of a customer are one person's, and no two customers share one."""
    found = outcome.ask("""
        SELECT count(DISTINCT person), count(DISTINCT json_extract_string(decode(properties::BLOB), '$.userId'))
        FROM events WHERE type = 'order_placed'""")[0]
    yield from _equal("people and customers", found, (len(outcome.bought), len(outcome.bought)))
    yield from _equal("persons of customers", len(set(outcome.persons.values())), len(outcome.bought))


def every_order_is_confirmed_once(outcome: Outcome) -> Iterator[str]:
    """One final decision an order that was not history on arrival: to send. The sender lets go only of what expired."""
    late = outcome.ask(f"""
        SELECT count(*) FROM events WHERE type = 'order_placed'
        AND epoch_us(received_at) - epoch_us(event_time) > {HISTORY}""")[0][0]
    decided = dict(
        outcome.ask("""
        SELECT reason, count(*) FROM decisions WHERE final AND campaign = 'order-confirmation' GROUP BY 1""")
    )
    yield from _equal("decisions on confirmations", sum(decided.values()), outcome.orders - late)
    yield from _first(f"a confirmation ended as {reason}" for reason in decided if reason not in ("SENT", "EXPIRED"))
    ends = outcome.ask("""
        SELECT state, code, count(*), count(DISTINCT key) FROM receipts
        JOIN messages USING (key) WHERE campaign = 'order-confirmation' GROUP BY ALL""")
    yield from _equal("confirmations that ended", sum(rows for *_, rows, _ in ends), decided.get("SENT", 0))
    yield from _first(f"a confirmation {state} {code}" for state, code, *_ in ends if (state, code) not in _ENDS)


_ENDS = {("sent", "recorded"), ("refused", "EXPIRED")}


def nobody_who_did_not_agree_gets_marketing(outcome: Outcome) -> Iterator[str]:
    """Marketing goes to those who said yes; everybody who did was to be greeted, once."""
    agreed = {outcome.persons[customer_id(each)] for each in outcome.bought if consent_of(each) == "yes"}
    found = outcome.ask(f"SELECT campaign, person FROM messages WHERE campaign IN {MARKETING}")
    yield from _first(f"{campaign} went to {person}" for campaign, person in found if person not in agreed)
    greeted = outcome.ask("SELECT person, count(*) FROM decisions WHERE final AND campaign = 'welcome' GROUP BY 1")
    yield from _first(f"{count} decisions to greet {person}" for person, count in greeted if count != 1)
    yield from _equal("people to be greeted", {person for person, _ in greeted} == agreed, True)


def every_post_is_a_line(outcome: Outcome) -> Iterator[str]:
    """One line a post; it is directed if it names an account of ours, unless that account wrote it."""
    found = {int(url.rpartition("/")[2]): rest for url, *rest in outcome.ask("SELECT url, directed FROM mentions")}
    yield from _equal("lines of mentions", outcome.ask("SELECT count(*) FROM mentions")[0][0], len(found))
    yield from _equal("posts with a line", set(found) == {post.row for post in outcome.history.posts}, True)
    account = re.compile(rf"(?<![\w@])@({'|'.join(BRANDS.values())})(?![\w@]|[.-]\w)", re.IGNORECASE)
    own = set(BRANDS.values())
    for post in outcome.history.posts:
        directed = bool(account.search(post.text)) and post.author.lower() not in own
        yield from _equal(f"post {post.row} is directed", found[post.row], [directed])


def segments_follow_from_the_orders(outcome: Outcome) -> Iterator[str]:
    """The last segment of some customers is what their orders say, unless it changed within the last hours."""
    last = _last_segments(outcome)
    customers = sorted(outcome.bought)
    compared = 0
    for customer in customers[:: max(1, len(customers) // SAMPLE)]:
        wanted = {segment(outcome.bought[customer], outcome.end - hours * HOUR) for hours in range(4)}
        if len(wanted) == 1:
            compared += 1
            yield from _equal(f"segment of {customer}", {last.get(outcome.persons[customer_id(customer)], "")}, wanted)
    if compared < min(SAMPLE, len(customers)) * 3 // 4:
        yield f"only {compared} segments could be compared"


def segment(orders: list[tuple[int, int]], now: int) -> str:
    """The segment at a time: days since the last order against orders in a year; orders of no value do not count."""
    paid = [at for at, cents in orders if cents > 0 and at <= now]
    if not paid:
        return ""
    days, often = (now - max(paid)) // DAY, sum(at > now - 365 * DAY for at in paid)
    row = sum(days > bound for bound in (30, 90, 180, 365))
    column = sum(often >= bound for bound in (2, 3, 4, 6))
    return SEGMENTS[row][column]


def _last_segments(outcome: Outcome) -> dict[str, str]:
    """The segment of each person after the last move."""
    moves = read_rows(outcome.config.folder("tables"), "segments", ("person", "new", "as_of")).to_pylist()
    return {move["person"]: move["new"] for move in sorted(moves, key=lambda move: move["as_of"])}


def care_holds_hold(outcome: Outcome) -> Iterator[str]:
    """Who was upset in public and is known to be a customer gets no marketing for 72 hours; nobody else is held."""
    upset = _upset(outcome)
    decided = outcome.ask(f"""
        SELECT person, reason, epoch_us(decided_at), campaign FROM decisions
        WHERE final AND reason IN ('SENT', 'CARE_HOLD') AND campaign IN {MARKETING}""")
    held = [person for person, reason, *_ in decided if reason == "CARE_HOLD"]
    if not held:
        yield "expected somebody to be held, got nobody"
    linked = {outcome.persons[customer_id(link.customer)] for link in outcome.history.links}
    yield from _first(f"{person} was held, who is linked with nobody" for person in held if person not in linked)
    for person, reason, at, campaign in decided:
        said = any(spoke <= at < spoke + HOLD for spoke, _ in upset[person])
        heard = any(spoke <= at < spoke + HOLD and came <= at for spoke, came in upset[person])
        if reason == "SENT" and heard:
            yield f"{campaign} went to {person} in the hold"
        if reason == "CARE_HOLD" and not said:
            yield f"{person} was held from {campaign} without an angry word"


def _upset(outcome: Outcome) -> dict[str, list[tuple[int, int]]]:
    """By person: when somebody said something negative to a brand, and when that came back to the person lane.

    The author of a post is known by name only until the link; so posts are found by their time and author.
    """
    authors = {link.author.lower(): outcome.persons[customer_id(link.customer)] for link in outcome.history.links}
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for author, spoke in outcome.ask("""
        SELECT DISTINCT m.author, epoch_us(m.event_time) FROM mentions m JOIN classifications c ON c.mention = m.id
        WHERE m.directed AND c.sentiment = 'negative'"""):
        person = authors.get(author, "")
        came = (
            outcome.ask(f"""
            SELECT min(epoch_us(received_at)) FROM events WHERE type = 'said' AND disposition = 'applied'
            AND person = '{person}' AND epoch_us(event_time) = {spoke}""")
            if person
            else [(None,)]
        )
        if person:
            found[person].append((spoke, came[0][0] or 1 << 62))
    return found


CHECKS: tuple[Callable[[Outcome], Iterator[str]], ...] = (
    every_record_has_one_end,
    every_order_is_applied_at_its_time,
    every_customer_is_one_person,
    every_order_is_confirmed_once,
    nobody_who_did_not_agree_gets_marketing,
    every_post_is_a_line,
    segments_follow_from_the_orders,
    care_holds_hold,
)


def _equal(what: str, found: object, wanted: object) -> Iterator[str]:
    if found != wanted:
        yield f"{what}: expected {wanted}, got {found}"


def _first(sentences: Iterator[str]) -> Iterator[str]:
    """The first few of them: one mistake often shows many times."""
    for _, sentence in zip(range(SHOWN), sentences, strict=False):
        yield sentence
