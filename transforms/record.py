"""Record: what each stage has to tell the analysts, rows and failures alike, handed over as table rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from apache_beam import DoFn, Flatten, ParDo, PTransform
from apache_beam.pvalue import PCollection

from transforms.batches import Failures, Rows
from transforms.hand_over import HandOver
from transforms.topics import Topics

RECORDED = ("rows", "failures")


class Record(PTransform):
    """Takes the outputs of all stages and hands over those tagged `rows` and `failures`; the others pass it by."""

    def __init__(self, topics: Topics | None = None) -> None:
        super().__init__()
        self._topics = topics

    def __ror__(self, outputs: Iterable[Any], label: str | None = None) -> PCollection:
        """Apply to the outputs of stages. Beam would take a stage's tagged outputs for a list of plain values."""
        return super().__ror__(tuple(_flat(outputs)), label)

    def expand(self, outputs: tuple[PCollection, ...]) -> PCollection:
        told = [output for output in outputs if output.tag in RECORDED]
        lines = [output | f"{output.tag} {place} as lines" >> ParDo(_AsRows()) for place, output in enumerate(told)]
        return lines | "all lines" >> Flatten() | "hand over lines" >> HandOver("rows", self._topics)


def _flat(outputs: Iterable[Any]) -> Iterator[PCollection]:
    """A stage hands over one collection, tagged ones or a tuple of named ones."""
    for output in outputs:
        if isinstance(output, PCollection):
            yield output
        else:
            yield from _flat(output)


class _AsRows(DoFn):
    """A failure is a row of the table `failures`."""

    def process(self, batch: Rows | Failures) -> Iterator[Rows]:
        yield batch if isinstance(batch, Rows) else Rows(batch.items)
