"""Training a head: from utterances and labelled examples to weights. Needs scikit-learn.

Everything is judged on texts that the judged weights have not seen, and the last step, on all texts,
repeats what did best there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.head import FEATURES, Head, Sight
from synaptoroute_core.learning.heads.letters import build_lexicon, read_letters
from synaptoroute_core.lexical import Bag, Lexicon
from synaptoroute_core.scoring import centre_of

INVERSE_STRENGTH = 30.0
"""C of the logistic regression."""
MAX_STEPS = 200
TOLERANCE = 1e-4
"""With 1e-3 it stops a percent of accuracy short."""

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Material:
    """Texts to learn from: rows of arrays of equal length.

    Attributes:
        names: Route names, sorted.
        vectors: Shape (texts, dim).
        bags: N-grams of each text.
        labels: Place of each text's route in ``names``, -1 for none: shape (texts,).
        stored: Whether a text is an utterance, which queries are compared with: shape (texts,).
        copies: The same texts with typing errors; None = without.
    """

    names: tuple[str, ...]
    vectors: Matrix
    bags: Sequence[Bag]
    labels: NDArray[np.intp]
    stored: NDArray[np.bool_]
    copies: Material | None = None

    def take(self, rows: NDArray[np.intp]) -> Material:
        """Some of the rows, and of their copies."""
        return Material(
            names=self.names,
            vectors=self.vectors[rows],
            bags=[self.bags[row] for row in rows],
            labels=self.labels[rows],
            stored=self.stored[rows],
            copies=None if self.copies is None else self.copies.take(rows),
        )

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a head is made.

    Attributes:
        lexical_weight: Length of a text's letter vector beside its embedding.
        copies: Whether to learn from the texts with typing errors too.
        blend: What a similarity score of 1 adds to a route's logit.
    """

    lexical_weight: float = 0.5
    copies: bool = False
    blend: float = 3.0


class Trial:
    """Some texts to train on: their letters and their similarities, whatever head is made of them.

    Args:
        material: The texts.
        seed: Decides on the letters' directions.
    """

    def __init__(self, material: Material, seed: int) -> None:
        #: Places of the routes that have utterances here; the head knows no others.
        self.routes = np.unique(material.labels[material.stored])
        if not np.isin(material.labels, self.routes).all():
            material = material.take(np.flatnonzero(np.isin(material.labels, self.routes)))
        self._material = material
        self.lexicon: Lexicon = build_lexicon(material.bags, seed)
        self._letters, _ = read_letters(self.lexicon, material.bags)
        copies = material.copies
        self._copied_letters = None if copies is None else read_letters(self.lexicon, copies.bags)[0]
        stored = np.flatnonzero(material.stored)
        order = stored[np.argsort(material.labels[stored], kind="stable")]
        self._utterances = material.vectors[order]
        self._starts = np.searchsorted(material.labels[order], self.routes)
        parts = np.split(self._utterances.astype(np.float64), self._starts[1:])
        centres = [centre_of(part.sum(axis=0), len(part)) for part in parts]
        self._centres = np.stack([row for row, _ in centres]).astype(np.float32)
        self._nearest_weights = np.array([weight for _, weight in centres], np.float32)

    def head(self, recipe: Recipe) -> Head:
        """Train a head; its acceptor is still to come."""
        material, copies = self._material, self._material.copies
        rows, labels = self._rows(material, self._letters, recipe.lexical_weight), material.labels
        if recipe.copies and copies is not None and self._copied_letters is not None:
            rows = np.concatenate([rows, self._rows(copies, self._copied_letters, recipe.lexical_weight)])
            labels = np.concatenate([labels, copies.labels])
        weights, biases = train_classifier(rows, labels)
        return Head(
            names=tuple(material.names[place] for place in self.routes),
            weights=weights,
            biases=biases,
            blend=recipe.blend,
            lexical_weight=recipe.lexical_weight,
            lexicon=self.lexicon,
            acceptor=np.zeros(len(FEATURES) + 1),
        )

    def see(self, head: Head, texts: Material) -> Sight:
        """What the head and the similarities of this trial say of other texts."""
        letters, extra = read_letters(self.lexicon, texts.bags)
        products = texts.vectors @ self._utterances.T
        nearest = np.maximum.reduceat(products, self._starts, axis=1)
        scores = (nearest * self._nearest_weights + texts.vectors @ self._centres.T).clip(-1.0, 1.0)
        linear = self._rows(texts, letters, head.lexical_weight) @ head.weights.T + head.biases
        logits = (linear + np.float32(head.blend) * scores).astype(np.float64)
        return Sight(logits, scores, nearest, self._nearest_weights, extra)

    @staticmethod
    def _rows(material: Material, letters: Matrix, lexical_weight: float) -> Matrix:
        return np.hstack([material.vectors, np.float32(lexical_weight) * letters], dtype=np.float32)


def blended(head: Head, sight: Sight, blend: float) -> NDArray[np.float64]:
    """The logits that a head's sight would have, had its blend been another: shape (texts, routes)."""
    return sight.logits + (blend - head.blend) * sight.scores.astype(np.float64)


def train_classifier(rows: Matrix, labels: NDArray[np.intp]) -> tuple[Matrix, Matrix]:
    """Multinomial logistic regression: weights, shape (routes, columns), and biases, shape (routes,)."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=INVERSE_STRENGTH, max_iter=MAX_STEPS, tol=TOLERANCE).fit(rows, labels)
    # In this order in memory, as they are after loading: dot products then have the same bits.
    weights, biases = model.coef_.astype(np.float32, order="C"), model.intercept_.astype(np.float32)
    if len(model.classes_) == 2:  # noqa: PLR2004  # it then gives one row, for the second
        weights, biases = np.concatenate([-weights, weights]) / 2, np.concatenate([-biases, biases]) / 2
    return weights, biases
