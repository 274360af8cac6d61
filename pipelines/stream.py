"""★ Read me first: everything Rapport does with a record, from the journal to what leaves.

    journal ─┬─ discover ─ classify ──────────────► classified mentions ─► back through the door
             └─ discover ─ identify ─ engage ──┬──► intents ─► the sender
                                               └──► forwards, handovers ─► back through the door
    every stage also hands over table rows and failures

A stage is one file in `transforms/`; its rules are in `transforms/logic/`. The same graph runs on the embedded engine
and on Beam's own runners, and is meant for Flink and Dataflow. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from apache_beam import Pipeline
from apache_beam.pvalue import PCollection

from models.registry import Models
from schemas.workspace import Tenant
from transforms.batches import Pull
from transforms.classify import Classify
from transforms.discover import Discover
from transforms.engage import Engage
from transforms.hand_over import HandOver
from transforms.identify import Identify
from transforms.record import Record
from transforms.shards import SHARDS, State
from transforms.sources.firehose import Firehose
from transforms.sources.source import Source
from transforms.topics import Topics
from transforms.waiting import Exact

LANES = ("listen", "person")


@dataclass(frozen=True, slots=True)
class Job:
    """What the graph is built from: tenants, the key of identifier hashes, how state is cut and kept, and where
    records leave (`topics`; the embedded engine needs none).

    `order` matters where state is in cells: `arrival` decides on what has arrived, at once; `exact` waits until the
    watermark has passed, in slots of `grain` microseconds, and decides what the embedded engine decides.
    """

    tenants: Mapping[str, Tenant]
    secret: bytes
    models: Models
    shards: int = SHARDS["rows"]
    state: str = "rows"
    topics: Topics | None = None
    order: str = "arrival"
    grain: int = 100_000

    def __post_init__(self) -> None:
        if self.order not in ("arrival", "exact"):
            raise ValueError(f"order: expected arrival or exact, got {self.order!r}")

    @property
    def form(self) -> State:
        """How keyed stages keep their state. Rows are in exact order anyway."""
        return Exact(self.grain) if self.state == "cells" and self.order == "exact" else self.state


def build(pipeline: Pipeline, source: Source, job: Job, lanes: tuple[str, ...] = LANES) -> None:
    """The whole graph, or one lane of it (on one machine each lane is a process with a cursor of its own)."""
    records = pipeline | "read the journal" >> Firehose(source)
    if "listen" in lanes:
        listen(records, job)
    if "person" in lanes:
        engage(records, job)


def listen(records: PCollection[Pull], job: Job) -> None:
    """What is said: models take milliseconds a post, so this lane never holds up the other."""
    said = records | "discover who said what" >> Discover("listen")
    felt = said.mentions | "classify what was said" >> Classify(job.models, job.tenants, job.shards, job.form)

    felt.feedback | "give mentions back to the door" >> HandOver("feedback", job.topics)
    (said, felt) | "record what was said" >> Record(job.topics)


def engage(records: PCollection[Pull], job: Job) -> None:
    """What is done: whose it is, what it means for that person, and what to say now."""
    done = records | "discover who did what" >> Discover("person")
    known = done.events | "identify whose it is" >> Identify(job.secret, job.shards, job.form)
    lives = known.known | "engage each person" >> Engage(job.tenants, job.secret, job.shards, job.form)

    lives.intents | "hand intents to the sender" >> HandOver("intents", job.topics)
    lives.feedback | "give forwards back to the door" >> HandOver("feedback", job.topics)
    (done, known, lives) | "record what was done" >> Record(job.topics)
