"""Engage: what is known to have happened becomes profiles, decisions and message intents. The rules: `logic/engage.py`.

People live on the shard of their address. Cut points concern everybody, so each shard gets a copy of them; the stage
counts the first copy only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count

from apache_beam import DoFn, ParDo, PTransform
from apache_beam.pvalue import DoOutputsTuple, PCollection
from msgspec.structs import replace

from schemas.records import CutsPublished, Known
from schemas.workspace import Tenant
from transforms.batches import Knowns
from transforms.logic import engage
from transforms.shards import Keyed, State, behind, shard_of


class Engage(PTransform):
    """Batches of `Known` to intents, feedback, rows and failures (the tagged outputs of `Keyed`)."""

    def __init__(self, tenants: Mapping[str, Tenant], secret: bytes, shards: int, state: State) -> None:
        super().__init__()
        self._stage = partial(engage.Engage, tenants, secret)
        self._shards = shards
        self._state = state

    def expand(self, knowns: PCollection) -> DoOutputsTuple:
        everywhere = ParDo(_Everywhere(self._shards)).with_output_types(Knowns)
        return (
            knowns
            | "tell every shard the cut points" >> everywhere
            | "decide for each person" >> Keyed(self._stage, Knowns, self._shards, behind(self._state, 2))
        )


class _Everywhere(DoFn):
    """Copies records that concern everybody, one for each shard; all else passes as it is."""

    def __init__(self, shards: int) -> None:
        self._shards = shards

    def setup(self) -> None:
        self._addresses = one_address_a_shard(self._shards)

    def process(self, batch: Knowns) -> Iterator[Knowns]:
        if not any(type(known.event.fact) is CutsPublished for known in batch.items):
            yield batch
            return
        yield Knowns([copy for known in batch.items for copy in self._copies(known)])

    def _copies(self, known: Known) -> list[Known]:
        if type(known.event.fact) is not CutsPublished:
            return [known]
        first, *others = self._addresses
        return [replace(known, address=first), *(replace(known, address=each, hops=1) for each in others)]


def one_address_a_shard(shards: int) -> list[bytes]:
    """An address on each shard, in the order of the shards."""
    found: dict[int, bytes] = {}
    for number in count():
        address = b"everybody/%d" % number
        found.setdefault(shard_of(address, shards), address)
        if len(found) == shards:
            break
    return [found[shard] for shard in range(shards)]
