"""The acceptance vectors (V1 …), told with named people, through the whole person lane.

Each runs on the embedded engine and on Beam's TestStream (state in cells) and must hand over the same bytes there;
each also runs doubled (everything delivered twice), in other cuts, and with arrivals permuted that cross no due time.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

import pytest
from msgspec.structs import replace as replaced
from shop import campaign, shop
from story import DAY_ZERO, Story, at, consent, email
from told import Answer, Answers, Told, embedded, live, pulls_of, receipt_of, teststream

from schemas.records import HOUR, MINUTE, Block, Entry, Message, ReceiptRow
from schemas.workspace import Tenant

SHOP = shop()


@dataclass(frozen=True)
class Vector:
    """What happens, what must come of it, and which arrivals (by index) may change places."""

    story: Callable[[], Story]
    then: Callable[[Told], None]
    free: tuple[tuple[int, int], ...] = ()
    tenant: Tenant = SHOP
    answers: Answers | None = None


def sent(told: Told, who: str, campaign: str) -> list[Message]:
    return [message for message in told.messages if message.to == email(who) and message.campaign == campaign]


def reasons(told: Told, who: str) -> Counter[tuple[str, str]]:
    """How often each (campaign, reason) was decided about a person, found by an address they got mail at."""
    person = next(message.person for message in told.messages if message.to == email(who))
    return Counter((row.campaign, row.reason) for row in told.decisions if row.final and row.person == person)


# --- V1: one welcome, at once, however often the sign-up comes --------------------------------------------------------


def v1() -> Story:
    story = Story().at("09:00").signs_up("ana")
    _, signup = story.arrivals[0]
    story.arrivals += [(at(f"09:0{minute}"), signup) for minute in (1, 2, 3)]
    return story.until("10:00")


def v1_then(told: Told) -> None:
    (welcome,) = sent(told, "ana", "welcome")
    assert welcome.decided_at == welcome.caused_at == at("09:00")
    assert len(sent(told, "ana", "confirm")) == 1
    assert Counter(row.disposition for row in told.events)["filtered"] >= 3


# --- V2: a late sign-up gets the late words, a very late one none -----------------------------------------------------


def v2() -> Story:
    story = Story().at("1d 10:30").signs_up("ben", happened="1d 09:00")
    return story.at("1d 11:00").signs_up("cleo", happened="0d 10:00").until("1d 12:00")


def v2_then(told: Told) -> None:
    (welcome,) = sent(told, "ben", "welcome")
    assert "late" in json.loads(welcome.body)["text"]
    assert reasons(told, "cleo")["welcome", "TOO_LATE"] == 1
    assert not sent(told, "cleo", "welcome")


# --- V3: no consent, no welcome; the confirmation goes all the same ---------------------------------------------------


def v3() -> Story:
    story = Story().at("09:00")
    story.tracks("dan", "Signed Up", {"email": email("dan"), "consent": [consent(False)]})
    return story.until("10:00")


def v3_then(told: Told) -> None:
    assert reasons(told, "dan") == {("confirm", "SENT"): 1, ("welcome", "NO_CONSENT"): 1}


# --- V5: the newest cart counts ---------------------------------------------------------------------------------------


def v5() -> Story:
    story = Story().at("0d 08:00").is_known_as("eva").at("0d 08:01").consents("eva", consent())
    story.at("1d 11:00").fills_cart("eva", "boots", happened="1d 10:00")
    story.at("1d 11:01").fills_cart("eva", "tent", happened="1d 11:00")
    return story.until("1d 20:00")


def v5_then(told: Told) -> None:
    (reminder,) = sent(told, "eva", "cart")
    assert reminder.decided_at == at("1d 15:00")
    assert "Boots" in json.loads(reminder.body)["text"]
    assert "Tent" in json.loads(reminder.body)["text"]


# --- V10: sixteen hours between two marketing mails; what was asked for goes ------------------------------------------


def v10() -> Story:
    story = Story().at("09:00").signs_up("fay").at("16:00").fills_cart("fay", "boots")
    return story.at("20:00").orders("fay", "o-1", "tent").until("21:00")


def v10_then(told: Told) -> None:
    assert reasons(told, "fay")["cart", "CAPPED"] == 1
    assert sent(told, "fay", "receipt")[0].decided_at == at("20:00")


# --- V19: who complained is left in peace, nobody else is -------------------------------------------------------------


def v19() -> Story:
    story = Story()
    for minute, who in enumerate(("gus", "hal")):
        story.at(f"0d 08:0{minute}").is_known_as(who, handles={"chirp": who})
        story.at(f"0d 08:1{minute}").consents(who, consent())
        story.at(f"1d 09:0{minute}").fills_cart(who, "boots")
    return story.at("1d 12:00").says("gus", "negative").until("1d 14:00")


def v19_then(told: Told) -> None:
    held = [row for row in told.decisions if row.campaign == "cart" and row.reason == "CARE_HOLD"]
    assert [row.decided_at for row in held] == [at("1d 13:00")]
    assert len(sent(told, "hal", "cart")) == 1
    assert not sent(told, "gus", "cart")


# --- V20: an incomplete consent takes permission back -----------------------------------------------------------------


def v20() -> Story:
    story = Story().at("0d 09:00").signs_up("ida")
    story.at("2d 09:00").consents("ida", consent(category=None)).at("2d 10:00").fills_cart("ida", "boots")
    return story.until("2d 20:00")


def v20_then(told: Told) -> None:
    assert reasons(told, "ida")["cart", "NO_CONSENT"] == 1


# --- V21: Monday's visitor is Tuesday's customer ----------------------------------------------------------------------


def v21() -> Story:
    story = Story()
    for hour in ("09", "10"):
        story.at(f"0d {hour}:00").views("jan", "boots", trust="browser", known=False, cookie="k-jan")
    story.at("1d 09:00").signs_up("jan", trust="browser", known=False, cookie="k-jan")
    story.at("1d 10:00").views("jan", "tent", trust="browser", known=False, cookie="k-jan")
    return story.until("1d 11:00")


def v21_then(told: Told) -> None:
    people = [row.person for row in told.events if not row.derived and row.disposition == "applied"]
    assert people[:2] == ["", ""]
    assert people[2] == people[3] != ""
    assert len({message.person for message in told.messages}) == 1


# --- V26: a second order moves at once; new cut points alone move without a campaign ----------------------------------


def v26() -> Story:
    story = Story()
    for minute, who in enumerate(("kim", "lea")):
        story.at(f"0d 08:0{minute}").is_known_as(who).at(f"0d 08:1{minute}").consents(who, consent())
        story.at(f"1d 09:0{minute}").orders(who, f"{who}-1", "boots")
    story.at("5d 09:00").orders("kim", "kim-2", "tent")
    cuts = {"version": "new", "recency": [30, 60, 120, 240], "frequency": [1, 3, 4, 6], "monetary": [1, 2, 3, 4]}
    story.at("6d 09:00").add("track", {"event": "RFM Cuts Published", "properties": cuts})
    story.at("7d 09:00").tracks("lea", "Order Delivered", {"order_id": "lea-1"})
    return story.until("7d 10:00")


def v26_then(told: Told) -> None:
    moves = sorted((change.as_of, change.old, change.new, change.cause) for change in told.segments if change.old)
    assert moves == [
        (at("5d 09:00"), "New", "Potential loyalist", "order"),
        (at("7d 09:00"), "New", "Potential loyalist", "recut"),
    ]
    assert len(sent(told, "kim", "segments")) == 1
    assert not sent(told, "lea", "segments")


# --- a merge on the way: the browser brings the address, the shop the customer ----------------------------------------


def merge() -> Story:
    story = Story().at("0d 09:00").signs_up("max", trust="browser", known=False, cookie="k-max")
    story.at("1d 09:00").is_known_as("max")
    story.at("2d 09:00").fills_cart("max", "boots", trust="browser", known=False, cookie="k-max")
    return story.at("2d 09:30").orders("max", "max-1", "tent").until("2d 14:00")


def merge_then(told: Told) -> None:
    assert Counter(message.campaign for message in told.messages) == {
        "confirm": 1,
        "welcome": 1,
        "receipt": 1,
        "cart": 1,
    }
    assert len({message.person for message in told.messages}) == 1


# --- a click on the link in the mail, on a browser that nobody knows --------------------------------------------------


def click() -> Story:
    story = Story().at("0d 09:00").signs_up("nia", trust="browser", known=False, cookie="k-nia")
    return (
        story.at("1d 09:00").fills_cart("nia", "boots", trust="browser", known=False, cookie="k-nia").until("1d 14:00")
    )


def follows_the_link(message: Message) -> Iterator[Answer]:
    yield 0, receipt_of(message)
    if message.campaign == "confirm":
        token = json.loads(message.body)["text"].partition("token=")[2]
        body = {"type": "track", "event": "Email Confirmed", "messageId": "click", "anonymousId": "k-other"}
        whole = json.dumps({**body, "properties": {"token": token}}).encode()
        yield MINUTE, Entry("track", message.tenant, "browser", "test", 0, whole)


def click_then(told: Told) -> None:
    clicked = [row for row in told.events if row.type == "confirmed" and row.disposition == "applied"]
    assert {row.person for row in clicked} == {message.person for message in told.messages}
    assert len(sent(told, "nia", "cart")) == 1, "expected a reminder, for the address is verified now"


# --- a confirmation that brings the permission with it ----------------------------------------------------------------


def opt_in() -> Story:
    story = Story().at("09:00").is_known_as("oda")
    return story.at("10:00").tracks("oda", "Email Confirmed", {"consent": [consent()]}).until("11:00")


def opt_in_then(told: Told) -> None:
    assert sent(told, "oda", "welcome")[0].decided_at == at("10:00")


# --- two waits that are over at one instant, because the phone had no network ----------------------------------------


def two_waits() -> Story:
    story = Story().at("0d 08:00").is_known_as("pia").at("0d 08:01").consents("pia", consent())
    return story.at("3d 09:00").fills_cart("pia", "boots", happened="1d 09:00").until("3d 10:00")


def two_waits_then(told: Told) -> None:
    decided = {row.campaign: row.reason for row in told.decisions if row.trigger == "m-3"}
    assert decided == {"cart": "SENT", "cart-later": "CAPPED"}


TWO_WAITS = shop(replaced(campaign("cart"), name="cart-later", after=(24 * HOUR,)))


# --- a parcel arrives: who is told so only by a cookie moves once -----------------------------------------------------


def parcel() -> Story:
    story = Story().at("0d 08:00").is_known_as("rob").at("0d 08:01").consents("rob", consent())
    story.at("0d 09:00").orders("rob", "rob-1", "boots", cookie="k-rob")
    cuts = {"version": "new", "recency": [30, 60, 120, 240], "frequency": [1, 3, 4, 6], "monetary": [1, 2, 3, 4]}
    story.at("1d 09:00").add("track", {"event": "RFM Cuts Published", "properties": cuts})
    for day in (2, 3):
        story.at(f"{day}d 09:00")
        story.tracks("rob", "Order Delivered", {"order_id": "rob-1"}, trust="browser", known=False, cookie="k-rob")
    return story.until("4d 09:00")


def parcel_then(told: Told) -> None:
    moves = [(change.as_of, change.new, change.cause) for change in told.segments if change.old]
    assert moves == [(at("2d 09:00"), "Potential loyalist", "recut")]


# --- what the sender refused makes room for the next ------------------------------------------------------------------


def room() -> Story:
    return Story().at("09:00").signs_up("sam").at("12:00").fills_cart("sam", "boots").until("17:00")


def refuses_welcomes(message: Message) -> Iterator[Answer]:
    yield MINUTE, receipt_of(message, "refused" if message.campaign == "welcome" else "sent")


def room_then(told: Told) -> None:
    assert reasons(told, "sam")["cart", "SENT"] == 1
    assert all(receipt.matched for receipt in told.rows(ReceiptRow))


VECTORS = {
    "V1": Vector(v1, v1_then),
    "V2": Vector(v2, v2_then),
    "V3": Vector(v3, v3_then),
    "V5": Vector(v5, v5_then, ((2, 4),)),
    "V10": Vector(v10, v10_then),
    "V19": Vector(v19, v19_then),
    "V20": Vector(v20, v20_then),
    "V21": Vector(v21, v21_then, ((0, 2),)),
    "V26": Vector(v26, v26_then),
    "merge": Vector(merge, merge_then),
    "click": Vector(click, click_then, answers=follows_the_link),
    "opt-in": Vector(opt_in, opt_in_then),
    "two waits": Vector(two_waits, two_waits_then, tenant=TWO_WAITS),
    "parcel": Vector(parcel, parcel_then),
    "room": Vector(room, room_then, answers=refuses_welcomes),
}
each = pytest.mark.parametrize("name", VECTORS)


@cache
def as_told(name: str) -> tuple[list[Block], Told]:
    """A vector's own journal and what was told, made once."""
    return journal_of(VECTORS[name], VECTORS[name].story())


