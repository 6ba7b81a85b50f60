"""Does a text's vector depend on the texts beside it?

With dynamic int8 quantisation it does: the scale of the activations is taken over the whole batch.
A stranger's text then moves your score, and even padding does. So a model is looked at before it is
trusted: its graph is searched for the operators that do this, and a probe compares texts alone with
the same texts beside hostile ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from synaptoroute_core.changes import Vectors

DYNAMIC_OPERATORS = (b"DynamicQuantizeLinear", b"DynamicQuantizeMatMul", b"DynamicQuantizeLSTM")
INVARIANT_BELOW = 1e-6
"""Largest movement of a vector's value that still counts as none."""

_PROBES = (
    "where is my order",
    "please reset my password, I cannot log in any more",
    "cancel",
    "I was charged twice for the same thing last week and nobody answers my messages",
    "what is the weather like in Lisbon",
    "1234 5678",
    "how do I change the address that you send it to?",
    "no thanks",
)
_HOSTILE = ("!!!! ???? #### @@@@ " * 30, "z" * 200, "Ωмега 数量 ≤≥÷", "buy now " * 60)


def has_dynamic_quantisation(model: Path) -> bool:
    """Whether an ONNX file names an operator that quantises activations at run time.

    Operator names stand in the file as plain bytes, so it needs no ONNX parser to find them.
    """
    content = model.read_bytes()
    return any(operator in content for operator in DYNAMIC_OPERATORS)


def measure_movement(encode: Callable[[Sequence[str]], Vectors]) -> float:
    """Largest movement of any vector value between a text alone and the same text in company."""
    alone = np.concatenate([encode([text]) for text in _PROBES])
    together = encode(_PROBES)
    besieged = encode([*_PROBES, *_HOSTILE])[: len(_PROBES)]
    return float(max(np.abs(together - alone).max(), np.abs(besieged - alone).max()))
