"""Seeded journals of the synthetic world, as the door would have written them, without HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import takewhile

from pipelines.config import SAMPLE
from pipelines.demo.play import request
from pipelines.demo.scene import STRANGER, Call
from pipelines.demo.world import World
from pipelines.receive import PATHS
from pipelines.workspace import load
from schemas.codec import pack
from schemas.keys import derived_id
from schemas.records import DAY, HOUR, MINUTE, Block, Derived, Entry, Ids, Said
from transforms.logic.intake import cut

START = 20_000 * DAY
TENANT = load(SAMPLE).tenants["wanderlodge"]
MOODS = ("negative", "neutral", "positive")


def world(seed: int, start: int = START) -> World:
    """A small shop with little noise: every story comes by within some hours."""
    return World(
        seed=seed,
        start=start,
        newcomer_every=10 * MINUTE,
        post_every=20 * MINUTE,
        noise_every=30 * MINUTE,
        trouble_every=25 * MINUTE,
    )


def blocks(seed: int, length: int = 9 * HOUR) -> list[Block]:
    """Every call as one block, stamped with whole milliseconds; a post is followed by what a model might say of it."""
    made: list[Block] = []
    stamp = sequence = 0
    for call in takewhile(lambda call: call.at < START + length, world(seed).timeline()):
        for entries in _journaled(call):
            stamp = max(call.at // 1000 * 1000, stamp + 1000)
            made.append(Block(stamp, 0, sequence, entries))
            sequence += len(entries)
    made.append(Block(max(stamp + 1000, START + length), 0, sequence, []))
    return made


def entries(seed: int, start: int, length: int) -> list[Entry]:
    """What the door takes of all that happens in `length` from `start` on, for a job that says itself what it reads."""
    calls = takewhile(lambda call: call.at < start + length, world(seed, start).timeline())
    return [entry for call in calls for part in _journaled(call) for entry in part if entry.kind != "derived"]


def _journaled(call: Call) -> Iterator[list[Entry]]:
    if call.trust == STRANGER:
        return
    pieces = cut(PATHS[call.path], request(call, {})[0]).pieces
    yield [Entry(piece.kind, TENANT.name, call.trust, "world", piece.sent_at, piece.body) for piece in pieces]
    said = [_said(piece.body) for piece in pieces if piece.kind == "mention"]
    if said:
        yield said


def _said(body: bytes) -> Entry:
    post = json.loads(body)
    author = post["author"]
    mood = MOODS[len(post["text"]) % 3]
    fact = Said(post["id"], ("Fernweh",), True, mood, 0.9, "en", post["text"][:20])
    derived = Derived(
        derived_id("said", TENANT.name, post["id"]),
        TENANT.name,
        START,
        Ids(handle=f"{author['network']}:{author['handle']}".lower()),
        fact,
    )
    return Entry("derived", TENANT.name, "own", "listen", 0, pack(derived), ("listen", 0))
