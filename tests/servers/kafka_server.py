"""A real Kafka broker on free ports of this machine: one node, no ZooKeeper, its jars fetched once from Maven.

    with KafkaServer(folder) as server: ... server.address

Jars are kept under $RAPPORT_SERVERS (default ~/.cache/rapport). A machine without `java` or `mvn` has no broker.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

VERSION = "3.9.0"
CACHE = Path(os.environ.get("RAPPORT_SERVERS", Path.home() / ".cache" / "rapport"))
PATIENCE = 180.0
_CLUSTER = "cmFwcG9ydC10ZXN0cy0wMA"
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>rapport</groupId><artifactId>kafka-for-tests</artifactId><version>1</version><packaging>pom</packaging>
<dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
<version>{VERSION}</version></dependency></dependencies></project>
"""
_SETTINGS = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
num.partitions=4
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.retention.check.interval.ms=500
log.segment.delete.delay.ms=100
log.initial.task.delay.ms=500
"""


def missing() -> str:
    """Why this machine cannot start a broker; empty if it can. Fetches it, if it was not here yet."""
    lacks = [name for name in ("java", "mvn") if not shutil.which(name)]
    if "mvn" in lacks and _jars().exists():
        lacks.remove("mvn")
    if lacks:
        return f"Kafka is not started: {' and '.join(lacks)} not installed"
    try:
        fetch()
    except RuntimeError as error:
        return f"Kafka is not started: {error}"
    return ""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class KafkaServer:
    """One broker over one folder; `start` after `kill` goes on with what its log kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._port, self._controller = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start, and return once it answers. Raises RuntimeError with the end of its log."""
        jars = fetch()
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self.folder / "server.properties"
        if not settings.exists():
            data = self.folder / "log"
            settings.write_text(_SETTINGS.format(port=self._port, controller=self._controller, data=data))
            self._java(jars, "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(settings)).wait()
        self._process = self._java(jars, "kafka.Kafka", str(settings))
        self._wait()

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, as a broker dies."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it hang, alive and silent."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _java(self, jars: Path, *words: str) -> subprocess.Popen[bytes]:
        command = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", f"{jars}/*", *words]
        with (self.folder / "kafka.log").open("ab") as log:
            return subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)

    def _wait(self) -> None:
        client = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        giving_up = time.monotonic() + PATIENCE
        while time.monotonic() < giving_up and self._process is not None and self._process.poll() is None:
            try:
                if client.list_topics(timeout=1).brokers:
                    return
            except KafkaException:
                continue
        log = (self.folder / "kafka.log").read_text(errors="replace")[-2_000:]
        self.kill()
        raise RuntimeError(f"expected Kafka to answer on {self.address}, it said:\n{log}")


def fetch() -> Path:
    """The folder of the jars, fetched once. Raises RuntimeError if Maven cannot bring them."""
    jars = _jars()
    if jars.exists():
        return jars
    fresh = jars.with_name(f"{jars.name}.{os.getpid()}")
    fresh.mkdir(parents=True)
    (fresh / "pom.xml").write_text(_POM)
    words = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={fresh / 'lib'}"]
    told = subprocess.run(["mvn", "-q", "-B", *words], cwd=fresh, capture_output=True, text=True, check=False)
    if told.returncode:
        shutil.rmtree(fresh)
        raise RuntimeError(f"expected Maven to bring Kafka {VERSION}, it said:\n{told.stdout[-2_000:]}")
    (fresh / "lib").rename(jars)
    shutil.rmtree(fresh)
    return jars


def _jars() -> Path:
    return CACHE / f"kafka-{VERSION}"
