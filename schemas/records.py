"""The typed, frozen records that travel between the stages.

Times are whole microseconds since 1970 (UTC). Money is whole hundredths of the currency's unit. Scores are 0 to 1.
A record is decoded once and then passed on by reference; nobody changes one.
"""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

Order = tuple[int, int, int, int]
"""The place of a record in the one total order: (received_at, partition, sequence, sub)."""


class Record(Struct, frozen=True, array_like=True, gc=False):
    """The common form of all records: frozen, packed as an array."""


# --- what the door journals -------------------------------------------------------------------------------------------


class Entry(Record, frozen=True):
    """One accepted record as the journal keeps it: the caller's bytes and what the door knows about the caller.

    `kind` is a Segment call (`track identify page screen alias group`), `mention`, `receipt`, `derived` (the job's own
    feedback; `body` is then a packed `Derived`) or `unreadable` (a body that could not be cut into records).
    `sent_at` is the sender's clock when the request left, 0 if unknown.
    `origin` is (log, number) for records that the door pulled from another log, else None.
    """

    kind: str
    tenant: str
    trust: str
    source: str
    sent_at: int
    body: bytes
    origin: tuple[str, int] | None = None


class Block(Record, frozen=True):
    """Entries that one group commit of the door stamped together; sequence numbers run on from `first`."""

    received_at: int
    partition: int
    first: int
    entries: list[Entry]


# --- who --------------------------------------------------------------------------------------------------------------

TRUSTED = "server"
CLAIMED = "browser"
OWN = "own"


class Ids(Record, frozen=True):
    """The identifiers that a record carries, normalised; an empty string where there is none."""

    customer: str = ""
    email: str = ""
    phone: str = ""
    handle: str = ""  # network:name, lower case
    cookie: str = ""


class Traits(Record, frozen=True):
    """What a record says about its person. `verified` means: a server vouches for the identifiers."""

    first_name: str = ""
    last_name: str = ""
    locale: str = ""
    timezone: str = ""
    country: str = ""
    birthday: str = ""  # ISO date
    company: str = ""


class Consent(Record, frozen=True):
    """Permission given or taken back. An event that is not `valid` counts as taken back (fail closed)."""

    accept: bool
    category: str
    channel: str  # "*" for any
    valid_until: int  # 0 = unlimited
    proof: str
    valid: bool = True


# --- what happened: one fact per canonical event type -----------------------------------------------------------------


class Fact(Struct, frozen=True, array_like=True, gc=False, tag=True):
    """What an event says, typed. The class is the canonical event type (`kind`)."""

    kind: ClassVar[str] = ""


class Item(Record, frozen=True):
    """A product in a cart, order or view."""

    product: str
    name: str = ""
    category: str = ""
    variant: str = ""
    price: int = 0
    quantity: int = 1


class Identified(Fact, frozen=True):
    kind = "identified"


class Aliased(Fact, frozen=True):
    kind = "aliased"
    previous: str


class SignedUp(Fact, frozen=True):
    kind = "signup"


class ConsentChanged(Fact, frozen=True):
    kind = "consent"


class Confirmed(Fact, frozen=True):
    """The person confirmed the address (double opt-in). `token` is the one that we sent, if a browser says so."""

    kind = "confirmed"
    token: str = ""


class Unsubscribed(Fact, frozen=True):
    kind = "unsubscribed"
    category: str = "marketing"
    everything: bool = False


class Viewed(Fact, frozen=True):
    """A page, a screen or a product view; `item` only for the last."""

    kind = "viewed"
    what: str  # page, screen, product
    url: str = ""
    title: str = ""
    item: Item | None = None


class CartUpdated(Fact, frozen=True):
    """`change` is add, remove, replace or empty."""

    kind = "cart_updated"
    change: str
    cart: str = ""
    currency: str = ""
    items: tuple[Item, ...] = ()


class CheckoutStarted(Fact, frozen=True):
    kind = "checkout_started"
    checkout: str = ""
    value: int = 0
    currency: str = ""
    items: tuple[Item, ...] = ()


class OrderPlaced(Fact, frozen=True):
    kind = "order_placed"
    order: str
    value: int
    currency: str = ""
    items: tuple[Item, ...] = ()


class OrderChanged(Fact, frozen=True):
    """`change` is cancelled, refunded or delivered; `value` is what was taken back (0 = all of it)."""

    kind = "order_changed"
    order: str
    change: str
    value: int = 0


class CaseChanged(Fact, frozen=True):
    kind = "case_changed"
    case: str
    opened: bool


