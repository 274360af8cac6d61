"""Where the door journals: the embedded journal of its data folder, or a topic that several doors write."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pipelines.config import Config
from schemas.records import Entry
from transforms.logic.suppress import Change
from transforms.stores.journal import Appender, Journal


def open_journal(config: Config, telling: Callable[[Entry], Iterable[Change]]) -> Appender:
    """The door's side of the journal. `telling` says what a journaled entry changes about who may be written to.

    Raises LogBusy if another door writes there, BrokerError if no broker answers.
    """
    if not config.kafka:
        return Journal(config.folder("journal"), sync=config.sync, keep=config.keep_for)
    from transforms.topics.journal import KafkaJournal

    return KafkaJournal(config.kafka, config.topics, config.folder("journal"), config.secret(), telling)
