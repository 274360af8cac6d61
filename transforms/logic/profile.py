"""What engage keeps of one person, and how it is packed.

A row is a version byte, a kind byte and msgpack. `Person` is decoded for each batch anew, changed only in a step, and
packed once at the end. What most events leave alone stays packed inside it: each such *section* is read and written
through its `Section`, so an ordinary page view decodes some numbers and steps over a few strings of bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

from schemas.codec import UnknownVersion
from schemas.records import Ids, Item, Seen

T = TypeVar("T")
_encode = Encoder().encode
_ARRAY, _MAP = b"\x90", b"\x80"


class Section(Generic[T]):
    """The typed view of a packed section."""

    __slots__ = ("read",)

    def __init__(self, kind: Any) -> None:
        self.read: Callable[[bytes], T] = Decoder(kind).decode

    def write(self, value: T) -> bytes:
        return _encode(value)


class Part(Struct, array_like=True, gc=False):
    """The common form of what sections hold."""


class Identifier(Part):
    """One value that names the person: `sure` if a server said so, `proven` if a token sent there came back.

    The best of a kind is sure, then proven, then the newest (`at` 0: seen on views only).
    """

    kind: str
    value: str
    sure: bool
    at: int
    proven: bool = False

    @property
    def rank(self) -> tuple[bool, bool, int, str]:
        return self.sure, self.proven, self.at, self.value


class Trait(Part):
    """One fact about the person; a verified one beats a claimed one, then the newest wins."""

    sure: bool
    at: int
    value: str

    @property
    def rank(self) -> tuple[bool, int, str]:
        return self.sure, self.at, self.value


class Permission(Part):
    """The newest word on one (category, channel); `until` 0 = unlimited."""

    category: str
    channel: str
    accept: bool
    at: int
    until: int


class Permissions(Part):
    """Consent as it stands, and what was asked for but waits for a confirmation."""

    given: list[Permission] = []
    asked: list[Permission] = []


class CartOp(Part):
    """One thing that happened to the cart: add, remove, replace, empty, past, order or checkout."""

    at: int
    id: str
    change: str
    items: tuple[Item, ...] = ()

    @property
    def order(self) -> tuple[int, str]:
        return self.at, self.id


class Order(Part):
    """One order by its id. `at` 0: only a change of it has been heard of yet. Money in hundredths.

    `claimed`: the browser's record that first told of it, empty once a server has.
    """

    id: str
    at: int = 0
    value: int = 0
    back: int = 0
    void: bool = False
    claimed: str = ""

    @property
    def net(self) -> int:
        return 0 if self.void or not self.at else max(0, self.value - self.back)


class Rfm(Part):
    """The scores as last published, and a segment that must hold an hour before it is."""

    recency: int = 0
    frequency: int = 0
    monetary: int = 0
    cuts: str = ""
    waiting: str = ""
    since: int = 0


class Run(Part):
    """A campaign waiting for its time. `due` 0: it rang or was cancelled, and only a newer trigger starts it again."""

    campaign: str
    trigger: str
    at: int
    due: int
    shared: bool = False


class Send(Part):
    """One reservation and what became of it: `state` is open, sent, in_doubt or refused; `at` its time once known."""

    key: str
    campaign: str
    channel: str
    to: str  # a short hash of the address
    trigger: str
    decided: int
    expires: int
    counts: bool
    state: str = "open"
    at: int = 0
    regretted: bool = False


class Token(Part):
    """A confirmation that may come once, until `until`, for one e-mail address."""

    token: str
    email: str
    until: int


class Sealed(Part):
    """An absorbed person as it came: kept whole, so that a merge can be undone."""

    origin: bytes
    parts: bytes


class Person(Struct, array_like=True, gc=False):
    """One person. Times in microseconds; 0 where there is none. `verified`: a server vouched for the identity."""

    id: str
    tenant: str
    first_seen: int
    last: int = 0  # newest `now` of a step that changed anything
    verified: bool = False
    ids: Ids = Ids()  # of the last record, not yet folded into identifiers
    ids_sure: bool = False
    ids_at: int = 0
    signed_up: int = 0
    held_until: int = 0
    run_due: int = 0
    rfm_due: int = 0
    armed: int = 0  # the earliest wake that the shard holds
    segment: str = ""
    identifiers: bytes = _ARRAY
    traits: bytes = _MAP
    permissions: bytes = _ARRAY
    suppressed: bytes = _MAP
    cart: bytes = _ARRAY
    views: bytes = _ARRAY
    orders: bytes = _ARRAY
    rfm: bytes = _ARRAY
    runs: bytes = _ARRAY
    sends: bytes = _ARRAY
    entered: bytes = _MAP
    tokens: bytes = _ARRAY
    absorbed: bytes = _ARRAY

    @property
    def due(self) -> int:
        """When the person's next wake rings, 0 if never."""
        if self.run_due and self.rfm_due:
            return min(self.run_due, self.rfm_due)
        return self.run_due or self.rfm_due


class Alias(Part):
    """An address of which a server said that it belongs to the person who lives at `target`."""

    target: bytes


IDENTIFIERS: Section[list[Identifier]] = Section(list[Identifier])
TRAITS: Section[dict[str, Trait]] = Section(dict[str, Trait])
PERMISSIONS: Section[Permissions] = Section(Permissions)
SUPPRESSED: Section[dict[str, int]] = Section(dict[str, int])
CART: Section[list[CartOp]] = Section(list[CartOp])
VIEWS: Section[list[Seen]] = Section(list[Seen])
ORDERS: Section[list[Order]] = Section(list[Order])
RFM: Section[Rfm] = Section(Rfm)
RUNS: Section[list[Run]] = Section(list[Run])
SENDS: Section[list[Send]] = Section(list[Send])
ENTERED: Section[dict[str, int]] = Section(dict[str, int])
TOKENS: Section[list[Token]] = Section(list[Token])
ABSORBED: Section[list[Sealed]] = Section(list[Sealed])

_PERSON, _ALIAS = b"\x01P", b"\x01A"
_person = Decoder(Person).decode
_alias = Decoder(Alias).decode


def unpack_row(row: bytes) -> Person | Alias:
    """What lives at an address. Raises UnknownVersion or msgspec.DecodeError."""
    kind = row[:2]
    if kind == _PERSON:
        return _person(row[2:])
    if kind == _ALIAS:
        return _alias(row[2:])
    raise UnknownVersion(f"expected a row of a person or an alias, version 1, got {kind!r}; migrate first")


def pack_row(row: Person | Alias) -> bytes:
    """The bytes of a row."""
    return (_PERSON if type(row) is Person else _ALIAS) + _encode(row)
