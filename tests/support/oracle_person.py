"""What the oracle knows of one person: lists of all that was heard, read anew for every question."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from oracle_bodies import put_in
from oracle_verdict import Arrival

from schemas.records import DAY, CutsPublished
from schemas.workspace import Cuts

GRID = {
    5: ("New", "Potential loyalist", "Potential loyalist", "Champion", "Champion"),
    4: ("Promising", "Potential loyalist", "Potential loyalist", "Loyal", "Loyal"),
    3: ("About to sleep", "About to sleep", "Needs attention", "Loyal", "Loyal"),
    2: ("Hibernating", "Hibernating", "At risk", "At risk", "Can't lose"),
    1: ("Hibernating", "Hibernating", "At risk", "At risk", "Can't lose"),
}
FREQUENCY, MONEY = 365 * DAY, 730 * DAY
FOREVER = 1 << 62

Word = tuple[str, str, bool, int, int]
"""(category, channel, yes, at, until)"""


def nobody(name: str, arrival: Arrival) -> dict[str, Any]:
    """Somebody of whom nothing is known yet."""
    return {
        "id": name,
        "tenant": arrival.tenant,
        "first_seen": arrival.happened,
        "last": arrival.time,
        "names": [],  # (kind, value, how sure, when) of every record
        "verified": False,
        "signed_up": 0,
        "consents": Consents(),
        "suppressed": {},
        "orders": {},
        "cart": Cart(),
        "runs": {},  # campaign → until when it waits, since what
        "upset": [],
        "sends": {},
        "entries": {},
        "tokens": {},
        "segment": "",
        "cuts": "",
        "told": False,  # the door was told of a no
        "homes": [],  # where they lived before
        "waiting": None,
        "look": 0,
    }


def best_of(person: dict[str, Any], kind: str) -> dict[str, tuple[int, int]]:
    """Each name of a kind: how sure (2 a server says so, 1 its mailbox answered, 0 a claim), and when last so sure."""
    found: dict[str, tuple[int, int]] = {}
    for what, value, sureness, at in person["names"]:
        if what == kind:
            found[value] = max(found.get(value, (0, 0)), (sureness, at))
    return found


def certain_mails(person: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """The mailboxes of somebody verified: those that a server named, or that answered if no server named anything."""
    needed = 2 if any(sureness == 2 for _, _, sureness, _ in person["names"]) else 1
    return {mail: rank for mail, rank in best_of(person, "email").items() if rank[0] == needed}


class Consents:
    """Every word on permission. Asked words wait for a confirmation."""

    def __init__(self) -> None:
        self.words: list[Word] = []
        self.asked: list[Word] = []

    def copy(self) -> Consents:
        return deepcopy(self)

    def say(self, category: str, channel: str, yes: bool, at: int, until: int, *, waits: bool) -> None:
        (self.asked if waits else self.words).append((category, channel, yes, at, until))

    def refused(self, category: str, channel: str) -> bool:
        """Whether the last word on any pair that covers this one is no."""
        pairs = {word[:2] for word in self.words if word[0] in (category, "*") and word[1] in (channel, "*")}
        return any(not self._last({pair})[2] for pair in pairs)

    def permits(self, category: str, channel: str, now: int) -> bool:
        """The last word counts; at the same time no beats yes, and the shorter yes the longer."""
        word = self._last({(first, second) for first in (category, "*") for second in (channel, "*")})
        return word[2] and (not word[4] or now < word[4])

    def refusals(self) -> set[tuple[str, str]]:
        """The pairs on which the last word is no."""
        return {word[:2] for word in self.words if not self._last({word[:2]})[2]}

    def gained(self, before: Consents, now: int) -> set[tuple[str, str]]:
        """What is permitted now and was not."""
        pairs = {word[:2] for word in self.words if self._last({word[:2]})[2]}
        return {pair for pair in pairs if self.permits(*pair, now) and not before.permits(*pair, now)}

    def confirm(self, at: int, *, whatever: bool) -> None:
        """What was asked for is given, the last word on each pair; if not `whatever`, what was refused waits on."""
        pairs = {word[:2] for word in self.asked}
        given = pairs if whatever else {pair for pair in pairs if not self.refused(*pair)}
        for pair in given:
            asked = [word for word in self.asked if word[:2] == pair]
            last = max(asked, key=lambda word: (word[3], -(word[4] or FOREVER)))
            self.words.append((*pair, True, at, last[4]))
        self.asked = [word for word in self.asked if word[:2] not in given]

    def _last(self, pairs: set[tuple[str, str]]) -> Word:
        found = [word for word in self.words if word[:2] in pairs]
        return max(found, key=lambda word: (word[3], not word[2], -(word[4] or FOREVER)), default=("", "", False, 0, 0))


class Cart:
    """Everything that happened to a cart, whenever it was heard of: (at, id, what, products)."""

    def __init__(self) -> None:
        self.story: list[tuple[int, str, str, dict[str, int]]] = []

    def put(self, at: int, name: str, what: str, products: dict[str, int]) -> None:
        self.story.append((at, name, what, dict(products)))

    def began_anew(self, after: int) -> bool:
        """Whether it was emptied or replaced later than that."""
        return any(what in ("replace", "empty") and at > after for at, _, what, _ in self.story)

    def at(self, before: int = FOREVER) -> tuple[dict[str, int], tuple[int, str] | None]:
        """What is in it, and the activity (when, which) that a reminder would be about."""
        held: dict[str, int] = {}
        live: tuple[int, str] | None = None
        for at, name, what, products in sorted(self.story, key=lambda told: told[:2]):
            if at >= before:
                break
            held, touched = _after(held, what, products)
            live = (at, name) if touched == "active" else None if touched == "over" else live
            live = live if held else None
        return held, live


def _after(held: dict[str, int], what: str, products: dict[str, int]) -> tuple[dict[str, int], str]:
    """The cart after something happened to it, and whether that leaves it active, over or as it was."""
    if what == "checkout":
        return held, "over"
    if what == "order":
        left = {name: count for name, count in held.items() if products and name not in products}
        return left, "" if len(left) == len(held) else "over"
    if what in ("replace", "empty"):
        return dict(products), "active"
    now = dict(held)
    put_in(now, what, products)
    return now, "" if what == "past" else "active"


def rank_of_state(state: str) -> int:
    """Later states of a send beat earlier ones, in whichever order they are heard of."""
    return ("open", "refused", "in_doubt", "sent").index(state)


def merged(person: dict[str, Any], other: dict[str, Any], now: int) -> None:
    """Two people turn out to be one: the older one's name stays, everything else is heard together."""
    person["first_seen"], person["id"] = min((each["first_seen"], each["id"]) for each in (person, other))
    person["names"] += other["names"]
    person["verified"] = person["verified"] or other["verified"]
    person["signed_up"] = min((at for at in (person["signed_up"], other["signed_up"]) if at), default=0)
    person["consents"].words += other["consents"].words
    person["consents"].asked += other["consents"].asked
    person["cart"].story += other["cart"].story
    person["upset"] += other["upset"]
    person["told"], person["homes"] = person["told"] or other["told"], person["homes"] + other["homes"]
    person["tokens"] |= other["tokens"]
    person["sends"] = {**other["sends"], **person["sends"]}
    for name in ("suppressed", "entries"):
        for what, at in other[name].items():
            person[name][what] = max(at, person[name].get(what, 0))
    _merge_orders(person["orders"], other["orders"])
    for name, run in other["runs"].items():
        if name not in person["runs"] or run["since"] > person["runs"][name]["since"]:
            person["runs"][name] = run
    for run in person["runs"].values():
        run["due"] = max(run["due"], now) if run["due"] else 0