def journal_of(vector: Vector, story: Story) -> tuple[list[Block], Told]:
    """The complete journal, what the job gives back included, and what was told on the way."""
    journal, told = live(vector.tenant, story.blocks(), vector.answers)
    ledger_adds_up(journal, told)
    return journal, told


def ledger_adds_up(journal: list[Block], told: Told) -> None:
    """Each record exactly one final line, each candidate exactly one final decision."""
    count = sum(len(block.entries) for block in journal)
    final = Counter(row.sequence for row in told.events if row.disposition != "forwarded")
    assert final == Counter(range(count))
    decided = Counter(row.id for row in told.decisions if row.final)
    assert set(decided.values()) <= {1}
    assert Counter(row.reason for row in told.decisions if row.final)["SENT"] == len(told.messages)


@each
def test_on_the_embedded_engine(name: str) -> None:
    _, told = as_told(name)
    VECTORS[name].then(told)
    assert not told.failures


@each
def test_however_the_input_is_cut(name: str) -> None:
    vector = VECTORS[name]
    journal, told = as_told(name)
    for sizes, shards in (((3, 1, 2), 1), ((1000,), 3)):
        assert embedded(vector.tenant, pulls_of(journal, sizes), shards=shards).bytes() == told.bytes()


@each
def test_on_teststream_with_the_same_bytes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vector = VECTORS[name]
    journal, told = as_told(name)
    again = teststream(vector.tenant, pulls_of(journal), monkeypatch)
    end = journal[-1].received_at
    assert again.bytes(until=end) == told.bytes(until=end)


