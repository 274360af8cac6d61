"""Record: what each stage has to tell the analysts, rows and failures alike, handed over as table rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apache_beam import DoFn, Flatten, ParDo, PTransform
from apache_beam.pvalue import PCollection

from transforms.batches import Failures, Rows
from transforms.hand_over import HandOver

RECORDED = ("rows", "failures")


class Record(PTransform):
    """Takes the outputs of all stages and hands over their `rows` and `failures`; other outputs pass it by."""

    def expand(self, outputs: Iterable[PCollection]) -> PCollection:
        told = [output for output in outputs if output.tag in RECORDED]
        lines = [
            output | f"{output.tag} of {number} as lines" >> ParDo(_AsRows()) for number, output in enumerate(told)
        ]
        return lines | "all lines" >> Flatten() | "hand over lines" >> HandOver("rows")


class _AsRows(DoFn):
    """A failure is a row of the table `failures`."""

    def process(self, batch: Rows | Failures) -> Iterator[Rows]:
        yield batch if isinstance(batch, Rows) else Rows(batch.items)
