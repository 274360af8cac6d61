"""Run the journal again, in memory, with other bundles and other shard counts, and compare with what really left.

The journal holds everything that the job ever heard: clicks, posts, receipts, its own forwards. So the same decisions
must come out, byte for byte, however the input is cut. What the replay derives is compared and never sent anywhere.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from msgspec.structs import replace as changed

from pipelines.census import position
from pipelines.config import Config, ConfigError
from pipelines.local.runner import EmbeddedRunner, Limits
from pipelines.run import job_of
from pipelines.stream import LANES, build
from schemas.codec import pack, unpack_many
from schemas.records import Classification, Derived, Message, Row, Said
from transforms.sources.journal import JournalSource
from transforms.stores.journal import pack_place
from transforms.stores.log import LogReader
from transforms.stores.memory import MemoryRows
from transforms.stores.segments import segment_starts

TOPICS: dict[str, Any] = {"intents": Message, "feedback": Derived, "rows": Row}
CLOSE = 1e-3
"""How far a model's score may differ: models are no part of the promise of equal bytes, their labels are."""
SHOWN = 5
_OURS = re.compile(r"[0-9a-f]{32}(?:-[0-9a-f]{32})?")


@dataclass
class Output:
    """What a lane handed over, as counts of digests (with scores left out), and the scores by record id."""

    counts: dict[str, Counter[bytes]] = field(default_factory=lambda: {topic: Counter() for topic in TOPICS})
    examples: dict[bytes, Any] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)

    def add(self, topic: str, records: Iterable[Any]) -> None:
        for record in records:
            plain = self._without_score(record)
            digest = blake2b(pack(plain), digest_size=16).digest()
            self.counts[topic][digest] += 1
            self.examples.setdefault(digest, plain)

    def _without_score(self, record: Any) -> Any:
        if isinstance(record, Classification):
            self.scores[record.id] = record.score
            return changed(record, score=0.0, language_score=0.0)
        if isinstance(record, Derived) and isinstance(record.fact, Said):
            self.scores[record.id] = record.fact.score
            return changed(record, fact=changed(record.fact, score=0.0))
        return record


def replay(config: Config, *, verify: bool) -> int:
    """Replay both lanes; with `verify` the exit status is 1 if anything differs from what the live run handed over.

    It is 1, too, where that cannot be told because the beginning is gone. Raises ConfigError if there is nothing.
    """
    expect_journal(config)
    if gone := beginnings_gone(config):
        say(
            f"expected everything since the beginning, but {' and '.join(gone)} dropped what was older than --keep "
            f"(here {config.keep} days); start door and lanes with a longer --keep to replay all of it"
        )
        if verify:
            return 1
    status = 0
    for lane in LANES:
        again = recompute(config, lane)
        told = {topic: sum(counts.values()) for topic, counts in again.counts.items()}
        say(f"{lane}: {told['intents']} intents, {told['feedback']} given back, {told['rows']} table rows")
        if verify:
            differences = list(compare(handed_over(config.folder(lane)), again))
            for difference in differences[:SHOWN]:
                say(f"  {difference}")
            verdict = f"{len(differences)} differences" if differences else "equal, byte for byte"
            say(f"{lane}: {verdict} ({config.bundle} records a bundle, {config.shards} shards)")
            status |= bool(differences)
    return status


def expect_journal(config: Config) -> None:
    """Raises ConfigError unless there is a journal that a lane has read, and the key that it was read with."""
    if not segment_starts(config.folder("journal")):
        raise ConfigError(
            f"data: expected a journal in {config.folder('journal')}, there is none to replay; see --data"
        )
    if not any(position(config.folder(lane)) for lane in LANES):
        raise ConfigError(f"data: expected a lane that has read the journal in {config.data}, none has; run one first")
    if not config.secret_file.exists():
        raise ConfigError(f"data: expected the key {config.secret_file}, there is none; restore it from a copy")


def beginnings_gone(config: Config) -> list[str]:
    """The logs that no longer reach back to their beginning."""
    starts = {name: segment_starts(config.folder(name))[:1] for name in ("journal", *LANES)}
    return [name for name, first in starts.items() if first and first[0] > 0]


def recompute(config: Config, lane: str) -> Output:
    """What a lane hands over when it reads the journal as far as the live one did."""
    source = JournalSource(config.folder("journal"), until=position(config.folder(lane)) or pack_place(0, 0))
    store = MemoryRows()
    pipeline = Pipeline(options=PipelineOptions([]))
    build(pipeline, source, job_of(config), (lane,))
    engine = EmbeddedRunner(store, Limits(bundle=config.bundle)).open(pipeline)
    engine.run_until_done()
    engine.close()
    output = Output()
    for topic, records in store.topics.items():
        output.add(topic, records)
    return output


def handed_over(folder: Path) -> Output:
    """What the live lane with its store in `folder` handed over, as far as its log still has it."""
    output = Output()
    reader = LogReader(folder, 0, TOPICS)
    while frames := reader.read():
        for frame in frames:
            for topic, part in frame.parts.items():
                output.add(topic, unpack_many(part.payload, TOPICS[topic]))
    reader.close()
    return output


def compare(live: Output, again: Output) -> Iterator[str]:
    """One line for each record that only one side has, and for each score that is too far off.

    Shows what kind of record, which one, and which of its fields differ from the other side's; never what they hold.
    """
    for topic in TOPICS:
        for what, more, less in (("only live", live, again), ("only replayed", again, live)):
            others = {name_of(less.examples[digest]): less.examples[digest] for digest in less.counts[topic]}
            for digest, count in (more.counts[topic] - less.counts[topic]).items():
                found = more.examples[digest]
                fields = differing(found, others.get(name_of(found)))
                yield f"{what}, {count} times: {topic}: {' '.join(name_of(found))}{fields}"
    for name, score in live.scores.items():
        if abs(again.scores.get(name, score) - score) > CLOSE:
            yield f"score of {_shown(name)}: live {score}, replayed {again.scores[name]}"


def name_of(record: Any) -> tuple[str, str]:
    """What kind of record it is, and its id: a hash of ours, or the hash of what stands in its place."""
    return type(record).__name__, _shown(record.key if isinstance(record, Message) else record.id)


def _shown(name: str) -> str:
    return name if _OURS.fullmatch(name) else blake2b(name.encode(), digest_size=8).hexdigest()


def differing(record: Any, other: Any) -> str:
    """The names of the fields in which two records differ; nothing if there is only one."""
    if other is None:
        return ""
    names = [name for name in record.__struct_fields__ if getattr(record, name) != getattr(other, name)]
    return f" differs in {', '.join(names)}"


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
