"""A linear model as an ONNX weight table, and its line in the registry.

The table has a row a slot: a whole number for each label and the slot's squared idf, all in one byte each. The graph
gathers a text's rows and sums them (exact, in any order), divides by the root of the sum of squared idf, scales, adds
the bias and takes the softmax. Row 0 is zero: it pads short texts.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.features import VERSION
from models.gate import OPSET
from models.registry import Pinned, read
from models.train.posts import LABELS

IR_VERSION = 9
CLIPPED = 0.99995
"""Share of the weights that the bytes span; the few beyond are cut to the limit."""


def table(weights: NDArray[Any], idf_squared: NDArray[Any]) -> tuple[NDArray[np.int8], float]:
    """Bytes for weights of (slots, labels), with what one step of them is worth."""
    scaled = weights * np.sqrt(idf_squared)[:, None]
    step = float(np.quantile(np.abs(scaled), CLIPPED)) / 127
    rows = np.hstack([np.clip(np.rint(scaled / step), -127, 127), idf_squared[:, None]]).astype(np.int8)
    rows[0] = 0
    return rows, step


def graph(rows: NDArray[np.int8], scale: float, bias: NDArray[Any]) -> bytes:
    """The ONNX file: `slots` (texts, any) to `scores` (texts, labels)."""
    from onnx import TensorProto, helper, numpy_helper

    held = {
        "table": rows,
        "along": np.array([1], np.int64),
        "parts": np.array([len(bias), 1], np.int64),
        "one": np.array([1], np.float32),
        "scale": np.array([scale], np.float32),
        "bias": bias.astype(np.float32),
    }
    steps = [
        helper.make_node("Gather", ["table", "slots"], ["bytes"], axis=0),
        helper.make_node("Cast", ["bytes"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["numbers", "along"], ["sums"], keepdims=0),
        helper.make_node("Split", ["sums", "parts"], ["weights", "mass"], axis=1),
        helper.make_node("Add", ["mass", "one"], ["some"]),
        helper.make_node("Sqrt", ["some"], ["length"]),
        helper.make_node("Div", ["weights", "length"], ["directions"]),
        helper.make_node("Mul", ["directions", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=-1),
    ]
    drawn = helper.make_graph(
        steps,
        "hashed-linear",
        [helper.make_tensor_value_info("slots", TensorProto.INT32, ["texts", "width"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["texts", len(bias)])],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(drawn, opset_imports=opsets, ir_version=IR_VERSION, producer_name="rapport")
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised


def register(folder: Path, name: str, model: bytes, version: str, metrics: dict[str, float]) -> Pinned:
    """Write the model file and pin it in the folder's registry, in place of an older one of that name."""
    pinned = Pinned(name, f"{name}.onnx", sha256(model).hexdigest(), version, VERSION, LABELS, metrics)
    (folder / pinned.file).write_bytes(model)
    known = read(folder) if (folder / "registry.json").exists() else {}
    listed = [pinned if other.name == name else other for other in known.values()]
    if name not in known:
        listed.append(pinned)
    text = msgspec.json.format(msgspec.json.encode(listed), indent=2)
    (folder / "registry.json").write_bytes(text + b"\n")
    return pinned