@each
def test_doubled(name: str) -> None:
    vector = VECTORS[name]
    story = vector.story()
    _, once = as_told(name)
    _, twice = journal_of(vector, story.doubled())
    vector.then(twice)
    assert [message.key for message in twice.messages] == [message.key for message in once.messages]
    assert Counter(row.reason for row in twice.decisions) == Counter(row.reason for row in once.decisions)


@pytest.mark.parametrize("name", [name for name, vector in VECTORS.items() if vector.free])
@pytest.mark.parametrize("seed", range(3))
def test_permuted_without_crossing_a_due_time(name: str, seed: int) -> None:
    vector = VECTORS[name]
    story = vector.story()
    arrivals = list(story.arrivals)
    for first, last in vector.free:
        entries = [entry for _, entry in arrivals[first:last]]
        random.Random(seed).shuffle(entries)
        times = [time for time, _ in arrivals[first:last]]
        arrivals[first:last] = list(zip(times, entries, strict=True))
    _, once = as_told(name)
    _, told = journal_of(vector, replace(story, arrivals=arrivals))
    vector.then(told)
    assert [(message.key, message.body) for message in told.messages] == [(m.key, m.body) for m in once.messages]


def test_time_begins_at_day_zero() -> None:
    assert at("00:00") == DAY_ZERO
