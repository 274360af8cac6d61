"""`rapport mend`: a damaged journal is made readable again; what cannot be read is set aside and told of.

Nothing else is touched, and nobody may be running.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.bounds import lane_place
from pipelines.census import LANES, position
from pipelines.config import Config, ConfigError
from pipelines.ready import alone
from transforms.stores.journal import RECORDS
from transforms.stores.mend import Hole, mend
from transforms.stores.segments import segment_starts

ASIDE = "damaged"


def mend_journal(config: Config) -> list[str]:
    """Mend the journal of a data folder; a sentence for each stretch that is lost.

    Raises LogBusy while a process runs, LogCorrupt for what cannot be mended, ConfigError where there is no journal.
    """
    if not segment_starts(config.folder("journal")):
        raise ConfigError(f"data: expected a journal in {config.folder('journal')}, there is none; see --data")
    alone(config)
    reached = max(lane_place(config.folder(lane)) for lane in LANES)
    holes = mend(config.folder("journal"), config.data / ASIDE, RECORDS, reached)
    return [_told(config, hole) for hole in holes]


def _told(config: Config, hole: Hole) -> str:
    return (
        f"the journal's bytes {hole.begin} to {hole.end} could not be read (at most {hole.records} records): "
        f"{', '.join(_lost(config, hole)) or 'nothing is lost, everybody had read them'}; the file as it was is "
        f"{hole.copy}"
    )


def _lost(config: Config, hole: Hole) -> Iterator[str]:
    for lane in LANES:
        if lane_place(config.folder(lane))[0] < hole.end:
            yield f"the {lane} lane had not read all of them, and never will"
    if int.from_bytes(position(config.folder("door")) or b"") < hole.end:
        yield "opt-outs among them may not have been heard"
