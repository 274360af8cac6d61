"""Kafka under Beam's own unbounded read: every record once, a reader a partition, offsets committed behind it."""

from __future__ import annotations

from apache_beam.pvalue import PCollection
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from engine_runs import collected
from sources import KafkaRig, names

from transforms.sources.firehose import Firehose
from transforms.sources.kafka import close_all
from transforms.sources.offsets import committed


def test_a_runner_reads_all_partitions_to_their_ends_and_commits(kafka_mock: str) -> None:
    rig = KafkaRig(kafka_mock)
    for part in range(4):
        rig.append([f"{part}-{number}" for number in range(300)], part)
    source = rig.source(end=True, group="beam")

    def read(pipeline: object) -> dict[str, PCollection]:
        return {"pulls": pipeline | "read the journal" >> Firehose(source)}

    pulls = collected(read, FnApiRunner())["pulls"]
    close_all()
    found = [name for pull in pulls for name in names(pull.items)]
    assert sorted(found) == sorted(f"{part}-{number}" for part in range(4) for number in range(300))
    assert committed(kafka_mock, "beam", rig.topic, 4) == [301] * 4
