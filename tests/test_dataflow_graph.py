"""The graph as it would be handed to Dataflow: built for its runner, looked at, and not run, for want of an account."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from apache_beam import Create, ParDo, Pipeline
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from engine_runs import collected
from engine_stages import START, Listed, block, entry

from deploy.dataflow.job import Dataflow, flags, pipeline_of, submit
from models.registry import Models
from pipelines.config import SAMPLE, ConfigError
from pipelines.stream import Job
from pipelines.workspace import load
from schemas.codec import pack_many
from transforms.batches import Pull
from transforms.sources.dataflow import AsPull
from transforms.sources.firehose import Firehose
from transforms.sources.pubsub import PubSubSource
from transforms.topics.pubsub import PubSubTopics

ROOT = Path(__file__).parent.parent
SOURCE = PubSubSource("our-project", "rapport.records")
WHERE = Dataflow("our-project", "europe-west3", "gs://our-bucket/rapport", "registry.example/rapport:1")
READ = "beam:transform:pubsub_read:v1"
UNBOUNDED = "beam:transform:sdf_process_keyed_elements:v1"


def job(**changes: Any) -> Job:
    settings = {"shards": 4, "state": "cells", "topics": PubSubTopics("our-project")} | changes
    return Job(load(SAMPLE).tenants, bytes(32), Models(), **settings)


@pytest.fixture(scope="module")
def graph() -> Any:
    return pipeline_of(SOURCE, job(), WHERE).to_runner_api()


def steps(graph: Any) -> list[Any]:
    return [each for each in graph.components.transforms.values() if not each.subtransforms]


def payloads(graph: Any) -> dict[str, Any]:
    """What each ParDo of the graph keeps, by the name of its step."""
    found = {}
    for each in steps(graph):
        if each.spec.urn == "beam:transform:pardo:v1":
            found[each.unique_name] = beam_runner_api_pb2.ParDoPayload.FromString(each.spec.payload)
    return found


def test_dataflow_reads_the_subscription_in_its_service_and_with_ids(graph: Any) -> None:
    (read,) = [each for each in steps(graph) if each.spec.urn == READ]
    payload = beam_runner_api_pb2.PubSubReadPayload.FromString(read.spec.payload)
    assert (payload.subscription, payload.with_attributes) == (SOURCE.path, True)
    assert not any("_ReadFromUnboundedSource" in each.unique_name for each in steps(graph))


def test_identify_engage_and_classify_keep_state_there_and_engage_has_a_timer(graph: Any) -> None:
    keeping = {name: each for name, each in payloads(graph).items() if each.state_specs}
    stages = {name.split("/")[0] for name in keeping}
    assert stages == {"identify whose it is", "engage each person", "classify what was said"}
    assert any(each.timer_family_specs for name, each in keeping.items() if name.startswith("engage"))


def test_the_graph_uses_only_what_runs_everywhere(graph: Any) -> None:
    urns = {each.spec.urn for each in steps(graph)}
    assert urns <= {READ, "beam:transform:pardo:v1", "beam:transform:flatten:v1"}
    assert not any(each.side_inputs for each in payloads(graph).values())


def test_elsewhere_the_same_source_is_read_by_our_own_reader() -> None:
    pipeline = Pipeline(FnApiRunner(), PipelineOptions([]))
    pulls = pipeline | Firehose(SOURCE)
    assert pulls.element_type is Pull
    urns = {each.spec.urn for each in steps(pipeline.to_runner_api())}
    assert READ not in urns
    assert SOURCE.read_by("FnApiRunner") is None


def test_other_sources_are_not_asked() -> None:
    pipeline = Pipeline(options=PipelineOptions(flags(WHERE)))
    pulls = pipeline | Firehose(Listed((block(0, 0, entry("a")),)))
    assert pulls.element_type is Pull


def test_a_message_of_dataflow_is_a_pull_and_a_tick_is_none() -> None:
    data = pack_many([entry("a"), entry("b")])
    messages = [PubsubMessage(data, {}, message_id="7"), PubsubMessage(b"", {"tick": "1"}, message_id="8")]
    stamped = [TimestampedValue(each, Timestamp(micros=START)) for each in messages]
    pulls = collected(
        lambda pipeline: {"pulls": pipeline | Create(stamped, reshuffle=False) | ParDo(AsPull())}, FnApiRunner()
    )["pulls"]
    (block_,) = [each for pull in pulls for each in pull.items]
    assert (block_.received_at, block_.entries) == (START, [entry("a"), entry("b")])


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"state": "rows"}, "expected cells on Dataflow, got 'rows'"), ({"topics": None}, "expected topics")],
)
def test_a_job_that_dataflow_cannot_run_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        pipeline_of(SOURCE, job(**changes), WHERE)


def test_settings_that_cannot_work_are_refused_before_anything_is_sent() -> None:
    with pytest.raises(ConfigError, match="gs://BUCKET/FOLDER"):
        Dataflow("our-project", "europe-west3", "/tmp/staging", "image")
    with pytest.raises(ConfigError, match="1 to 2"):
        Dataflow("our-project", "europe-west3", "gs://our-bucket", "image", workers=3, most=2)


def test_without_beam_s_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.dataflow.job.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'rapport\[dataflow\]'"):
        submit(SOURCE, job(), WHERE)


def test_every_option_is_one_that_beam_knows() -> None:
    known = PipelineOptions(flags(WHERE)).get_all_options(retain_unknown_options=False)
    asked = {flag.removeprefix("--").removeprefix("no_").partition("=")[0] for flag in flags(WHERE)}
    assert asked <= known.keys()
    assert (known["sdk_container_image"], known["use_public_ips"]) == (WHERE.image, False)


def test_the_image_has_what_the_job_needs() -> None:
    text = (ROOT / "deploy/dataflow/Dockerfile").read_text(encoding="utf-8")
    copied = set(re.findall(r"^COPY (\w+) \1$", text, re.MULTILINE))
    assert copied == {"schemas", "models", "transforms", "pipelines"}
    assert "beam_python3.11_sdk:2.77." in text
