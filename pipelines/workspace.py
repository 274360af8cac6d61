"""Reads a workspace: the folder of YAML files in which a tenant's people say what is to happen.

    tenant.yaml     name, languages, timezone, care_hold, caps, rfm, links
    keys.yaml       who may post: name, key, trust
    brands.yaml     names that people use, and the tenant's own handles
    channels.yaml   where the messages of each channel go
    campaigns/      one file a campaign

A folder without tenant.yaml may hold one such folder a tenant. Everything wrong is reported together, with file, line,
what was expected, what came and what to do. Nothing outside the folder is ever read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec

from pipelines import settings
from pipelines.campaigns import Surroundings, read_campaign
from pipelines.config import ConfigError
from pipelines.lint import lint
from schemas.fields import Fields, Notes, duration, nearest
from schemas.records import HOUR
from schemas.strict_yaml import MAX_BYTES, Node, Problem, parse
from schemas.triggers import PARTS
from schemas.workspace import Brand, Campaign, Policy, Sink, Tenant, Workspace, WriteKey

__all__ = ["WorkspaceError", "lint", "load"]

FILES = ("tenant.yaml", "keys.yaml", "brands.yaml", "channels.yaml")
MAX_CAMPAIGNS = 500


class WorkspaceError(ConfigError):
    """All that is wrong with a workspace, one problem a line."""

    def __init__(self, folder: Path, problems: list[Problem]) -> None:
        self.problems = sorted(set(problems))
        lines = [f"expected a workspace that can be used, {folder} has {len(self.problems)} mistakes:"]
        super().__init__("\n".join([*lines, *map(str, self.problems)]))


def load(folder: Path) -> Workspace:
    """The workspace in `folder`. Raises WorkspaceError with every problem found."""
    problems: list[Problem] = []
    tenants = [_Folder(folder, place, problems).tenant() for place in _tenant_folders(folder, problems)]
    _keys_apart(tenants, problems)
    if problems:
        raise WorkspaceError(folder, problems)
    named = {tenant.name: tenant for tenant in tenants}
    return Workspace(named, _hash([tenant.version for tenant in tenants]))


def _tenant_folders(folder: Path, problems: list[Problem]) -> list[Path]:
    if (folder / "tenant.yaml").exists() or not folder.is_dir():
        return [folder]
    found = sorted(place for place in folder.iterdir() if (place / "tenant.yaml").exists())
    if not found:
        problems.append(Problem("tenant.yaml", 1, f"expected the file in {folder}, found none; see `rapport check`"))
    return found


def _keys_apart(tenants: list[Tenant], problems: list[Problem]) -> None:
    """One key leads to one tenant, one name to one folder."""
    owners: dict[str, str] = {}
    names: set[str] = set()
    for tenant in tenants:
        if tenant.name in names:
            problems.append(Problem("tenant.yaml", 1, f"name: expected another name, {tenant.name!r} is taken"))
        names.add(tenant.name)
        for key in tenant.keys:
            if owners.setdefault(key.key, tenant.name) != tenant.name:
                problems.append(Problem("keys.yaml", 1, f"key {key.name}: expected a key of its own, another tenant's"))


def _hash(value: object) -> str:
    return sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:32]


class _Folder:
    """The files of one tenant, read from one root."""

    def __init__(self, root: Path, place: Path, problems: list[Problem]) -> None:
        self._root = root.resolve()
        self._place = place
        self._problems = problems

    def tenant(self) -> Tenant:
        """What the files say, with defaults where they are wrong."""
        self._look_around()
        name, policy = self._general()
        sinks = self._channels()
        campaigns = tuple(self._campaigns(Surroundings(policy.languages, frozenset(sinks))))
        tenant = Tenant(name, self._keys(), self._brands(), campaigns, policy, sinks, version="")
        return msgspec.structs.replace(tenant, version=_hash(tenant))

    # --- files --------------------------------------------------------------------------------------------------------

    def _name(self, file: Path) -> str:
        place = self._place.name + "/" if self._place.resolve() != self._root else ""
        return place + str(file.relative_to(self._place))

    def _note(self, file: Path, text: str) -> None:
        self._problems.append(Problem(self._name(file), 1, text))

    def _look_around(self) -> None:
        """Report what nobody would read: a misspelt file must not be a setting that silently does nothing."""
        known = (*FILES, "campaigns", "README.md")
        for file in sorted(self._place.iterdir()):
            if file.name not in known and not file.name.startswith("."):
                self._note(file, f"expected {', '.join(known)}, got {file.name}{nearest(file.name, known)}; rename it")

    def _text(self, file: Path) -> str | None:
        """The file's text if it is a plain file inside the root; opened once and checked as opened."""
        if not file.resolve().is_relative_to(self._root):
            self._note(file, "expected a file inside the workspace, got a link that leads out of it; copy it in")
            return None
        try:
            handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self._note(file, f"expected a plain file that can be read, got {error.strerror}; put it there")
            return None
        with os.fdopen(handle, "rb") as opened:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                self._note(file, "expected a plain file, got something else; replace it")
                return None
            return self._decoded(file, opened.read(MAX_BYTES + 1))

    def _decoded(self, file: Path, data: bytes) -> str | None:
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self._problems.append(
                Problem(self._name(file), line, f"expected UTF-8, got byte {data[error.start]:#x}; save it as UTF-8")
            )
            return None

    def _read(self, file: Path) -> tuple[Node | None, Notes]:
        notes = Notes(self._name(file), self._problems)
        text = self._text(file)
        if text is None:
            return None, notes
        node, problems = parse(text, notes.file)
        self._problems += problems
        return node, notes

    def _list(self, name: str, what: str) -> list[Fields]:
        """The entries of a file that is one list under its own name: keys.yaml holds `keys:`."""
        fields = Fields(*self._read(self._place / name), name)
        entries = fields.children(name.removesuffix(".yaml"), what)
        fields.done()
        return entries

    # --- settings -----------------------------------------------------------------------------------------------------

    def _general(self) -> tuple[str, Policy]:
        fields = Fields(*self._read(self._place / "tenant.yaml"), "tenant.yaml")
        name = fields.need("name", settings.identifier, "")
        languages = fields.many("languages", settings.language, ())
        if not languages:
            fields.note(fields.line, "languages: expected at least one, such as [en]; add it")
        policy = Policy(
            caps=settings.caps(fields),
            care_hold=fields.take("care_hold", duration, 72 * HOUR),
            languages=languages,
            timezone=fields.take("timezone", settings.timezone, "UTC"),
            cuts=settings.cuts(fields),
            links=settings.links(fields),
        )
        return settings.finished(fields, (name, policy))

    def _keys(self) -> tuple[WriteKey, ...]:
        keys = tuple(settings.write_key(entry) for entry in self._list("keys.yaml", "a write key"))
        if len({key.key for key in keys}) < len(keys) or len({key.name for key in keys}) < len(keys):
            self._note(self._place / "keys.yaml", "keys: expected each name and key once, got one twice; change it")
        return keys

    def _brands(self) -> tuple[Brand, ...]:
        return tuple(settings.brand(entry) for entry in self._list("brands.yaml", "a brand"))

    def _channels(self) -> dict[str, Sink]:
        fields = Fields(*self._read(self._place / "channels.yaml"), "channels.yaml")
        given = {name: fields.child(name, f"channel {name}") for name in PARTS if name in fields}
        for name in fields.names():
            line = fields.line_of(name)
            fields.node(name)
            fields.note(line, f"expected a channel ({', '.join(PARTS)}), got {name}{nearest(name, PARTS)}")
        return {name: settings.sink(entry, name) for name, entry in given.items() if entry is not None}

    def _campaigns(self, around: Surroundings) -> Iterator[Campaign]:
        folder = self._place / "campaigns"
        if not folder.resolve().is_relative_to(self._root):
            self._note(folder, "expected a folder inside the workspace, got a link that leads out of it; copy it in")
            return
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        if len(files) > MAX_CAMPAIGNS:
            self._note(folder, f"expected at most {MAX_CAMPAIGNS} files, got {len(files)}; remove some")
        for file in files[:MAX_CAMPAIGNS]:
            if file.suffix != ".yaml":
                self._note(file, f"expected NAME.yaml, got {file.name}; rename or remove it")
                continue
            campaign = read_campaign(file.stem, *self._read(file), around)
            if campaign is not None:
                yield campaign
