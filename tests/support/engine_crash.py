"""Runs the job of `engine_job` on a store in FOLDER and dies at every named point, again and again; then to the end.

Prints a JSON object: how often each point killed it, and the people's rows. One process starts, its children die.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from engine_job import crowd, rows_of, wire
from engine_stages import Listed

from pipelines.local.engine import POINTS
from pipelines.local.runner import EmbeddedRunner, Limits
from schemas.records import SECOND
from transforms.stores import faults
from transforms.stores.rows import RowStore

SOURCE = Listed(crowd(11, 150), 4000 * SECOND, at_once=1)


def work(folder: Path) -> None:
    """The job, to its end."""
    store = RowStore(folder, graph="crash", sync=False)
    pipeline = Pipeline(EmbeddedRunner(store, Limits(bundle=1 << 40, idle=0)), PipelineOptions([]))
    wire(pipeline, SOURCE)
    engine = pipeline.runner.open(pipeline)
    engine.run_until_done()
    engine.close()
    store.close()


def dies(folder: Path, point: str, passes: int) -> bool:
    """Whether a child that dies at the given pass of a point did so; else it came to the end."""
    child = os.fork()
    if child == 0:
        faults._left = {point: passes}
        work(folder)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) < 0


def main(folder: Path) -> None:
    kills = {}
    for point in (*POINTS, "log.before_write", "log.after_write", "rows.after_commit"):
        kills[point] = sum(dies(folder, point, passes) for passes in (1, 2, 3, 1, 2))
    while dies(folder, POINTS[1], 9):
        pass
    store = RowStore(folder, graph="crash")
    rows = {key.decode(): row.hex() for key, row in sorted(rows_of(store).items())}
    print(json.dumps({"kills": kills, "rows": rows, "position": int.from_bytes(store.position or b"")}))
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
