"""The mapping file of CSV tables: read strictly, refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.columns import load_columns
from pipelines.config import ConfigError


def test_a_mapping_turns_rows_into_calls(tmp_path: Path) -> None:
    file = tmp_path / "orders.yaml"
    file.write_text(
        "fields: {id: userId, amount: properties.total}\nconstants: {type: track, event: Order Completed}\n"
    )
    record = load_columns(file).record({"id": "7", "amount": "12.50"})
    assert record == b'{"type":"track","event":"Order Completed","userId":"7","properties":{"total":"12.50"}}'


@pytest.mark.parametrize(
    "text", ["", "fields: [a, b]", "fields: {}", "fields: {a: 1}", "constants: {a: b}", "fields: {a: b}\nconstants: x"]
)
def test_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "orders.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"orders\.yaml"):
        load_columns(file)
