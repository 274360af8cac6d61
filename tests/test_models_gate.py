"""The load gate: only the registered file, only what can do nothing but score, only finite answers in time."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.features import SLOTS
from models.gate import SIZE_LIMIT, ModelRefused, check_bytes, check_session
from models.registry import HERE, Models, find, read, session

onnx = pytest.importorskip("onnx", reason="building bad models needs the package onnx (extra: train)")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from models.train.export import graph, register  # noqa: E402


def linear(bias: float = 0.0, labels: int = 3) -> bytes:
    """A small good model, or one whose bias is not finite."""
    rows = np.ones((SLOTS, labels + 1), np.int8)
    return graph(rows, 0.1, np.full(labels, bias))


def digest(model: bytes) -> str:
    return sha256(model).hexdigest()


def changed(**parts: Any) -> bytes:
    """The good model with parts of its graph replaced."""
    model = onnx.load_from_string(linear())
    for name, values in parts.items():
        field = getattr(model if name in ("opset_import", "functions") else model.graph, name)
        del field[:]
        field.extend(values)
    return bytes(model.SerializeToString())


def endless_loop() -> bytes:
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["on"])],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, [])],
    )
    return changed(node=[helper.make_node("Loop", ["", "forever"], ["scores"], body=body)])


def outside_weights() -> bytes:
    tensor = numpy_helper.from_array(np.ones(3, np.float32), "bias")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return changed(initializer=[tensor])


def hidden_graph() -> bytes:
    """A harmless operator name with a graph inside."""
    inner = helper.make_graph([], "inner", [], [])
    node = helper.make_node("Add", ["a", "b"], ["scores"])
    node.attribute.append(helper.make_attribute("then", inner))
    return changed(node=[node])


BAD = {
    "an endless loop": (endless_loop, "got Loop with a nested graph"),
    "a graph inside a harmless operator": (hidden_graph, "nested graph"),
    "an operator of another maker": (
        lambda: changed(node=[helper.make_node("Add", ["a"], ["scores"], domain="evil.ops")]),
        "got evil.ops.Add",
    ),
    "an operator that is not listed": (
        lambda: changed(node=[helper.make_node("MatMul", ["a", "b"], ["scores"])]),
        "got MatMul",
    ),
    "weights in another file": (outside_weights, "weights inside the file"),
    "another opset": (lambda: changed(opset_import=[helper.make_opsetid("", 13)]), "opset 18"),
    "a second opset": (
        lambda: changed(opset_import=[helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]),
        "opset 18",
    ),
    "functions": (
        lambda: changed(functions=[helper.make_function("x", "f", [], [], [], [helper.make_opsetid("", 18)])]),
        "functions",
    ),
    "no model": (lambda: b"\xff" * 100, "expected an ONNX file"),
    "half a model": (lambda: linear()[:-1000], "expected an ONNX file"),
    "nothing": (lambda: b"", "expected one graph"),
    "too many bytes": (lambda: bytes(SIZE_LIMIT + 1), "at most"),
}


@pytest.mark.parametrize("name", BAD)
def test_refuses(name: str) -> None:
    make, reason = BAD[name]
    model = make()
    with pytest.raises(ModelRefused, match=reason) as refused:
        check_bytes("bad", model, digest(model))
    assert "expected" in str(refused.value)


def test_the_good_model_passes() -> None:
    model = linear()
    check_bytes("good", model, digest(model))


def test_every_cut_of_a_model_is_refused_without_another_error() -> None:
    model = linear()
    for end in (1, 2, 3, 50, 200, 400, len(model) // 2):
        with pytest.raises(ModelRefused):
            check_bytes("cut", model[:end], digest(model[:end]))


def put(folder: Path, model: bytes) -> Any:
    pinned = register(folder, "sentiment", model, "test", {})
    return session(folder, pinned)


def test_refuses_scores_that_are_not_numbers(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="not finite"):
        put(tmp_path, linear(bias=float("nan")))


def test_refuses_another_number_of_labels(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="3 scores a row"):
        put(tmp_path, linear(labels=2))


def test_refuses_other_inputs(tmp_path: Path) -> None:
    model = onnx.load_from_string(linear())
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    with pytest.raises(ModelRefused, match="input and output"):
        put(tmp_path, model.SerializeToString())


def test_refuses_a_slow_model() -> None:
    ticks = iter(range(100))
    with pytest.raises(ModelRefused, match=r"took 1.00 s; use a smaller model"):
        check_session("slow", session(HERE, find(HERE, "sentiment")), 3, clock=lambda: next(ticks))


def test_refuses_a_tampered_file(tmp_path: Path) -> None:
    shutil.copy(HERE / "registry.json", tmp_path)
    model = bytearray((HERE / "sentiment.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    (tmp_path / "sentiment.onnx").write_bytes(model)
    with pytest.raises(ModelRefused, match="expected sha256"):
        Models(tmp_path).open()


@pytest.mark.parametrize("file", ["../sentiment.onnx", "missing.onnx", "link.onnx", "/etc/passwd"])
def test_reads_only_plain_files_of_its_folder(tmp_path: Path, file: str) -> None:
    (tmp_path / "link.onnx").symlink_to(HERE / "sentiment.onnx")
    listed = json.loads((HERE / "registry.json").read_bytes())
    (tmp_path / "registry.json").write_text(json.dumps([{**listed[0], "file": file}]))
    with pytest.raises(ModelRefused, match="expected a file in"):
        Models(tmp_path).open()


def test_refuses_a_model_for_other_features(tmp_path: Path) -> None:
    listed = json.loads((HERE / "registry.json").read_bytes())
    (tmp_path / "registry.json").write_text(json.dumps([{**listed[0], "features": "ngrams-0"}]))
    with pytest.raises(ModelRefused, match="train it again"):
        find(tmp_path, "sentiment")


def test_refuses_a_broken_registry(tmp_path: Path) -> None:
    (tmp_path / "registry.json").write_text("[{}]")
    with pytest.raises(ModelRefused, match="restore the file"):
        read(tmp_path)
    with pytest.raises(ModelRefused, match="expected one of"):
        find(HERE, "none")
