"""The Beam elements: micro-batches of records, one class a kind, each with a coder of our own.

One element carries a few hundred to a few thousand records, so Beam's costs an element are paid once a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, ClassVar, Generic, Self, TypeVar

from apache_beam.coders import Coder, registry
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput

from schemas.codec import pack_many, unpack_many
from schemas.records import Block, Derived, Event, Failure, Known, Mention, Message, Row
from transforms.logic.shard import Outputs

T = TypeVar("T")

RECORD_BYTES = 500
"""About how long a packed record is."""


class Batch(Generic[T]):
    """Records of one kind that travel together."""

    __slots__ = ("items",)
    record: ClassVar[Any]

    def __init__(self, items: Sequence[T]) -> None:
        self.items = items

    @property
    def count(self) -> int:
        """How many records these are."""
        return len(self.items)

    @classmethod
    def merge(cls, batches: Sequence[Self]) -> Self:
        """One batch of all records, in their total order."""
        if len(batches) == 1:
            return batches[0]
        together = [item for batch in batches for item in batch.items]
        together.sort(key=attrgetter("order"))
        return cls(together)


class Pull(Batch[Block]):
    """What one read of the firehose gave: blocks of the journal, oldest first."""

    record = Block

    @property
    def count(self) -> int:
        return sum(len(block.entries) for block in self.items)

    @classmethod
    def merge(cls, batches: Sequence[Pull]) -> Pull:
        blocks = [block for batch in batches for block in batch.items]
        blocks.sort(key=lambda block: (block.received_at, block.partition, block.first))
        return cls(blocks)


class Events(Batch[Event]):
    record = Event


class Knowns(Batch[Known]):
    record = Known


class Mentions(Batch[Mention]):
    record = Mention


class Messages(Batch[Message]):
    record = Message


class Feedback(Batch[Derived]):
    record = Derived


class Failures(Batch[Failure]):
    record = Failure


class Rows(Batch[Row]):
    """Lines for the analysts' tables; a row's tag is its table."""

    record = Row


BATCHES: dict[str, type[Batch[Any]]] = {
    "events": Events,
    "known": Knowns,
    "mentions": Mentions,
    "intents": Messages,
    "feedback": Feedback,
    "rows": Rows,
    "failures": Failures,
}
"""What a stage may hand over: the tag of each output, and the class of its batches."""

TAGS = tuple(BATCHES)


def emit(outputs: Outputs) -> Iterator[TaggedOutput]:
    """One tagged element for each kind of output that is not empty."""
    for tag, batch in BATCHES.items():
        items = getattr(outputs, tag)
        if items:
            yield TaggedOutput(tag, batch(items))


def typed(outputs: DoOutputsTuple, tags: Iterable[str] = TAGS) -> DoOutputsTuple:
    """The outputs, each told the class of its batches, so that Beam takes our coders."""
    for tag in tags:
        outputs[tag].element_type = BATCHES[tag]
    return outputs


class BatchCoder(Coder):
    """Bytes of a batch: the version byte and its records (`schemas.codec`)."""

    def __init__(self, kind: type[Batch[Any]]) -> None:
        self.kind = kind

    @classmethod
    def from_type_hint(cls, typehint: type[Batch[Any]], registry: Any) -> BatchCoder:  # noqa: ARG003 (Beam's signature)
        return cls(typehint)

    def encode(self, batch: Batch[Any]) -> bytes:
        return pack_many(batch.items)

    def decode(self, encoded: bytes) -> Batch[Any]:
        return self.kind(unpack_many(encoded, self.kind.record))

    def estimate_size(self, batch: Batch[Any]) -> int:
        """About how many bytes: Beam asks at each output, for its gauges, and would else encode every batch twice."""
        return RECORD_BYTES * batch.count

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> type[Batch[Any]]:
        return self.kind

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BatchCoder) and self.kind is other.kind

    def __hash__(self) -> int:
        return hash(self.kind)


for _kind in (Pull, *BATCHES.values()):
    registry.register_coder(_kind, BatchCoder)
