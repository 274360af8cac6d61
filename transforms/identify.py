"""Identify: whose is it? Each event once, at the address of the person it belongs to.

Two keyed steps: repeats are found by event id, addresses by cookie, and these are different shards.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from apache_beam import PTransform
from apache_beam.pvalue import PCollection

from transforms.batches import Events
from transforms.logic.pointers import Pointers
from transforms.logic.repeats import Repeats
from transforms.shards import Keyed, State, behind


class Identified(NamedTuple):
    """What identify hands over: events with their people's addresses, and lines and failures of its two steps."""

    known: PCollection
    rows: PCollection
    failures: PCollection
    repeated: PCollection
    refused: PCollection


class Identify(PTransform):
    """Events to `Identified`. `secret` is the key of all identifier hashes; `state` as in `Keyed`."""

    def __init__(self, secret: bytes, shards: int, state: State) -> None:
        super().__init__()
        self._secret = secret
        self._shards = shards
        self._state = state

    def expand(self, events: PCollection) -> Identified:
        fresh = events | "drop repeats" >> Keyed(Repeats, Events, self._shards, self._state)
        pointers = partial(Pointers, self._secret)
        named = fresh.events | "find whose" >> Keyed(pointers, Events, self._shards, behind(self._state, 1))
        return Identified(named.known, named.rows, named.failures, fresh.rows, fresh.failures)
