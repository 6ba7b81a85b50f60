"""An encoder without a model: for tests, examples and machines without ONNX Runtime."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.changes import Vectors
from synaptoroute_core.errors import ConfigurationError, shorten

MIN_DIM = 8
WORD, TRIPLE = 10, 3
"""What a word and a letter triple weigh. Whole numbers, so that adding up is exact on any processor."""


class HashingEncoder:
    """Hashes words and their letter triples into a vector: the same on every machine, no meaning.

    Texts that share words are near each other; paraphrases are not.

    Args:
        dim: Length of a vector, at least 8.

    Raises:
        ConfigurationError: ``dim`` is too small.
    """

    batch_invariant = True

    def __init__(self, dim: int = 256) -> None:
        if not isinstance(dim, int) or dim < MIN_DIM:
            raise ConfigurationError(f"dim = {shorten(dim)}: use at least {MIN_DIM}")
        self.dim = dim
        self.fingerprint = f"hashing-1/{dim}"

    def __repr__(self) -> str:
        return f"HashingEncoder(dim={self.dim})"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of unit length: shape (len(texts), dim), float32."""
        vectors = np.empty((len(texts), self.dim), np.float32)
        for row, text in enumerate(texts):
            counts = self._counts(text)
            # Not numpy's norm: BLAS adds up in another order on another processor.
            vectors[row] = counts / math.sqrt(int((counts * counts).sum()))
        return vectors

    def _counts(self, text: str) -> NDArray[np.int64]:
        counts = np.zeros(self.dim, np.int64)
        for feature, weight in _features(text):
            code = _code(feature)
            counts[code % self.dim] += weight if code & 0x8000_0000 else -weight
        if not counts.any():  # nothing but punctuation, or features that cancel out
            counts[_code(text) % self.dim] = 1
        return counts


def _code(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "replace"))


def _features(text: str) -> Iterator[tuple[str, int]]:
    for word in re.findall(r"\w+", text.casefold()):
        yield word, WORD
        padded = f"<{word}>"
        for start in range(len(padded) - 2):
            yield padded[start : start + 3], TRIPLE
