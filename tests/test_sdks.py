"""Real SDKs, from the registries, tell one story to a real door; what reaches the job is one story, whoever told it.

Needs node and npm, and installs the SDKs once into a folder of their own ($RAPPORT_SDKS, else ~/.cache/rapport/sdks).
RAPPORT_RECORD=1 keeps what they send as `tests/golden/families/*.json`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from doorway import BROWSER, SERVER
from recording import Recording, recording
from served import served
from story_told import EXPECTED, STORY, told

from pipelines.receive import PATHS
from schemas.records import Block
from transforms.logic.discover import PERSON, discover
from transforms.sources.journal import JournalSource

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).parent
HOME = Path(os.environ.get("RAPPORT_SDKS", Path.home() / ".cache" / "rapport" / "sdks"))
NPM = {
    "@rudderstack/rudder-sdk-node": "3.0.13",
    "@rudderstack/analytics-js": "3.34.1",
    "posthog-node": "5.70.0",
    "posthog-js": "1.449.2",
    "@jitsu/js": "1.11.0",
    "@snowplow/node-tracker": "4.8.0",
    "@snowplow/browser-tracker": "4.10.1",
    "@snowplow/browser-plugin-snowplow-ecommerce": "4.10.2",
    "jsdom": "26.1.0",
}
PYPI = {"rudder-sdk-python": "2.1.9", "posthog": "7.91.1", "snowplow-tracker": "1.1.0"}
RUNS: dict[str, tuple[str, list[str], str]] = {
    "rudder-node": ("rudder_node.cjs", [], "@rudderstack/rudder-sdk-node"),
    "rudder-python": ("rudder_python.py", [], "rudder-sdk-python"),
    "rudder-web": ("web.cjs", ["rudder"], "@rudderstack/analytics-js"),
    "posthog-node": ("posthog_node.cjs", [], "posthog-node"),
    "posthog-python": ("posthog_python.py", [], "posthog"),
    "posthog-python-gzip": ("posthog_python.py", ["gzip"], "posthog"),
    "posthog-web": ("web.cjs", ["posthog"], "posthog-js"),
    "jitsu": ("jitsu.cjs", [], "@jitsu/js"),
    "jitsu-s2s": ("jitsu.cjs", ["s2s"], "@jitsu/js"),
    "snowplow-node": ("snowplow_node.cjs", ["post"], "@snowplow/node-tracker"),
    "snowplow-node-get": ("snowplow_node.cjs", ["get"], "@snowplow/node-tracker"),
    "snowplow-node-plain": ("snowplow_node.cjs", ["post", "plain"], "@snowplow/node-tracker"),
    "snowplow-python": ("snowplow_python.py", ["post"], "snowplow-tracker"),
    "snowplow-python-get": ("snowplow_python.py", ["get", "plain"], "snowplow-tracker"),
    "snowplow-web": ("web.cjs", ["snowplow"], "@snowplow/browser-tracker"),
}
"""Driver, its words, and the package that it drives."""


def _run(command: list[str], why: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"{why}: {type(error).__name__}")
    if done.returncode:
        pytest.skip(f"{why}: {done.stderr.strip()[-300:]}")


@pytest.fixture(scope="session")
def node() -> str:
    """Node, with the SDKs beside it."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if not found or not npm:
        pytest.skip("node and npm are not installed: no JavaScript SDK is driven")
    missing = [f"{name}@{version}" for name, version in NPM.items() if not (HOME / "node_modules" / name).is_dir()]
    if missing:
        HOME.mkdir(parents=True, exist_ok=True)
        quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--legacy-peer-deps", "--prefix", str(HOME)]
        _run([npm, "install", *quiet, *missing], f"npm could not install {', '.join(missing)}")
    return found


@pytest.fixture(scope="session")
def python() -> str:
    """A Python of its own with the SDKs."""
    found = HOME / "python" / "bin" / "python"
    if not found.is_file():
        _run([sys.executable, "-m", "venv", str(HOME / "python")], "no environment for Python's SDKs")
    if not list((HOME / "python").glob("lib/*/site-packages/snowplow_tracker")):
        wanted = [f"{name}=={version}" for name, version in PYPI.items()]
        _run([str(found), "-m", "pip", "install", "--quiet", *wanted], f"pip could not install {', '.join(wanted)}")
    return str(found)


def blocks(data: Path) -> list[Block]:
    reader = JournalSource(data / "journal", end=True).open(None)
    found = [block for pull in iter(lambda: reader.poll(1000), None) for block in pull.items]
    reader.close()
    return found


@pytest.mark.parametrize("name", RUNS)
def test_a_real_sdk_tells_the_story(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    driver, words, package = RUNS[name]
    program = request.getfixturevalue("node" if driver.endswith("cjs") else "python")
    key = BROWSER if name.endswith("web") or name == "jitsu" else SERVER
    with served(tmp_path) as port, recording(port) as kept:
        command = [program, str(FOLDER / "sdks" / driver), kept.url, key, json.dumps(STORY), *words]
        surroundings = {**os.environ, "NODE_PATH": str(HOME / "node_modules")}
        done = subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr[-2000:]
    assert set(kept.statuses) <= {200, 204}, list(zip(kept.statuses, kept.requests, strict=True))
    out = discover(blocks(tmp_path), PERSON)
    assert not out.failures
    assert told(out.events) == EXPECTED
    if os.environ.get("RAPPORT_RECORD"):
        _keep(name, f"{package} {({**NPM, **PYPI})[package]}", kept)


def _keep(name: str, sdk: str, kept: Recording) -> None:
    file = FOLDER / "golden" / "families" / f"{name}.json"
    file.parent.mkdir(exist_ok=True)
    asked: list[dict[str, Any]] = [each for each in kept.requests if each["path"].partition("?")[0] in PATHS]
    posted = [each for each in asked if each["method"] != "OPTIONS"]
    file.write_text(json.dumps({"sdk": sdk, "requests": posted}, indent=1, ensure_ascii=False) + "\n")
