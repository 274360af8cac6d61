"""Fetch what the compatibility lane runs on: Flink from PyPI, Beam's job server from Maven, once, into a cache folder.

What is there stays there: a second call takes no time. A step that was cut off is done anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

FLINK = "1.19.3"
PACKAGES = (f"apache-flink=={FLINK}", f"apache-flink-libraries=={FLINK}")
POM = Path(__file__).parent / "compat" / "pom.xml"
MAIN = "org.apache.beam.runners.flink.FlinkJobServerDriver"
OPENED = ("lang", "util", "nio", "time", "net", "util.concurrent")
SIGNATURES = (".SF", ".RSA", ".DSA", ".EC")
SERVICES = "META-INF/services/"
MANIFEST = "META-INF/MANIFEST.MF"

Say = Callable[[str], None]


class Missing(RuntimeError):
    """Something that must be there is not: says what, and what to do."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A complete Flink distribution, and Beam's job server as one jar."""

    flink: Path
    job_server: Path


def cache() -> Path:
    """Where downloads are kept: $RAPPORT_CACHE, or the user's cache folder."""
    return Path(os.environ.get("RAPPORT_CACHE") or Path.home() / ".cache" / "rapport")


def missing() -> str:
    """What this machine lacks to run the lane, empty if nothing: Java, and Maven unless all is fetched already."""
    if not shutil.which("java"):
        return "java (version 11 or 17) is not on PATH"
    if not _job_server().exists() and not shutil.which("mvn"):
        return "mvn (Maven) is not on PATH"
    return ""


def install(say: Say) -> Installed:
    """Fetch what is not there yet, about a minute; `say` hears of each step. Raises Missing."""
    if lacking := missing():
        raise Missing(f"expected everything that the compatibility lane needs, but {lacking}; install it first")
    folder = cache()
    folder.mkdir(parents=True, exist_ok=True)
    flink, jar = folder / f"flink-{FLINK}", _job_server()
    _once(flink, f"Flink {FLINK} from PyPI", _fetch_flink, say)
    _once(jar, "Beam's job server from Maven", _fetch_job_server, say)
    return Installed(flink / "pyflink", jar)


def _job_server() -> Path:
    """The official job server, where $FLINK_JOB_SERVER_JAR names one, or ours."""
    return Path(os.environ.get("FLINK_JOB_SERVER_JAR") or cache() / "beam-flink-1.19-job-server.jar")


def _once(target: Path, what: str, fetch: Callable[[Path], None], say: Say) -> None:
    """Make `target` whole or not at all."""
    if target.exists():
        say(f"{what}: there")
        return
    say(f"{what}: fetching …")
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        fetch(partial)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True) if partial.is_dir() else partial.unlink(missing_ok=True)
    say(f"{what}: done")


def _fetch_flink(target: Path) -> None:
    """The scripts are in one package and the jars in the other; together they are a whole distribution."""
    by_pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    by_uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet"]
    has_pip = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0
    _call([*(by_pip if has_pip else by_uv), "--no-deps", "--target", str(target), *PACKAGES])
    for script in (target / "pyflink" / "bin").glob("*.sh"):
        script.chmod(0o755)


def _fetch_job_server(target: Path) -> None:
    jars = target.with_suffix(".jars")
    goal = ("dependency:copy-dependencies", f"-DoutputDirectory={jars}", "-DincludeScope=runtime")
    try:
        _call(["mvn", "--quiet", "--batch-mode", "--file", str(POM), *goal])
        merge(sorted(jars.glob("*.jar"), key=_precedence), target)
    finally:
        shutil.rmtree(jars, ignore_errors=True)


def _precedence(jar: Path) -> tuple[int, str]:
    """Where two jars have the same file, Beam's Flink runner wins, then the rest of Beam."""
    return 0 if "beam-runners-flink" in jar.name else 1 if jar.name.startswith("beam-") else 2, jar.name


def merge(jars: Sequence[Path], target: Path) -> None:
    """One runnable jar of many. Lists of services are joined, signatures dropped: they no longer fit."""
    services: dict[str, list[str]] = {}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as merged:
        opens = " ".join(f"java.base/java.{name}" for name in OPENED)
        merged.writestr(
            MANIFEST, f"Manifest-Version: 1.0\nMain-Class: {MAIN}\nMulti-Release: true\nAdd-Opens: {opens}\n\n"
        )
        taken = {MANIFEST}
        for jar in jars:
            with zipfile.ZipFile(jar) as source:
                for name in source.namelist():
                    if name.startswith(SERVICES) and not name.endswith("/"):
                        services.setdefault(name, []).extend(source.read(name).decode().splitlines())
                    elif name not in taken and _belongs(name):
                        taken.add(name)
                        merged.writestr(name, source.read(name))
        for name, lines in services.items():
            merged.writestr(name, "\n".join(dict.fromkeys(line for line in lines if line.strip())) + "\n")


def _belongs(name: str) -> bool:
    signed = name.upper().startswith("META-INF/") and name.upper().endswith(SIGNATURES)
    return not (signed or name.endswith(("/", "module-info.class")))


def _call(command: Sequence[str]) -> None:
    """Run a tool. Raises Missing with the end of what it said."""
    answer = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if answer.returncode:
        said = (answer.stdout + answer.stderr).strip()[-2000:]
        raise Missing(f"expected `{Path(command[0]).name}` to fetch what is needed, it ended with:\n{said}")
