"""A Flink cluster of this machine: JobManager, TaskManagers and Beam's job server as processes that are ours to stop.

Everything of it lives in one folder: configuration, logs, checkpoints, savepoints and the ids of its processes, so a
later command finds what an earlier one started.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.flink.install import Installed, Say
from deploy.flink.rest import Refused, Rest, wait

COMPAT = Path(__file__).parent / "compat"
STATES = ("heap", "rocksdb")
READY = 60
"""Seconds that a part has to get ready."""
JOBMANAGER, TASKMANAGER, JOB_SERVER = "jobmanager", "taskmanager", "job-server"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the parts listen, on loopback only."""

    rest: int
    rpc: int
    jobs: int
    artifacts: int

    @classmethod
    def free(cls) -> Ports:
        """Four ports that nobody has now."""
        with contextlib.ExitStack() as held:
            sockets = [held.enter_context(socket.socket()) for _ in range(4)]
            for each in sockets:
                each.bind(("127.0.0.1", 0))
            return cls(*(each.getsockname()[1] for each in sockets))


class Cluster:
    """The cluster whose folder this is, started or not."""

    def __init__(self, folder: Path, say: Say = lambda _: None) -> None:
        self.folder = folder.absolute()
        self._say = say
        self._file = self.folder / "cluster.json"
        self._started: list[subprocess.Popen[bytes]] = []  # kept: Python complains of one forgotten while it runs

    # --- what runs ----------------------------------------------------------------------------------------------------

    def processes(self) -> dict[str, int]:
        """The ids of our processes that live, by their names."""
        return {name: pid for name, pid in self._read()["processes"].items() if _lives(pid, self.folder)}

    @property
    def ports(self) -> Ports:
        """Raises LookupError if the cluster was never started."""
        if not self._file.exists():
            raise LookupError(f"expected a cluster in {self.folder}, there is none; start one first (make flink-up)")
        return Ports(**self._read()["ports"])

    @property
    def rest(self) -> Rest:
        return Rest(f"http://localhost:{self.ports.rest}")

    @property
    def job_server(self) -> str:
        """The job server's address."""
        return f"localhost:{self.ports.jobs}"

    @property
    def savepoints(self) -> Path:
        return self.folder / "savepoints"

    # --- starting -----------------------------------------------------------------------------------------------------

    def up(self, installed: Installed, state: str = "heap", ports: Ports | None = None) -> None:
        """Start everything and wait until it is ready. Raises Refused if it is not, FileExistsError if it runs."""
        if running := self.processes():
            raise FileExistsError(f"expected no cluster in {self.folder}, but {', '.join(running)} run; stop it first")
        ports = ports or Ports.free()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write({"processes": {}, "ports": _fields(ports), "flink": str(installed.flink)})
        self._configure(installed.flink, state, ports)
        self._flink(JOBMANAGER, "jobmanager.sh")
        self.add_taskmanager()
        self._start(JOB_SERVER, _job_server(installed, ports, self.folder))
        wait("Flink's TaskManager", self.rest.slots, READY)
        wait("Beam's job server", lambda: _listens(ports.jobs), READY)
        self._say(f"Flink is ready: http://localhost:{ports.rest} (job server {self.job_server}, state on {state})")

    def add_taskmanager(self) -> str:
        """Start one more TaskManager; its name."""
        running = self.processes()
        name = next(name for n in range(99) if (name := f"{TASKMANAGER}-{n}") not in running)
        self._flink(name, "taskmanager.sh")
        return name

    def kill(self, name: str) -> None:
        """kill -9, as a machine would be lost."""
        os.kill(self.processes()[name], signal.SIGKILL)

    def _configure(self, flink: Path, state: str, ports: Ports) -> None:
        """Our settings, the state's, and what is of this machine; the logging is Flink's own."""
        places = {
            "rest.port": ports.rest,
            "jobmanager.rpc.port": ports.rpc,
            "state.checkpoints.dir": (self.folder / "checkpoints").as_uri(),
            "state.savepoints.dir": self.savepoints.as_uri(),
            "io.tmp.dirs": self.folder / "tmp",
        }
        conf = self.folder / "conf"
        for folder in (conf, self.folder / "log", self.folder / "tmp", self.savepoints):
            folder.mkdir(exist_ok=True)
        parts = [(COMPAT / f"{name}.yaml").read_text("utf-8") for name in ("config", state)]
        text = "\n".join([*parts, *(f"{key}: {value}" for key, value in places.items())]) + "\n"
        (conf / "config.yaml").write_text(text, "utf-8")
        for name in ("log4j-console.properties", "log4j-cli.properties"):
            (conf / name).write_bytes((flink / "conf" / name).read_bytes())

    def _flink(self, name: str, script: str) -> None:
        self._start(name, [str(self._flink_home() / "bin" / script), "start-foreground"])

    def _flink_home(self) -> Path:
        return Path(str(self._read()["flink"]))

    def _start(self, name: str, command: Sequence[str]) -> None:
        """Start a process that outlives this one; Flink's scripts become the JVM, so the id stays right."""
        self._say(f"starting {name} …")
        conf = str(self.folder / "conf")
        environment = {**os.environ, "FLINK_CONF_DIR": conf, "FLINK_LOG_DIR": str(self.folder / "log")}
        environment.pop("FLINK_HOME", None)
        with (self.folder / "log" / f"{name}.out").open("ab") as out:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=self.folder,
                start_new_session=True,
            )
        self._started.append(process)
        known = self._read()
        known["processes"][name] = process.pid
        self._write(known)

    # --- stopping -----------------------------------------------------------------------------------------------------

    def down(self) -> None:
        """Stop every process of ours: asked first, killed after ten seconds. Does nothing where nothing runs."""
        running = self.processes()
        for name, pid in running.items():
            self._say(f"stopping {name} ({pid}) …")
            os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(Refused):
            wait("the end of all processes", lambda: not self.processes(), 10)
        for pid in self.processes().values():
            os.kill(pid, signal.SIGKILL)
        for process in self._started:  # also where somebody has taken the folder away
            process.kill()
            process.wait()

    def _read(self) -> dict[str, Any]:
        if not self._file.exists():
            return {"processes": {}}
        found: dict[str, Any] = json.loads(self._file.read_bytes())
        return found

    def _write(self, known: object) -> None:
        self._file.write_text(json.dumps(known, indent=1), "utf-8")


def _fields(ports: Ports) -> dict[str, int]:
    return {name: getattr(ports, name) for name in Ports.__slots__}


def _job_server(installed: Installed, ports: Ports, folder: Path) -> list[str]:
    options = {
        "flink-master": f"localhost:{ports.rest}",
        "flink-conf-dir": folder / "conf",
        "job-host": "localhost",
        "job-port": ports.jobs,
        "artifact-port": ports.artifacts,
        "expansion-port": -1,
        "artifacts-dir": folder / "artifacts",
    }
    given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return ["java", "-Xmx512m", "-jar", str(installed.job_server), *given]


def _listens(port: int) -> bool:
    with socket.socket() as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0


def _lives(pid: int, folder: Path) -> bool:
    """Whether a process is alive and still ours: ids come again, so its working folder must be the cluster's."""
    with contextlib.suppress(ChildProcessError, OSError):
        os.waitpid(pid, os.WNOHANG)
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" and Path(f"/proc/{pid}/cwd").resolve() == folder
    except OSError:
        return False
