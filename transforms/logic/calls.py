"""The Segment envelope as thirteen SDKs send it: what we read of a call, and nothing that we do not use.

Leaves are `Any`: an SDK may send a number where text is due, and a decoration of the wrong type never costs the record.
An empty PHP object is a list.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

NOTHING = Raw()


class Place(Struct, gc=False):
    """A postal address or a company: what we read of it."""

    country: Any = None
    name: Any = None


class Words(Struct, gc=False, rename={"first": "firstName", "last": "lastName"}):
    """Traits, in camel and in snake case."""

    email: Any = None
    phone: Any = None
    first: Any = None
    first_name: Any = None
    last: Any = None
    last_name: Any = None
    name: Any = None
    locale: Any = None
    timezone: Any = None
    birthday: Any = None
    country: Any = None
    address: Place | list[Any] | str | int | float | bool | None = None
    company: Place | list[Any] | str | int | float | bool | None = None
    handles: dict[str, Any] | list[Any] | str | None = None
    twitter: Any = None
    instagram: Any = None
    facebook: Any = None
    mastodon: Any = None
    bluesky: Any = None
    linkedin: Any = None
    reddit: Any = None
    telegram: Any = None
    tiktok: Any = None
    youtube: Any = None
    consent: Raw = NOTHING
    marketing_opt_in: Any = None


class Page(Struct, gc=False):
    """The page that a call came from, or that it is about."""

    url: Any = None
    title: Any = None
    path: Any = None


class Context(Struct, gc=False):
    """What surrounds a call."""

    traits: Words | list[Any] | None = None
    page: Page | list[Any] | None = None
    locale: Any = None
    timezone: Any = None


class Call(
    Struct,
    gc=False,
    rename={
        "id": "messageId",
        "user": "userId",
        "anonymous": "anonymousId",
        "previous": "previousId",
        "at": "timestamp",
        "original": "originalTimestamp",
        "sent": "sentAt",
    },
):
    """One call. `properties` are read when it is known what they should be."""

    id: Any = None
    user: Any = None
    anonymous: Any = None
    previous: Any = None
    at: Any = None
    original: Any = None
    sent: Any = None
    event: Any = None
    name: Any = None
    context: Context | list[Any] | None = None
    traits: Words | list[Any] | None = None
    properties: Raw = NOTHING

    @property
    def around(self) -> Context:
        """The context, empty if there is none."""
        return self.context if isinstance(self.context, Context) else _NO_CONTEXT

    @property
    def words(self) -> tuple[Words, ...]:
        """The traits of the call, then those of its context."""
        own, context = self.traits, self.context
        said = context.traits if isinstance(context, Context) else None
        if own is None and said is None:
            return ()
        if not isinstance(own, Words):
            return (said,) if isinstance(said, Words) else ()
        return (own, said) if isinstance(said, Words) else (own,)


_NO_CONTEXT = Context()

decoder = msgspec.json.Decoder(Call)
