"""Mentions: what somebody posted, as a feed or a source's mapper hands it over."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from schemas.failures import MISSING_FIELD, Refused
from schemas.records import Block, Entry, Mention
from transforms.logic.bodies import check, decode
from transforms.logic.eventids import id_of
from transforms.logic.identifiers import handle
from transforms.logic.products import label
from transforms.logic.times import event_time, moment

LONGEST = 10_000
_LINK = 2000
_TRIM = str.maketrans(dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127], " "))


class Author(Struct, gc=False):
    """Who posted."""

    network: Any = None
    handle: Any = None
    followers: Any = None


class Post(Struct, gc=False, rename={"message": "messageId"}):
    """A mention as it is sent."""

    message: Any = None
    id: Any = None
    text: Any = None
    author: Author | list[Any] | str | None = None
    network: Any = None
    source_type: Any = None
    directed: Any = None
    url: Any = None
    thread: Any = None
    parent: Any = None
    timestamp: Any = None
    created_at: Any = None


_posts = msgspec.json.Decoder(Post)


def mention_of(entry: Entry, block: Block, sequence: int) -> tuple[Mention, str]:
    """The typed mention, and what was amended of its time. Raises Refused."""
    check(entry.body)
    said = decode(_posts, entry.body)
    if not isinstance(said.text, str) or not said.text.strip():
        raise Refused(MISSING_FIELD, "text: expected what was said")
    network, name, followers = _author(said)
    received = block.received_at
    time, note = event_time(moment(said.timestamp or said.created_at), 0, received)
    found = Mention(
        id=id_of(said.message or said.id, entry.body),
        tenant=entry.tenant,
        source=entry.source,
        source_type=label(said.source_type, 60) or "post",
        network=network,
        author=name,
        followers=followers,
        text=said.text[:LONGEST].translate(_TRIM),
        url=label(said.url, _LINK),
        thread=label(said.thread),
        parent=label(said.parent),
        directed=said.directed if isinstance(said.directed, bool) else None,
        event_time=time,
        received_at=received,
        partition=block.partition,
        sequence=sequence,
        raw=entry.body,
    )
    return found, note


def _author(said: Post) -> tuple[str, str, int]:
    """Network, handle in lower case ("" if nobody can be named) and followers."""
    author = said.author if isinstance(said.author, Author) else Author(handle=said.author)
    network = label(author.network or said.network, 40).lower() or "web"
    _, _, name = handle(network, author.handle).partition(":")
    count = author.followers
    known = isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 1 << 40
    return network, name, count if known else 0
