"""What would end a process at once is found before anything is started."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines import ready
from pipelines.config import SAMPLE, Config, ConfigError
from pipelines.together import run_all
from pipelines.trouble import told
from pipelines.workspace import WorkspaceError
from transforms.stores.segments import Lock, LogBusy, make_folder


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tmp_path / "data", port=0)


def started(config: Config) -> bool:
    return (config.data / "log").exists()


def never_starts(config: Config, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        run_all(config, lambda: True)
    assert not started(config)


def test_a_free_folder_and_a_free_port_are_left_free(config: Config) -> None:
    ready.probe(config)
    ready.probe(config)
    assert not started(config)


@pytest.mark.parametrize("name", ready.PROCESSES)
def test_a_folder_that_somebody_writes_in_is_named(config: Config, name: str) -> None:
    make_folder(config.folder(name), sync=False)
    with closing(Lock(config.folder(name))):
        never_starts(config, LogBusy, f"only writer of {config.folder(name)}")


def test_a_port_that_is_taken_is_named(config: Config) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        never_starts(replace(config, port=port), ConfigError, f"port: expected 127.0.0.1:{port} to be free")


def test_a_workspace_with_a_mistake_is_named(config: Config, tmp_path: Path) -> None:
    shutil.copytree(SAMPLE, tmp_path / "workspace")
    (tmp_path / "workspace" / "tenant.yaml").write_text("name: [")
    never_starts(replace(config, workspace=tmp_path / "workspace"), WorkspaceError, "tenant.yaml")


def test_a_missing_extra_is_named(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    find: Callable[[str], object] = ready.find_spec
    monkeypatch.setattr(ready, "find_spec", lambda name: None if name == "uvicorn" else find(name))
    with pytest.raises(ModuleNotFoundError) as raised:
        run_all(config, lambda: True)
    assert told(raised.value) == (
        "expected the package uvicorn, it is not installed: pip install 'rapport[collector]'",
        1,
    )
    assert not started(config)