def _merge_orders(mine: dict[str, Any], others: dict[str, Any]) -> None:
    for name, order in others.items():
        own = mine.setdefault(name, {"heard": [], "claims": [], "news": "", "back": 0, "void": False})
        told = [(min(each["claims"]), each["news"]) for each in (own, order) if each["claims"]]
        own["news"] = min(told)[1] if told else ""
        own["heard"], own["claims"] = own["heard"] + order["heard"], own["claims"] + order["claims"]
        own["back"], own["void"] = max(own["back"], order["back"]), own["void"] or order["void"]


def scored(orders: dict[str, Any], now: int, cuts: Cuts | CutsPublished) -> tuple[str, tuple[int, int, int], int]:
    """Segment, the three scores, and when waiting alone can next change them (0: never)."""
    words = "heard" if any(order["heard"] for order in orders.values()) else "claims"
    bought = [(*min(order[words]), order) for order in orders.values() if order[words]]
    paid = [(at, value - order["back"]) for at, value, order in bought if not order["void"] and value > order["back"]]
    if not paid:
        return "", (0, 0, 0), 0
    last = max(at for at, _ in paid)
    days = max(0, now - last) // DAY
    count = sum(1 for at, _ in paid if now - at < FREQUENCY)
    worth = sum(value for at, value in paid if now - at < MONEY)
    recency = 5 - sum(1 for bound in cuts.recency if days > bound)
    frequency = 1 + sum(1 for bound in cuts.frequency if count >= bound)
    monetary = 1 + sum(1 for bound in cuts.monetary if worth >= bound)
    moments = [last + (bound + 1) * DAY for bound in cuts.recency]
    moments += [at + window for at, _ in paid for window in (FREQUENCY, MONEY)]
    following = min((moment for moment in moments if moment > now), default=0)
    return GRID[recency][frequency - 1], (recency, frequency, monetary), following
