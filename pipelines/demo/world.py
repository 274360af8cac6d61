"""A synthetic world without end: people who live planted stories, people who talk, and the noise of a web shop.

Pure and seeded: the same settings give the same timeline, so a player can stop anywhere and go on from a number.

>>> calls = World(seed=7, start=0).timeline()
>>> next(calls).path
'/v1/batch'
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from random import Random
from typing import Any

from pipelines.demo.people import FIRST, product
from pipelines.demo.posts import NEGATIVE, NEUTRAL, POSITIVE, post
from pipelines.demo.scene import GZIP, PLAIN, STRANGER, TEXT, Call, Planted, accepted, iso, mention
from pipelines.demo.stories import live
from schemas.records import CLAIMED, MINUTE, SECOND, TRUSTED

BATCH = 12
"""Events of one noise request."""

VISITORS = 5_000
TONES = (POSITIVE, POSITIVE, NEUTRAL, NEUTRAL, NEGATIVE)


@dataclass(frozen=True, slots=True)
class World:
    """The settings of a world. Times are microseconds of journal time.

    A person begins every `newcomer_every`, somebody posts every `post_every`, a batch of clicks comes every
    `noise_every`, and something broken every `trouble_every`.
    """

    seed: int
    start: int
    newcomer_every: int = 100 * SECOND
    post_every: int = 4 * MINUTE
    noise_every: int = 20 * SECOND
    trouble_every: int = 10 * MINUTE

    def timeline(self) -> Iterator[Call]:
        """All calls in order of their time, without end."""
        return heapq.merge(self._people(), self._noise(), self._talk(), self._trouble(), key=_time)

    def planted(self, until: int) -> Iterator[tuple[Planted, int]]:
        """The truth of everybody who has begun before `until`, with the time of the person's last call."""
        for number in count():
            start = self._begin(number)
            if start >= until:
                return
            scene, planted = live(number, self.seed, start)
            yield planted, max(call.at for call in scene.calls)

    def _begin(self, number: int) -> int:
        return self.start + number * self.newcomer_every

    def _people(self) -> Iterator[Call]:
        """Stories overlap: a call is passed on once nobody can begin before it any more."""
        waiting: list[tuple[int, int, int, Call]] = []
        for number in count():
            begin = self._begin(number)
            while waiting and waiting[0][0] < begin:
                yield heapq.heappop(waiting)[-1]
            for index, call in enumerate(live(number, self.seed, begin)[0].calls):
                heapq.heappush(waiting, (call.at, number, index, call))

    def _noise(self) -> Iterator[Call]:
        """Visitors whom nobody knows, in batches as a tag manager sends them."""
        for turn in count():
            at = self.start + turn * self.noise_every
            chance = Random(f"{self.seed}/noise/{turn}")
            batch = [_click(chance, f"n-{turn}-{index}", at) for index in range(BATCH)]
            body = {"batch": batch, "sentAt": iso(at)}
            yield Call(at, -1, "/v1/b", CLAIMED, GZIP if turn % 3 == 0 else TEXT, body, len(batch))

    def _talk(self) -> Iterator[Call]:
        """Posts about the brands by people whom the shop does not know."""
        for turn in count():
            at = self.start + turn * self.post_every
            chance = Random(f"{self.seed}/talk/{turn}")
            language = chance.choice(("en", "pl"))
            handle = f"{chance.choice(FIRST['en']).lower()}_{chance.randrange(900)}"
            author = {"network": "chirp", "handle": handle, "followers": chance.randrange(20_000)}
            text = post(chance.choice(TONES), language, chance.choice(("Fernweh", "Kolibri")), chance)
            body = {"mentions": [mention(f"talk-{turn}", at, author, text)]}
            yield Call(at, -1, "/v1/mentions", TRUSTED, PLAIN, body)

    def _trouble(self) -> Iterator[Call]:
        """Requests as bad as real ones: broken, senseless, badly signed. None of them may change anybody's messages."""
        for turn in count():
            at = self.start + turn * self.trouble_every
            yield _TROUBLES[turn % len(_TROUBLES)](turn, at)


def _time(call: Call) -> int:
    return call.at


def _click(chance: Random, name: str, at: int) -> dict[str, Any]:
    who = {"anonymousId": f"visitor-{chance.randrange(VISITORS)}", "messageId": name, "timestamp": iso(at)}
    if chance.random() < 0.6:
        page = chance.choice(("/", "/tents", "/boots", "/clothing", "/sale", "/stories"))
        return {"type": "page", **who, "properties": {"path": page, "url": f"https://wanderlodge.example{page}"}}
    return {"type": "track", **who, "event": "Product Viewed", "properties": product(chance)}


def _broken(_: int, at: int) -> Call:
    return Call(at, -1, "/v1/t", CLAIMED, TEXT, b'{"event": "Signed Up", "properties": {"email": "oh')


def _senseless(turn: int, at: int) -> Call:
    properties = {"order_id": f"bad-{turn}", "total": "NaN", "currency": "EUR"}
    body = {"type": "track", "event": "Order Completed", "messageId": f"bad-{turn}", "userId": "nobody-real",
            "timestamp": iso(at), "sentAt": iso(at), "properties": properties}  # fmt: skip
    return Call(at, -1, "/v1/track", TRUSTED, PLAIN, body)


def _nameless(turn: int, at: int) -> Call:
    body = {"type": "track", "event": "Signed Up", "messageId": f"nameless-{turn}", "timestamp": iso(at),
            "sentAt": iso(at), "properties": {"consent": [accepted()]}}  # fmt: skip
    return Call(at, -1, "/v1/track", CLAIMED, TEXT, body)


def _unknown_key(turn: int, at: int) -> Call:
    body = {"type": "track", "event": "Signed Up", "messageId": f"stranger-{turn}", "properties": {}}
    return Call(at, -1, "/v1/track", STRANGER, PLAIN, body, records=0)


_TROUBLES = (_broken, _unknown_key, _senseless, _nameless)


def first(world: World, number: int) -> list[Call]:
    """The first calls of a world."""
    return list(islice(world.timeline(), number))
