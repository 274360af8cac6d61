"""Flink's REST interface: what the cluster knows of its jobs, and what it is asked to do with them."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

RUNNING = ("CREATED", "RUNNING", "RESTARTING", "INITIALIZING", "FAILING")
PAUSE = 0.1


class Refused(RuntimeError):
    """Flink did not do what it was asked for: says what it was, and what Flink answered."""


def wait(what: str, found: Callable[[], T | None], seconds: float) -> T:
    """The first answer that is something. Raises Refused after `seconds`."""
    until = time.monotonic() + seconds
    while True:
        if answer := found():
            return answer
        if time.monotonic() > until:
            raise Refused(f"expected {what} within {seconds:g} s; see the logs")
        time.sleep(PAUSE)


@dataclass(frozen=True, slots=True)
class Rest:
    """The REST interface at an address such as http://localhost:8081."""

    address: str

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """One call; the answer's JSON. Raises OSError if nobody answers, Refused if Flink says no."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            raise Refused(
                f"{path}: expected Flink to do it, it answered {error.code}: {error.read()[:500]!r}"
            ) from None

    def slots(self) -> int:
        """How many task slots are registered; 0 while nobody answers."""
        try:
            return int(self.ask("/overview")["slots-total"])
        except (OSError, Refused):
            return 0

    def jobs(self) -> dict[str, str]:
        """The state of each job that has not ended, by id."""
        found = self.ask("/jobs/overview")["jobs"]
        return {job["jid"]: job["state"] for job in found if job["state"] in RUNNING}

    def only_job(self) -> str:
        """The one job that runs. Raises Refused if it is none, or several."""
        jobs = list(self.jobs())
        if len(jobs) != 1:
            raise Refused(f"expected one job in the cluster, there are {len(jobs)}")
        return jobs[0]

    def runs(self, job: str) -> bool:
        """Whether all tasks of a job run."""
        return all(vertex["status"] == "RUNNING" for vertex in self.ask(f"/jobs/{job}")["vertices"])

    def checkpoints(self, job: str) -> dict[str, Any]:
        """What Flink tells of the job's checkpoints."""
        found: dict[str, Any] = self.ask(f"/jobs/{job}/checkpoints")
        return found

    def stop(self, job: str, folder: Path, seconds: float = 120) -> str:
        """Stop a job with a savepoint in `folder`; its place. Waits until all tasks run: before, Flink refuses."""
        wait("all tasks of the job to run", lambda: self.runs(job), seconds)
        request = self.ask(f"/jobs/{job}/stop", {"targetDirectory": folder.absolute().as_uri(), "drain": False})
        path = f"/jobs/{job}/savepoints/{request['request-id']}"

        def ended() -> dict[str, Any] | None:
            answer = self.ask(path)
            return answer["operation"] if answer["status"]["id"] == "COMPLETED" else None

        operation = wait("the savepoint", ended, seconds)
        if "location" not in operation:
            raise Refused(f"expected a savepoint, Flink answered {str(operation)[:1500]}")
        return str(operation["location"])

    def cancel(self, job: str) -> None:
        """End a job and forget its place."""
        self.ask(f"/jobs/{job}?mode=cancel", method="PATCH")
