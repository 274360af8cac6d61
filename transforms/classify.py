"""Classify: mentions become labelled lines for analysts and, through the door, part of their author's life.

Repeats are dropped first, by the keyed stage that remembers seven days of posts. The scoring itself has no state, so a
slow model holds up nothing but this lane.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import NamedTuple

from apache_beam import DoFn, ParDo, PTransform
from apache_beam.pvalue import PCollection, TaggedOutput

from models.registry import Models, OpenModels
from schemas.records import Mention
from schemas.workspace import Tenant
from transforms.attempt import together
from transforms.batches import Mentions, emit, typed
from transforms.logic.brands import Gazetteer, gazetteers
from transforms.logic.classify import classify, refuse
from transforms.logic.repeats import Repeats
from transforms.logic.shard import Outputs
from transforms.shards import Keyed, State

READ = ("feedback", "rows", "failures")


class Classified(NamedTuple):
    """What classify hands over: lines and failures of its two steps, and the classified mentions for the door."""

    feedback: PCollection
    rows: PCollection
    failures: PCollection
    repeated: PCollection
    refused: PCollection


class Classify(PTransform):
    """Mentions to `Classified`. `state` as in `Keyed`."""

    def __init__(self, models: Models, tenants: Mapping[str, Tenant], shards: int, state: State) -> None:
        super().__init__()
        self._models = models
        self._tenants = tenants
        self._shards = shards
        self._state = state

    def expand(self, mentions: PCollection) -> Classified:
        fresh = mentions | "drop repeats" >> Keyed(Repeats, Mentions, self._shards, self._state)
        read = ParDo(_Read(self._models, self._tenants)).with_outputs(*READ)
        said = typed(fresh.mentions | "read what they say" >> read, READ)
        return Classified(said.feedback, said.rows, said.failures, fresh.rows, fresh.failures)


class _Read(DoFn):
    """Asks the models; a mention that they cannot take costs itself and nothing else."""

    def __init__(self, models: Models, tenants: Mapping[str, Tenant]) -> None:
        self._models = models
        self._tenants = tenants

    def setup(self) -> None:
        self._open: OpenModels = _shared(self._models)
        self._brands: dict[str, Gazetteer] = gazetteers((name, each.brands) for name, each in self._tenants.items())

    def process(self, batch: Mentions) -> Iterator[TaggedOutput]:
        yield from emit(self._read(batch.items))

    def _read(self, mentions: Sequence[Mention]) -> Outputs:
        """All at once, or one by one if one of them cannot be taken. Trouble with the machine is no post's fault."""
        try:
            return classify(mentions, self._brands, self._open)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # the stage's isolation wall
            if len(mentions) == 1:
                return refuse(mentions[0], error)
            return together([self._read([mention]) for mention in mentions])


_opened: dict[Models, OpenModels] = {}
_opening = Lock()


def _shared(models: Models) -> OpenModels:
    """One set of open models a process, however many threads ask."""
    with _opening:
        if models not in _opened:
            _opened[models] = models.open()
        return _opened[models]
