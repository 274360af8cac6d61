"""The file that says what the columns of a table mean, for `rapport play --columns`.

fields:                      # column: field of a Segment call, dots nest
  customer_id: userId
  amount: properties.total
constants:                   # fields that are the same for every row
  type: track
  event: Order Completed
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.config import ConfigError
from schemas.strict_yaml import parse, plain
from transforms.sources.files import Columns


def load_columns(file: Path) -> Columns:
    """The mapping in `file`. Raises ConfigError with everything that is wrong."""
    node, problems = parse(file.read_text("utf-8"), file.name)
    if problems:
        raise ConfigError("\n".join(str(problem) for problem in problems))
    found: Any = plain(node)
    fields = found.get("fields") if isinstance(found, dict) else None
    constants = found.get("constants") or {} if isinstance(found, dict) else {}
    if not isinstance(fields, dict) or not _is_names(fields) or not isinstance(constants, dict):
        raise ConfigError(f"{file.name}: expected `fields` (column: field) and perhaps `constants`, got something else")
    try:
        return Columns(fields, constants)
    except ValueError as error:
        raise ConfigError(f"{file.name}: {error}") from None


def _is_names(fields: dict[str, Any]) -> bool:
    return bool(fields) and all(isinstance(name, str) for name in fields.values())
