"""The production lane's files, which cannot be run here: right as they are, and each way to spoil them is noticed.

Also the parts of the compatibility lane that need no Java.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy.flink.check import PRODUCTION, check
from deploy.flink.cluster import COMPAT, STATES, Cluster, Ports
from deploy.flink.install import Installed, merge
from pipelines.config import ConfigError
from pipelines.flink import Flink, flags, submit
from pipelines.stream import Job
from transforms.sources.journal import JournalSource

BROKEN: dict[str, tuple[str, str, str, str]] = {
    "slow to notice": ("config.yaml", "heartbeat.timeout: 8 s", "heartbeat.timeout: 50 s", "heartbeat.timeout"),
    "slow to send": ("config.yaml", "interval: 5 ms", "interval: 100 ms", "execution.buffer-timeout.interval"),
    "no checkpoints": ("config.yaml", "execution.checkpointing.interval: 3 s\n", "", "checkpointing.interval"),
    "state on one machine": ("config.yaml", "s3://rapport-state/checkpoints", "file:///tmp", "checkpointing.dir"),
    "gives up": ("config.yaml", "backoff: infinite", "backoff: 10", "attempts-before-reset-backoff"),
    "two slots": ("config.yaml", "numberOfTaskSlots: 1", "numberOfTaskSlots: 2", "one Python worker"),
    "unknown backend": ("config.yaml", "type: rocksdb", "type: forst", "state.backend.type"),
    "image without version": ("cluster.yaml", "flink:2.2.1-java17", "flink:latest", "expected a version"),
    "image that nobody names": ("kustomization.yaml", "name: rapport-submit,", "name: other,", "expected a version"),
    "too little memory": ("cluster.yaml", "limits: {memory: 2Gi}", "limits: {memory: 1Gi}", "at least 2g"),
    "no limit": ("cluster.yaml", "            limits: {memory: 5Gi}\n", "", "limit of memory"),
    "too little for shards": ("cluster.yaml", "limits: {memory: 5Gi}", "limits: {memory: 4Gi}", "shards, and 512"),
    "selects nobody": ("cluster.yaml", "selector: {app: rapport, part: job-server}", "selector: {app: x}", "are none"),
    "no worker pool": ("cluster.yaml", "args: [--worker_pool]", "args: []", "--worker_pool on port 50000"),
    "worker elsewhere": ("cluster.yaml", "containerPort: 50000", "containerPort: 50001", "--worker_pool on port 50000"),
    "no such volume": ("cluster.yaml", "- {name: conf, configMap", "- {name: x, configMap", "a volume conf"),
    "no such configuration": ("cluster.yaml", "configMap: {name: rapport-", "configMap: {name: x-", "nothing makes it"),
    "unknown option": ("submit.yaml", "--shards=16", "--shardz=16", "--shardz"),
    "senseless value": ("submit.yaml", "--parallelism=1", "--parallelism=none", "parallelism"),
    "no such job server": ("submit.yaml", "rapport-job-server:8099", "elsewhere:8099", "expected one of the services"),
    "no workers": ("submit.yaml", "--workers=localhost:50000", "--workers=pool:50000", "beside each TaskManager"),
    "another Beam": ("Dockerfile", "sdk:2.77.0", "sdk:2.70.0", "Beam's Python image of 2.77"),
    "by name only": ("Dockerfile", "--require-hashes ", "", "by hash"),
    "root": ("Dockerfile", "USER 10001\n", "", "not root"),
}  # fmt: skip


def test_the_files_are_right() -> None:
    assert check() == []


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_refused(tmp_path: Path, what: str) -> None:
    name, right, wrong, told = BROKEN[what]
    folder = shutil.copytree(PRODUCTION, tmp_path / "production")
    text = (folder / name).read_text("utf-8")
    assert right in text
    (folder / name).write_text(text.replace(right, wrong), "utf-8")
    problems = check(folder)
    assert any(told in problem for problem in problems), problems


def test_every_flag_without_which_a_job_hangs_is_there() -> None:
    given = flags(Flink("localhost:1", parallelism=3, bundle=20))
    assert {"--streaming", "--finish_bundle_before_checkpointing", "--max_bundle_time_mills=20"} <= set(given)
    assert {"--sdk_worker_parallelism=3", "--operator_chaining", "--beam_plugin=pipelines.flink_worker"} <= set(given)
    (environment,) = [text for text in given if text.startswith("--environment_config=")]
    boot = json.loads(environment.partition("=")[2])["command"]
    assert Path(boot).stat().st_mode & 0o111


def test_a_worker_pool_takes_the_place_of_our_own_processes() -> None:
    given = flags(Flink("localhost:1", workers="localhost:50000"))
    assert {"--environment_type=EXTERNAL", "--environment_config=localhost:50000"} <= set(given)


def test_only_a_job_that_ends_lets_its_source_be_shut_down() -> None:
    assert not [flag for flag in flags(Flink("localhost:1")) if "shutdown_sources" in flag]
    assert [flag for flag in flags(Flink("localhost:1", end=True)) if "shutdown_sources" in flag]


@pytest.mark.parametrize(("changes", "told"), [({"parallelism": 0}, "parallelism"), ({"bundle": 4000}, "bundle")])
def test_settings_that_cannot_work_are_refused(changes: dict[str, int], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Flink("localhost:1", **changes)


@pytest.mark.parametrize("address", ["localhost:1", "localhost", "nowhere"])
def test_no_job_server_is_one_sentence(tmp_path: Path, address: str) -> None:
    job = Job({}, b"", None, state="cells")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="job server: expected"):
        submit(JournalSource(tmp_path), job, Flink(address))


def test_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected cells on Flink, got 'rows'"):
        submit(JournalSource(tmp_path), Job({}, b"", None), Flink("localhost:1"))  # type: ignore[arg-type]


def test_jars_become_one_with_the_services_of_all(tmp_path: Path) -> None:
    for name, lines in (("one", "a.First\n"), ("two", "b.Second\na.First\n")):
        with zipfile.ZipFile(tmp_path / f"{name}.jar", "w") as jar:
            jar.writestr("META-INF/services/x.Service", lines)
            jar.writestr("META-INF/KEY.SF", "signed")
            jar.writestr("x/Same.class", name)
    merge([tmp_path / "one.jar", tmp_path / "two.jar"], tmp_path / "all.jar")
    with zipfile.ZipFile(tmp_path / "all.jar") as merged:
        assert merged.read("META-INF/services/x.Service") == b"a.First\nb.Second\n"
        assert merged.read("x/Same.class") == b"one"
        assert "META-INF/KEY.SF" not in merged.namelist()


def test_a_cluster_that_never_started_says_so(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "none")
    assert cluster.processes() == {}
    cluster.down()
    with pytest.raises(LookupError, match="make flink-up"):
        _ = cluster.job_server


def test_an_id_that_belongs_to_somebody_else_is_not_ours(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        (tmp_path / "cluster.json").write_text(json.dumps({"processes": {"jobmanager": stranger.pid}}))
        cluster = Cluster(tmp_path)
        assert cluster.processes() == {}
        cluster.down()
        assert stranger.poll() is None
        stranger.communicate(b"\n")


def test_what_was_started_is_stopped_even_if_its_folder_is_gone(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "cluster")
    (cluster.folder / "log").mkdir(parents=True)
    cluster._start("jobmanager", [sys.executable, "-c", "import time; time.sleep(600)"])
    (pid,) = cluster.processes().values()
    shutil.rmtree(cluster.folder)
    cluster.down()
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("state", STATES)
def test_the_compatibility_lane_keeps_the_same_promises(tmp_path: Path, state: str) -> None:
    flink = tmp_path / "flink"
    (flink / "conf").mkdir(parents=True)
    for name in ("log4j-console.properties", "log4j-cli.properties"):
        (flink / "conf" / name).touch()
    cluster = Cluster(tmp_path / "cluster")
    cluster.folder.mkdir()
    cluster._configure(Installed(flink, tmp_path).flink, state, Ports.free())
    text = (cluster.folder / "conf" / "config.yaml").read_text()
    assert "heartbeat.timeout: 8000" in text
    assert "execution.buffer-timeout.interval: 5 ms" in text
    keys = [line.partition(":")[0] for line in text.splitlines() if line and line[0] not in "# "]
    assert len(keys) == len(set(keys))
    assert (COMPAT / f"{state}.yaml").read_text() in text
