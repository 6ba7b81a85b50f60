"""Writes small but real ONNX models for the bundled tokenizer, without the onnx package.

A model looks up a row of 16 numbers for each token and does something with the rows. What is written
by hand here is the wire format of protocol buffers with the field numbers of ``onnx.proto``.
"""

import shutil
from pathlib import Path

import numpy as np

from synaptoroute_core.encoders.bundled import BUNDLED_MODEL

DIM = 16
OPSET = 18
FLOAT, INT64 = 1, 7
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "config.json")


def varint(number: int) -> bytes:
    """A number, seven bits a byte."""
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def field(number: int, value: int | str | bytes) -> bytes:
    """One field of a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def node(operator: str, inputs: str, outputs: str) -> bytes:
    """An operator; the names of its inputs and outputs separated by spaces."""
    names = [field(1, name) for name in inputs.split()] + [field(2, name) for name in outputs.split()]
    return field(1, b"".join(names) + field(4, operator))


def constant(name: str, value: np.ndarray, kind: int = FLOAT) -> bytes:
    """An initialiser."""
    shape = b"".join(field(1, length) for length in value.shape)
    content = value.astype("<f4" if kind == FLOAT else "<i8").tobytes()
    return field(5, shape + field(2, kind) + field(8, name) + field(9, content))


def port(number: int, name: str, kind: int, shape: list[str | int]) -> bytes:
    """An input (11) or output (12) of the graph."""
    axes = [field(1, field(1, length) if isinstance(length, int) else field(2, length)) for length in shape]
    return field(number, field(1, name) + field(2, field(1, field(1, kind) + field(2, b"".join(axes)))))


PER_TOKEN = port(12, "output", FLOAT, ["batch", "tokens", DIM])
GRAPHS = {
    "float": [node("Identity", "rows", "output"), PER_TOKEN],
    "dynamic": [
        node("DynamicQuantizeLinear", "rows", "codes scale zero"),
        node("DequantizeLinear", "codes scale zero", "output"),
        PER_TOKEN,
    ],
    # The same thing in operators that look harmless.
    "disguised": [
        constant("steps", np.array(127.0)),
        node("Abs", "rows", "sizes"),
        node("ReduceMax", "sizes", "largest"),
        node("Div", "rows largest", "fractions"),
        node("Mul", "fractions steps", "unrounded"),
        node("Round", "unrounded", "codes"),
        node("Div", "codes steps", "rounded"),
        node("Mul", "rounded largest", "output"),
        PER_TOKEN,
    ],
    # Pooled within the model: the largest value over the tokens.
    "pooled": [
        constant("axis", np.array([1]), INT64),
        node("ReduceMax", "rows axis", "with_axis"),
        node("Squeeze", "with_axis axis", "output"),
        port(12, "output", FLOAT, ["batch", DIM]),
    ],
}


def write_model(folder: Path, kind: str) -> Path:
    """Make a model's folder and return it. No two models have the same bytes; those of a kind give the same vectors."""
    folder.mkdir()
    for name in TOKENIZER_FILES:
        shutil.copy(BUNDLED_MODEL / name, folder)
    rng = np.random.default_rng(3)
    # Rows of very different sizes, as real activations have: one large one coarsens all others.
    rows = rng.normal(size=(30522, DIM)) * rng.lognormal(0, 1, size=(30522, 1))
    graph = [
        node("Gather", "table input_ids", "rows"),
        *GRAPHS[kind],
        field(2, "tiny"),
        constant("table", rows),
        port(11, "input_ids", INT64, ["batch", "tokens"]),
    ]
    version, opset, remark = field(1, 8), field(8, field(1, "") + field(2, OPSET)), field(6, str(folder))
    (folder / "model.onnx").write_bytes(version + field(7, b"".join(graph)) + opset + remark)
    return folder
