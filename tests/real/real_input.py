"""Where the real data is: in the folder that RAPPORT_REAL_DATA names, else in `shared/data` beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

NAME = "RAPPORT_REAL_DATA"
BESIDE = Path(__file__).parents[3] / "shared" / "data"
FOLDER = Path(os.environ.get(NAME) or BESIDE)


def missing(*files: Path) -> str:
    """What to say if one of these files is not in the folder; nothing if all are."""
    lacking = [str(file) for file in files if not (FOLDER / file).is_file()]
    return f"SKIPPED, NOT TESTED: expected {', '.join(lacking)} in {FOLDER}; set {NAME}" if lacking else ""
