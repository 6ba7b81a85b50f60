"""An encoder without a model: for tests, examples and machines without ONNX Runtime."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from synaptoroute_core.changes import Vectors
from synaptoroute_core.errors import ConfigurationError

MIN_DIM = 8


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
        if dim < MIN_DIM:
            raise ConfigurationError(f"dim = {dim}: use at least {MIN_DIM}")
        self.dim = dim
        self.fingerprint = f"hashing-1/{dim}"

    def __repr__(self) -> str:
        return f"HashingEncoder(dim={self.dim})"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of unit length: shape (len(texts), dim), float32."""
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for row, text in enumerate(texts):
            for feature, weight in _features(text):
                code = zlib.crc32(feature.encode("utf-8", "replace"))
                vectors[row, code % self.dim] += weight if code & 0x8000_0000 else -weight
            length = np.linalg.norm(vectors[row])
            if length > 0:
                vectors[row] /= length
            else:  # nothing but punctuation, or features that cancel out
                vectors[row, zlib.crc32(text.encode("utf-8", "replace")) % self.dim] = 1.0
        return vectors


def _features(text: str) -> Iterator[tuple[str, float]]:
    for word in re.findall(r"\w+", text.casefold()):
        yield word, 1.0
        padded = f"<{word}>"
        for start in range(len(padded) - 2):
            yield padded[start : start + 3], 0.3