class CutsPublished(Fact, frozen=True):
    """RFM cut points for one tenant: upper bounds of R in days (rising), lower bounds of F and M (rising), 4 each."""

    kind = "cuts_published"
    version: str
    recency: tuple[int, int, int, int]
    frequency: tuple[int, int, int, int]
    monetary: tuple[int, int, int, int]


class Custom(Fact, frozen=True):
    """An event name outside the vocabulary; kept, usable in rules."""

    kind = "custom"
    name: str


class Said(Fact, frozen=True):
    """A classified mention, given back by the listen lane."""

    kind = "said"
    mention: str
    brands: tuple[str, ...]
    directed: bool
    sentiment: str  # negative, neutral, positive
    score: float
    language: str
    excerpt: str
    url: str = ""
    reply_to: str = ""


class Receipt(Fact, frozen=True):
    """What became of a message. `state` is sent, refused, in_doubt, delivered, opened, clicked, bounced, complained."""

    kind = "receipt"
    key: str
    state: str
    at: int
    channel: str = ""
    code: str = ""
    attempt: int = 0
    revision: int = 0


class Handover(Fact, frozen=True):
    """A person's sealed parts on their way to the address that they belong to from now on (a merge)."""

    kind = "handover"
    parts: bytes
    origin: bytes = b""  # address they come from


class Silenced(Fact, frozen=True):
    """Who refuses to be written to, under every address that the job knows; the door keeps a sender from writing there.

    `refused` are (category, channel), `*` for any; without them, what was refused before is taken back. `said_at` and
    `number` are received_at and sequence of the record that said so.
    """

    kind = "silenced"
    addresses: tuple[bytes, ...]
    refused: tuple[tuple[str, str], ...]
    said_at: int
    number: int


AnyFact = (
    Identified
    | Aliased
    | SignedUp
    | ConsentChanged
    | Confirmed
    | Unsubscribed
    | Viewed
    | CartUpdated
    | CheckoutStarted
    | OrderPlaced
    | OrderChanged
    | CaseChanged
    | CutsPublished
    | Custom
    | Said
    | Receipt
    | Handover
    | Silenced
)


class Event(Record, frozen=True):
    """One thing that somebody said or did, typed and timed; `raw` keeps the bytes as they came.

    `sequence` and `partition` place it in the journal; `sub` orders what one record gives rise to.
    """

    id: str
    tenant: str
    trust: str
    source: str
    event_time: int
    received_at: int
    partition: int
    sequence: int
    ids: Ids
    fact: AnyFact
    consents: tuple[Consent, ...] = ()
    traits: Traits | None = None
    raw: bytes = b""
    sub: int = 0
    derived: bool = False
    route: Route | None = None

    @property
    def order(self) -> Order:
        return self.received_at, self.partition, self.sequence, self.sub


class Seen(Record, frozen=True):
    """Views of one product by a visitor nobody knew."""

    product: str
    count: int
    last: int
    name: str = ""


class Past(Record, frozen=True):
    """What an anonymous visitor did before the visit got a name; bounded, kept 90 days."""

    first_seen: int
    views: tuple[Seen, ...] = ()
    cart: tuple[Item, ...] = ()
    cart_at: int = 0


class Place(Record, frozen=True):
    """Where a record stands in the journal."""

    received_at: int
    partition: int
    sequence: int
    sub: int
    derived: bool


class Route(Record, frozen=True):
    """The way of a derived record whose person is known: to which address, after how many hops, bringing what.

    `mark` tells its repeats; a forwarded event keeps its own id. `places` are those it was forwarded from: whoever
    takes it at last settles them, too.
    """

    mark: str
    address: bytes
    hops: int = 0
    past: Past | None = None
    places: tuple[Place, ...] = ()


class Known(Record, frozen=True):
    """An event and whose it is: `address` is the hash of its strongest identifier, the key of a row in engage.

    A record whose `link` is set only joins `address` to that stronger address; its event is not applied again.
    `confidence` is verified, claimed or shared. `hops` counts forwards through the log.
    """

    address: bytes
    event: Event
    confidence: str
    link: bytes = b""
    past: Past | None = None
    hops: int = 0

    @property
    def order(self) -> Order:
        event = self.event
        return event.received_at, event.partition, event.sequence, event.sub


class Mention(Record, frozen=True):
    """One post, as it was said. `directed` is None where the source does not tell."""

    id: str
    tenant: str
    source: str
    source_type: str
    network: str
    author: str
    followers: int
    text: str
    url: str
    thread: str
    parent: str
    directed: bool | None
    event_time: int
    received_at: int
    partition: int
    sequence: int
    raw: bytes = b""
    sub: int = 0

    @property
    def order(self) -> Order:
        return self.received_at, self.partition, self.sequence, self.sub


