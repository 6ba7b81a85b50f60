"""The rules that are compared: ours and the nearest utterance; what all contenders have in common."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import harness
import numpy as np
from datasets import Rows
from numpy.typing import NDArray
from quality_figures import Answers, Array

from synaptoroute_core import AdaptiveRouter, BundledEncoder, Decision, Route, RouterConfig

Vectors = NDArray[np.float32]
BLOCK = 512


class KnownEncoder:
    """The bundled encoder, with the vectors of texts that were learnt beforehand; it encodes others as usual."""

    batch_invariant = True

    def __init__(self) -> None:
        self._inner = BundledEncoder()
        self._known: dict[str, Vectors] = {}
        self.fingerprint, self.dim = self._inner.fingerprint, self._inner.dim
        self._inner.encode(["load the model"])

    def learn(self, texts: Sequence[str]) -> float:
        """Encode those that are new, on all processors; milliseconds a text, 0 for none."""
        new = sorted({text for text in texts if text not in self._known}, key=len)
        blocks = [new[start : start + BLOCK] for start in range(0, len(new), BLOCK)]

        def work() -> None:
            with ThreadPoolExecutor() as pool:
                for block, vectors in zip(blocks, pool.map(self._inner.encode, blocks), strict=True):
                    self._known.update(zip(block, vectors, strict=True))

        return harness.seconds(work) / max(1, len(new)) * 1e3

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors: shape (len(texts), dim)."""
        new = [text for text in texts if text not in self._known]
        fresh = dict(zip(new, self._inner.encode(new), strict=True)) if new else {}
        return np.array([self._known[text] if text in self._known else fresh[text] for text in texts], np.float32)


class Contender(Protocol):
    """A rule, made from labelled utterances. ``fit_s``: seconds that its fit took, beyond encoding utterances."""

    fit_s: float

    def __init__(self, train: Rows, encoder: KnownEncoder) -> None: ...

    def answer(self, texts: Sequence[str]) -> Answers:
        """The best route of each text, and how sure it is."""
        ...

    def close(self) -> None:
        """Let go of threads."""
        ...


def by_route(train: Rows) -> dict[str, list[str]]:
    """Utterances of each route."""
    routes: dict[str, list[str]] = defaultdict(list)
    for text, label in train:
        routes[label].append(text)
    return dict(routes)


def blocks(rows: Vectors) -> Iterator[Vectors]:
    """Some rows at a time: all products of a big set would not fit the cache, nor memory."""
    return (rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK))


class Nearest:
    """The route of the nearest utterance; its cosine is the sureness."""

    fit_s = 0.0

    def __init__(self, train: Rows, encoder: KnownEncoder) -> None:
        self._encoder = encoder
        self._labels = [label for _, label in train]
        self._matrix = encoder.encode([text for text, _ in train])

    def answer(self, texts: Sequence[str]) -> Answers:
        """See :class:`Contender`."""
        queries = self._encoder.encode(texts)
        places: list[int] = []
        scores: list[float] = []

        def work() -> None:
            for block in blocks(queries):
                products = block @ self._matrix.T
                places.extend(products.argmax(axis=1).tolist())
                scores.extend(products.max(axis=1).tolist())

        ms = harness.seconds(work) / len(texts) * 1e3
        return Answers([self._labels[place] for place in places], np.array(scores), ms)

    def close(self) -> None:
        """See :class:`Contender`."""


class Unfitted:
    """Our router as it is without a fit; the similarity score is the sureness."""

    fit_s = 0.0

    def __init__(self, train: Rows, encoder: KnownEncoder) -> None:
        routes = [Route(name, texts) for name, texts in by_route(train).items()]
        self._router = AdaptiveRouter(routes, encoder=encoder, config=RouterConfig(cache_size=0))

    def answer(self, texts: Sequence[str]) -> Answers:
        """See :class:`Contender`."""
        decisions: list[Decision] = []
        taken = harness.seconds(lambda: decisions.extend(self._router.route_batch(texts)))
        best = [decision.candidates[0].route for decision in decisions]
        sureness, probable = self._sureness(decisions)
        return Answers(best, sureness, taken / len(texts) * 1e3, probable)

    def close(self) -> None:
        """See :class:`Contender`."""
        self._router.close()

    def _sureness(self, decisions: list[Decision]) -> tuple[Array, bool]:
        return np.array([decision.score for decision in decisions]), False


class Fitted(Unfitted):
    """Our router after ``fit()``, which needs nothing but the utterances; the confidence is the sureness."""

    def __init__(self, train: Rows, encoder: KnownEncoder) -> None:
        super().__init__(train, encoder)
        self.fit_s = harness.seconds(self._router.fit)

    def _sureness(self, decisions: list[Decision]) -> tuple[Array, bool]:
        unfitted = {decision.scorer for decision in decisions if decision.confidence is None}
        if unfitted:
            raise RuntimeError(f"a fitted router decided without a confidence: by {unfitted}")
        return np.array([decision.confidence for decision in decisions]), True


OURS: dict[str, type[Contender]] = {"fit": Fitted, "unfitted": Unfitted, "nearest": Nearest}
