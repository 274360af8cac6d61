"""The house rules that a machine can check: which way imports point, and what logic may not know."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = {
    "schemas": {"schemas"},
    "transforms/logic": {"schemas", "transforms.logic"},
    "models": {"schemas", "models", "transforms.logic"},
    "transforms": {"schemas", "transforms", "models"},
}
FORBIDDEN_NAMES = {"email", "select", "queue", "calendar", "types", "utils", "helpers", "manager", "base"}
IMPURE = {
    "apache_beam",
    "time",
    "random",
    "socket",
    "secrets",
    "subprocess",
    "asyncio",
    "redis",
    "requests",
    "threading",
    "os",
    "io",
    "pathlib",
    "tempfile",
    "shutil",
    "uuid",
    "urllib",
    "http",
    "logging",
}
UNBIDDEN = {"open", "print", "input", "now", "utcnow", "today"}
"""Calls that reach a file, a terminal or the clock without an import that gives them away."""


def modules(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Dotted names of everything that a module imports, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return names


def called(path: Path) -> set[str]:
    """The last part of the name of everything that a module calls."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    return {
        call.id if isinstance(call, ast.Name) else call.attr
        for call in calls
        if hasattr(call, "id") or hasattr(call, "attr")
    }


def constants(path: Path, name: str) -> set[str]:
    """The texts in the tuple that a module calls `name`."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets):
            return {each.value for each in ast.walk(node.value) if isinstance(each, ast.Constant)}
    return set()


def ours(name: str) -> bool:
    return name.split(".")[0] in {"schemas", "transforms", "models", "pipelines"}


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_one_way(layer: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(layer)
        for name in imported(path)
        if ours(name) and not any(name == allowed or name.startswith(f"{allowed}.") for allowed in LAYERS[layer])
    ]
    assert not wrong


@pytest.mark.parametrize("path", modules("transforms/logic"), ids=lambda path: path.stem)
def test_logic_knows_no_beam_clock_network_or_chance(path: Path) -> None:
    assert not {name.split(".")[0] for name in imported(path)} & IMPURE
    assert not called(path) & UNBIDDEN


def test_imports_are_absolute() -> None:
    folders = ("schemas", "transforms", "models", "pipelines")
    assert not [path for folder in folders for path in modules(folder) if any(n[:1] == "." for n in imported(path))]


def test_fault_points_are_those_that_their_modules_name() -> None:
    passed = re.compile(r'faults\.here\("([a-z_.]+)"\)')
    for path in (*modules("transforms"), *modules("pipelines")):
        assert set(passed.findall(path.read_text("utf-8"))) == constants(path, "POINTS"), path


def test_importing_all_logic_does_not_load_beam() -> None:
    names = [f"transforms.logic.{path.stem}" for path in modules("transforms/logic") if path.stem != "__init__"]
    load = f"[importlib.import_module(name) for name in {names!r}]"
    code = f"import sys, importlib; {load}; print('apache_beam' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_no_module_shadows_the_standard_library_or_says_nothing() -> None:
    assert (
        not {path.stem for folder in ("schemas", "transforms", "models", "pipelines") for path in modules(folder)}
        & FORBIDDEN_NAMES
    )


def test_tests_are_no_package() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


@pytest.mark.parametrize("folder", ["schemas", "transforms", "models", "pipelines"])
def test_every_module_says_what_it_is_for(folder: str) -> None:
    silent = [
        path.relative_to(ROOT) for path in modules(folder) if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert not silent