# --- what the job gives back to the door ------------------------------------------------------------------------------


class Derived(Record, frozen=True):
    """A record of the job's own on its way back through the door; `id` repeats when the work is repeated.

    `address` is set when the person is already known (a forward or a handover), with the `hops` taken so far;
    `cookie` then lets identify repair the pointer that led astray. `sequence` is the cause's, for the ledger.
    """

    id: str
    tenant: str
    event_time: int
    ids: Ids
    fact: AnyFact
    cause: str = ""
    address: bytes = b""
    hops: int = 0
    original: Event | None = None
    past: Past | None = None  # what came with the original


# --- what the job decides ---------------------------------------------------------------------------------------------


class Message(Record, frozen=True, tag_field="table", tag="messages"):
    """A message intent: rendered, frozen, with its deterministic `key`. The sender decides when and whether it leaves.

    `to` is the address on `channel`. `suppression` lists the addresses of the person and of all identifiers, each
    looked up before every attempt. `life` is the claim (campaign, step, address) of once-for-life campaigns, else
    empty. `body` is a JSON object with the rendered parts (subject, text, …).
    """

    key: str
    tenant: str
    person: str
    campaign: str
    step: int
    channel: str
    to: str
    klass: str
    category: str
    trigger: str
    decided_at: int
    expires_at: int
    suppression: tuple[bytes, ...]
    body: bytes
    revision: int = 0
    life: str = ""
    variant: str = ""
    caused_at: int = 0  # received_at of the triggering record: where the latency clock starts


class Decision(Record, frozen=True, tag_field="table", tag="decisions"):
    """What became of one candidate, with exactly one reason code. Deferrals are interim (`final` false)."""

    id: str
    tenant: str
    person: str
    campaign: str
    step: int
    trigger: str
    reason: str
    final: bool
    decided_at: int
    created_at: int
    channel: str = ""
    key: str = ""
    detail: str = ""
    not_checked: tuple[str, ...] = ()


class SegmentChange(Record, frozen=True, tag_field="table", tag="segments"):
    """A person moved between RFM segments; `cause` is order, decay or recut."""

    id: str
    tenant: str
    person: str
    old: str
    new: str
    as_of: int
    cuts: str
    cause: str
    recency: int
    frequency: int
    monetary: int


class EventRow(Record, frozen=True, tag_field="table", tag="events"):
    """One line of the ledger: a record of the journal and its one final disposition.

    `disposition` is applied, filtered, failed or forwarded (interim); `reason` says why it was filtered or failed.
    """

    id: str
    tenant: str
    type: str
    event_time: int
    received_at: int
    partition: int
    sequence: int
    sub: int
    derived: bool
    trust: str
    source: str
    person: str
    disposition: str
    reason: str
    properties: bytes = b""


class MentionRow(Record, frozen=True, tag_field="table", tag="mentions"):
    """A mention with its one final disposition (the listen lane owns mentions)."""

    id: str
    tenant: str
    source_type: str
    network: str
    author: str
    text: str
    url: str
    thread: str
    event_time: int
    received_at: int
    partition: int
    sequence: int
    language: str
    directed: bool
    disposition: str
    reason: str


class Classification(Record, frozen=True, tag_field="table", tag="classifications"):
    """What a model says about a mention, one row a brand; `model` is name@sha256 prefix."""

    id: str
    mention: str
    tenant: str
    brand: str
    language: str
    language_score: float
    sentiment: str
    score: float
    directed: bool
    model: str
    received_at: int


class ReceiptRow(Record, frozen=True, tag_field="table", tag="receipts"):
    """One receipt as the sender or a channel reported it."""

    id: str
    tenant: str
    key: str
    state: str
    at: int
    channel: str
    code: str
    attempt: int
    matched: bool
    received_at: int


class Failure(Record, frozen=True, tag_field="table", tag="failures"):
    """A record that a stage refused: which stage, why, the bytes as they came, and its place in the journal."""

    id: str
    tenant: str
    stage: str
    reason: str
    detail: str
    body: bytes
    received_at: int
    partition: int
    sequence: int
    sub: int = 0


Row = EventRow | MentionRow | Classification | Decision | Message | ReceiptRow | Failure | SegmentChange

TABLES: dict[str, type[Record]] = {
    "events": EventRow,
    "mentions": MentionRow,
    "classifications": Classification,
    "decisions": Decision,
    "messages": Message,
    "receipts": ReceiptRow,
    "failures": Failure,
    "segments": SegmentChange,
}
