"""The load gate: no model runs here that is not the one that was registered, or that could do more than score.

In this order, each step before anything of the next is touched: size, sha256, structure (operators, opset, no nested
graphs, no functions, no data outside the file), the session's inputs and outputs, probe rows (finite, sums to one),
latency. The structure is read from the file's own bytes, so that a hostile graph never reaches the runtime and the
`onnx` package is not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from time import perf_counter
from typing import Any

import numpy as np

from models.features import SLOTS, Slots

OPERATORS = frozenset(("Add", "Cast", "Div", "Gather", "Mul", "ReduceSum", "Softmax", "Split", "Sqrt"))
OPSET = 18
SIZE_LIMIT = 8 << 20
PROBE_SECONDS = 0.25
"""What 64 rows of 256 slots may take at the best of three tries; they take about 1 ms."""

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_MODEL_GRAPH, _MODEL_OPSET, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 8, 20, 25
_GRAPH_NODE, _GRAPH_TENSOR, _GRAPH_SPARSE = 1, 5, 15
_NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_NESTED = frozenset((5, 6, 10, 11, 22, 23))  # attributes that hold tensors or graphs
_TENSOR_OUTSIDE, _TENSOR_LOCATION = 13, 14


class ModelRefused(ValueError):
    """A model that the gate does not let in: says what was expected, what came and what to do."""


def check_bytes(name: str, model: bytes, expected: str) -> None:
    """Size, sha256 and structure of a model file. Raises ModelRefused."""
    if len(model) > SIZE_LIMIT:
        raise ModelRefused(f"model {name}: expected at most {SIZE_LIMIT} bytes, got {len(model)}; prune or quantise it")
    found = sha256(model).hexdigest()
    if found != expected:
        raise ModelRefused(
            f"model {name}: expected sha256 {expected[:16]}…, got {found[:16]}…; restore the file or register this one"
        )
    try:
        _check_structure(name, memoryview(model))
    except (IndexError, UnicodeDecodeError) as error:
        raise ModelRefused(f"model {name}: expected an ONNX file, got bytes that are none; export it again") from error


def check_session(name: str, session: Any, labels: int, clock: Callable[[], float] = perf_counter) -> None:
    """Inputs, outputs, probe rows and latency of an opened model. Raises ModelRefused."""
    shape = [(put.name, put.type, len(put.shape)) for put in (*session.get_inputs(), *session.get_outputs())]
    wanted = [("slots", "tensor(int32)", 2), ("scores", "tensor(float)", 2)]
    if shape != wanted:
        raise ModelRefused(f"model {name}: expected input and output {wanted}, got {shape}; export it again")
    probe = np.random.default_rng(1).integers(0, SLOTS, (64, 256), np.int32)
    probe[0], probe[1] = 0, SLOTS - 1
    seconds = min(_timed(name, session, probe, labels, clock) for _ in range(3))
    if seconds > PROBE_SECONDS:
        raise ModelRefused(
            f"model {name}: expected 64 rows in {PROBE_SECONDS} s, took {seconds:.2f} s; use a smaller model"
        )


def _timed(name: str, session: Any, probe: Slots, labels: int, clock: Callable[[], float]) -> float:
    start = clock()
    scores = session.run(["scores"], {"slots": probe})[0]
    seconds = clock() - start
    _check_scores(name, scores, (len(probe), labels))
    return seconds


def _check_scores(name: str, scores: Any, wanted: tuple[int, int]) -> None:
    if scores.shape != wanted:
        raise ModelRefused(
            f"model {name}: expected {wanted[1]} scores a row, got shape {scores.shape}; export it again"
        )
    if not np.isfinite(scores).all() or abs(scores.sum(axis=1) - 1).max() > 1e-3:
        raise ModelRefused(
            f"model {name}: expected probabilities, got rows that are not finite or do not add up to 1; train it again"
        )


# --- the file's structure ---------------------------------------------------------------------------------------------


def _check_structure(name: str, model: memoryview) -> None:
    opsets: list[tuple[str, int]] = []
    graphs = 0
    for field, value in _fields(model):
        if field in (_MODEL_TRAINING, _MODEL_FUNCTIONS):
            raise ModelRefused(f"model {name}: expected one plain graph, got functions or training; export it without")
        if field == _MODEL_OPSET:
            parts = dict(_fields(value))
            opsets.append((bytes(parts.get(1, b"")).decode(), parts.get(2, 0)))
        if field == _MODEL_GRAPH:
            graphs += 1
            _check_graph(name, value)
    if opsets != [("", OPSET)] or graphs != 1:
        raise ModelRefused(f"model {name}: expected one graph of opset {OPSET}, got {graphs} of {opsets}; export again")


def _check_graph(name: str, graph: memoryview) -> None:
    for field, value in _fields(graph):
        if field == _GRAPH_NODE:
            _check_node(name, value)
        elif field == _GRAPH_SPARSE or (field == _GRAPH_TENSOR and _outside(value)):
            raise ModelRefused(f"model {name}: expected all weights inside the file, got others; export it in one file")


def _check_node(name: str, node: memoryview) -> None:
    operator, domain, nested = "", "", False
    for field, value in _fields(node):
        if field == _NODE_OPERATOR:
            operator = bytes(value).decode()
        elif field == _NODE_DOMAIN:
            domain = bytes(value).decode()
        elif field == _NODE_ATTRIBUTE:
            nested = nested or any(inner in _NESTED for inner, _ in _fields(value))
    if operator not in OPERATORS or domain or nested:
        full = f"{domain}.{operator}" if domain else operator
        raise ModelRefused(
            f"model {name}: expected only the operators {', '.join(sorted(OPERATORS))}, got {full}"
            f"{' with a nested graph or tensor' if nested else ''}; rebuild the graph from these"
        )


def _outside(tensor: memoryview) -> bool:
    return any(
        field == _TENSOR_OUTSIDE or (field == _TENSOR_LOCATION and value != 0) for field, value in _fields(tensor)
    )


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """The fields of a protobuf message: number and value (an int, or a view for anything with a length)."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, place = _varint(message, place)
        else:
            size = {_EIGHT: 8, _FOUR: 4}.get(kind, -1)
        if size < 0 or place + size > len(message):
            raise IndexError(place)
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise IndexError(place)
