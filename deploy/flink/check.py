"""Check the files of the production lane, which cannot be run here: `python -m deploy.flink.check`.

Finds what a cluster would find late or never: settings that lose the promises of the design, images without a version,
names that nothing answers to, memory that does not fit, options that our command does not know.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from transforms.held import HELD

PRODUCTION = Path(__file__).parent / "production"
SETUP = Path(__file__).parents[2] / "setup.py"
UNITS = {"": 0.001, "ms": 0.001, "s": 1.0, "min": 60.0}
"""Seconds of each unit of time; Flink takes a bare number for milliseconds."""
SIZES = {"m": 1, "mi": 1, "g": 1024, "gi": 1024}
AT_MOST = {
    "heartbeat.interval": 2.0,
    "heartbeat.timeout": 10.0,
    "execution.buffer-timeout.interval": 0.005,
    "execution.checkpointing.interval": 5.0,
}
"""Seconds above which a promise is lost: recovery within 15 s, messages within a second, timely acknowledgement."""
SHARED = (
    "execution.checkpointing.dir",
    "execution.checkpointing.savepoint-dir",
    "high-availability.storageDir",
)
"""Places that another machine must reach after this one is lost."""
ONE_OF = {
    "state.backend.type": ("hashmap", "rocksdb"),
    "restart-strategy.type": ("exponential-delay",),
    "high-availability.type": ("kubernetes", "zookeeper"),
    "execution.checkpointing.externalized-checkpoint-retention": ("RETAIN_ON_CANCELLATION",),
    "restart-strategy.exponential-delay.attempts-before-reset-backoff": ("infinite",),
}
WORKER = (HELD.limit >> 20) + 512
"""Megabytes of a Python worker: the shards that it keeps, and what it takes itself."""
Objects = list[dict[str, Any]]


def check(folder: Path = PRODUCTION) -> list[str]:
    """What is wrong with the files, one sentence each; empty if nothing is."""
    config = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
    objects = [
        found
        for name in ("cluster.yaml", "submit.yaml")
        for found in yaml.safe_load_all((folder / name).read_text("utf-8"))
    ]
    custom = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    return [
        *settings(config),
        *images(objects, custom),
        *names(objects, custom),
        *memory(objects, config),
        *workers(objects),
        *submission(objects),
        *dockerfile((folder / "Dockerfile").read_text("utf-8")),
    ]


def settings(config: dict[str, Any]) -> Iterator[str]:
    """Flink's configuration."""
    for key, most in AT_MOST.items():
        if key not in config or not 0 < seconds(config[key]) <= most:
            yield f"config.yaml: {key}: expected at most {most:g} s, got {config.get(key)}"
    for key, values in ONE_OF.items():
        if config.get(key) not in values:
            yield f"config.yaml: {key}: expected {' or '.join(values)}, got {config.get(key)}"
    for key in SHARED:
        if "://" not in str(config.get(key, "")) or str(config[key]).startswith("file:"):
            yield f"config.yaml: {key}: expected a place that all machines reach, got {config.get(key)}"
    if config.get("taskmanager.numberOfTaskSlots") != 1:
        yield "config.yaml: taskmanager.numberOfTaskSlots: expected 1, for one Python worker stands beside it"


def seconds(text: Any) -> float:
    """A duration as Flink writes it; 0 if it is none."""
    found = re.fullmatch(r"(\d+) ?(ms|s|min|)", str(text))
    return int(found[1]) * UNITS[found[2]] if found else 0.0


