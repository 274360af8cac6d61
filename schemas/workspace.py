"""A workspace: what a tenant's people configure. Values only; `pipelines/workspace.py` reads the files."""

from __future__ import annotations

from msgspec import Struct


class Setting(Struct, frozen=True, gc=False):
    """The common form of all settings."""


class WriteKey(Setting, frozen=True):
    """Who may post: `trust` is server or browser."""

    name: str
    key: str
    trust: str


class Brand(Setting, frozen=True):
    """A name that people use when they talk about the tenant. `handles` are its own accounts, network:name."""

    name: str
    words: tuple[str, ...]
    handles: tuple[str, ...] = ()


class Dkim(Setting, frozen=True):
    """Under which name mails are signed; `key` is a reference to a secret."""

    domain: str
    selector: str
    key: str


class MailServer(Setting, frozen=True):
    """Where and how mails are handed in. `tls` is implicit, starttls or none; `password` is a reference to a secret.

    `connections` at a time, `rate` mails a second. `again`: a mail in doubt is sent again.
    """

    host: str
    port: int
    tls: str
    name: str
    address: str
    reply_to: str = ""
    user: str = ""
    password: str = ""
    dkim: Dkim | None = None
    connections: int = 4
    rate: int = 10
    again: bool = False


class Sink(Setting, frozen=True):
    """Where a channel's messages go. `kind` is recorder, webhook or smtp; `secret` is a reference, never the value.

    `allow_private` lets a webhook call hosts inside one's own network; `mail` is there if the kind is smtp.
    """

    kind: str
    url: str = ""
    secret: str = ""
    allow_private: bool = False
    mail: MailServer | None = None


class Content(Setting, frozen=True):
    """The templates of one message in one language, per part (subject, text); `late` replaces `text` when late."""

    parts: dict[str, str]
    late: dict[str, str] = {}


class Campaign(Setting, frozen=True):
    """One trigger and what it says. Durations are microseconds.

    `reentry` None means once for life, 0 each time, else the least time between entries.
    `content` is channel → language → templates; `control` is in ten-thousandths.
    """

    name: str
    trigger: str
    klass: str
    category: str
    channels: tuple[str, ...]
    after: tuple[int, ...]
    expires: int
    reentry: int | None
    content: dict[str, dict[str, Content]]
    control: int = 0
    to: tuple[str, ...] = ()
    live: bool = True
    counts_to_cap: bool = True
    obeys_cap: bool = True


class Cap(Setting, frozen=True):
    """At most `count` sends in `window` microseconds on `channel` ("*" for all together)."""

    channel: str
    count: int
    window: int


class Cuts(Setting, frozen=True):
    """RFM cut points in use until an event publishes others (see `CutsPublished`)."""

    version: str
    recency: tuple[int, int, int, int]
    frequency: tuple[int, int, int, int]
    monetary: tuple[int, int, int, int]


class Policy(Setting, frozen=True):
    """A tenant's rules across campaigns. `links` is where people reach the door, without a slash at its end."""

    caps: tuple[Cap, ...]
    care_hold: int
    languages: tuple[str, ...]  # the first is the fallback
    timezone: str
    cuts: Cuts
    links: str = ""


class Tenant(Setting, frozen=True):
    """Everything configured for one tenant."""

    name: str
    keys: tuple[WriteKey, ...]
    brands: tuple[Brand, ...]
    campaigns: tuple[Campaign, ...]
    policy: Policy
    sinks: dict[str, Sink]  # by channel
    version: str  # content hash

    @property
    def categories(self) -> frozenset[str]:
        """The consent categories of its messages."""
        return frozenset(campaign.category for campaign in self.campaigns if campaign.category)


class Workspace(Setting, frozen=True):
    """All tenants, by name."""

    tenants: dict[str, Tenant]
    version: str
