"""The models that Rapport ships and how they are opened: `Models().open().score(["I love it"])`.

`registry.json` pins each file by sha256. Opening passes the load gate (`models/gate.py`); a refused model is never run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from models.features import VERSION
from models.gate import SIZE_LIMIT, ModelRefused, check_bytes, check_session
from models.language import Languages
from models.sentiment import Sentiment

HERE = Path(__file__).parent


class Pinned(Struct, frozen=True, forbid_unknown_fields=True):
    """One registered model. `metrics` are those of its card, by name."""

    name: str
    file: str
    sha256: str
    version: str
    features: str
    labels: tuple[str, ...]
    metrics: dict[str, float]

    @property
    def stamp(self) -> str:
        """What every row that it scored carries: name@sha256 prefix."""
        return f"{self.name}@{self.sha256[:12]}"


@dataclass(frozen=True, slots=True)
class Models:
    """Where the models are. Small and picklable; `open` once a process, where the scoring happens."""

    folder: Path = HERE
    sentiment: str = "sentiment"

    def open(self) -> OpenModels:
        """The models, checked and ready. Raises ModelRefused."""
        pinned = find(self.folder, self.sentiment)
        return OpenModels(pinned.stamp, Sentiment(session(self.folder, pinned), pinned.labels), Languages())


class OpenModels:
    """What classify asks: the sentiment of texts, the language of a text, and which model said so."""

    def __init__(self, stamp: str, sentiment: Sentiment, languages: Languages) -> None:
        self.stamp = stamp
        self._sentiment = sentiment
        self._languages = languages

    def score(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """Label and probability of each text."""
        return self._sentiment.score(texts)

    def language(self, text: str) -> tuple[str, float]:
        """Language code (`und` where unsure) and probability."""
        return self._languages.language(text)


def read(folder: Path) -> dict[str, Pinned]:
    """All registered models by name. Raises ModelRefused."""
    file = folder / "registry.json"
    try:
        listed = msgspec.json.decode(file.read_bytes(), type=list[Pinned])
    except (OSError, msgspec.DecodeError) as error:
        raise ModelRefused(f"registry: expected a list of models in {file}, got {error}; restore the file") from error
    return {pinned.name: pinned for pinned in listed}


def find(folder: Path, name: str) -> Pinned:
    """The registered model of that name, made for today's features. Raises ModelRefused."""
    known = read(folder)
    pinned = known.get(name)
    if pinned is None:
        raise ModelRefused(f"model {name}: expected one of {sorted(known)}, got {name!r}; register it first")
    if pinned.features != VERSION:
        raise ModelRefused(
            f"model {name}: expected features {VERSION}, got a model for {pinned.features}; "
            f"train it again: python -m models.train.{name}"
        )
    return pinned


def session(folder: Path, pinned: Pinned) -> Any:
    """A session of a model that has passed the gate, on one thread. Raises ModelRefused."""
    file = folder / pinned.file
    if Path(pinned.file).name != pinned.file or file.is_symlink() or not file.is_file():
        raise ModelRefused(f"model {pinned.name}: expected a file in {folder}, got {pinned.file!r}; put it there")
    with file.open("rb") as opened:
        model = opened.read(SIZE_LIMIT + 1)
    check_bytes(pinned.name, model, pinned.sha256)
    found = _session(pinned.name, model)
    check_session(pinned.name, found, len(pinned.labels))
    return found


def _session(name: str, model: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises classes of its own for every kind of bad graph
        raise ModelRefused(f"model {name}: expected a graph that opens, got {error}; export it again") from error