def containers(objects: Objects) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each container with the name of what it is part of, and its pod."""
    for found in objects:
        pod = found.get("spec", {}).get("template", {}).get("spec", {})
        for container in pod.get("containers", ()):
            yield f"{found['metadata']['name']}/{container['name']}", container, pod


def images(objects: Objects, custom: dict[str, Any]) -> Iterator[str]:
    """Every image has one version."""
    tags = {image["name"]: str(image.get("newTag", "")) for image in custom.get("images", ())}
    for where, container, _ in containers(objects):
        name, _, tag = container["image"].partition(":")
        tag = tag or tags.get(name, "")
        if not re.match(r"\d", tag):
            yield f"{where}: image: expected a version, got {tag or 'none'} of {name}"


def names(objects: Objects, custom: dict[str, Any]) -> Iterator[str]:
    """What is referred to is there: labels, configuration, volumes, services."""
    made = {each["name"] for each in custom.get("configMapGenerator", ())} | {"rapport-workspace"}
    labels = [
        found["spec"]["template"]["metadata"]["labels"] for found in objects if "template" in found.get("spec", {})
    ]
    for found in objects:
        name, spec = found["metadata"]["name"], found.get("spec", {})
        wanted = spec.get("selector", {})
        wanted = wanted.get("matchLabels", wanted)
        if wanted and not any(wanted.items() <= each.items() for each in labels):
            yield f"{name}: selector: expected pods with {wanted}, there are none"
    for where, container, pod in containers(objects):
        volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
        for mount in container.get("volumeMounts", ()):
            if mount["name"] not in volumes:
                yield f"{where}: volumeMounts: expected a volume {mount['name']}, there is none"
        for volume in volumes.values():
            if volume.get("configMap", {}).get("name", "rapport-workspace") not in made:
                yield f"{where}: expected the config map {volume['configMap']['name']}, nothing makes it"


def memory(objects: Objects, config: dict[str, Any]) -> Iterator[str]:
    """Every container says what it needs, and Flink's processes fit into theirs."""
    for where, container, _ in containers(objects):
        resources = container.get("resources", {})
        limit = megabytes(resources.get("limits", {}).get("memory"))
        if not limit or "cpu" not in resources.get("requests", {}):
            yield f"{where}: resources: expected a request of cpu and a limit of memory"
        process = config.get(f"{container['name']}.memory.process.size")
        if process and megabytes(process) > limit:
            yield f"{where}: resources: expected a limit of at least {process}, got {limit} MiB"
        if "--worker_pool" in container.get("args", ()) and limit < WORKER:
            yield f"{where}: resources: expected a limit of at least {WORKER} MiB (shards, and 512 MiB beside them)"


def megabytes(text: Any) -> int:
    """A size as Flink or Kubernetes writes it; 0 if it is none."""
    found = re.fullmatch(r"(\d+)(mi?|gi?)", str(text).lower())
    return int(found[1]) * SIZES[found[2]] if found else 0


def workers(objects: Objects) -> Iterator[str]:
    """Beside each TaskManager there is a pool of Python workers, where the job looks for it."""
    pods = [pod for where, _, pod in containers(objects) if where.endswith("/taskmanager")]
    if not pods:
        yield "cluster.yaml: expected a container taskmanager, there is none"
    for pod in pods:
        pools = [each for each in pod["containers"] if "--worker_pool" in each.get("args", ())]
        if [port["containerPort"] for pool in pools for port in pool.get("ports", ())] != [50000]:
            yield "taskmanager: expected one container beside it with --worker_pool on port 50000"


def submission(objects: Objects) -> Iterator[str]:
    """The job's command has options that our program knows, with values that it takes."""
    import click

    from pipelines.__main__ import cli

    services = {found["metadata"]["name"] for found in objects if found["kind"] == "Service"}
    for where, container, _ in containers(objects):
        command, *given = container.get("args") or [""]
        if command != "submit":
            continue
        chosen = dict(text.removeprefix("--").split("=", 1) for text in given)
        if chosen.get("job-server", "").partition(":")[0] not in services:
            yield f"{where}: --job-server: expected one of the services, got {chosen.get('job-server')}"
        if chosen.get("workers") != "localhost:50000":
            yield f"{where}: --workers: expected localhost:50000, the pool beside each TaskManager"
        try:  # folders are those of the image
            known = [text for text in given if not text.startswith(("--workspace", "--data"))]
            cli.commands["submit"].make_context("submit", known)
        except click.ClickException as error:
            yield f"{where}: {error.format_message()}"


def dockerfile(text: str) -> Iterator[str]:
    """The image: Beam's of the version that we need, dependencies by hash, nobody is root."""
    wanted = re.search(r"apache-beam>=([\d.]+)", SETUP.read_text("utf-8"))
    version = wanted[1] if wanted else "?"
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    stages = re.findall(r"^FROM \S+ AS (\S+)", text, re.MULTILINE)
    for base in bases:
        if base not in stages and not re.fullmatch(rf"apache/beam_python3\.\d+_sdk:{re.escape(version)}\.\d+", base):
            yield f"Dockerfile: FROM: expected Beam's Python image of {version}, got {base}"
    if "--require-hashes" not in text:
        yield "Dockerfile: expected dependencies by hash (--require-hashes)"
    if not re.search(r"^USER \d{4,}", text, re.MULTILINE):
        yield "Dockerfile: expected a USER by number that is not root"
    if '"--worker_pool"' not in text:
        yield "Dockerfile: expected a worker pool (--worker_pool)"


def main() -> None:
    """Print what is wrong; the exit status says whether anything is."""
    problems = check()
    sys.stdout.write("".join(f"{problem}\n" for problem in problems) or "nothing is wrong\n")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
