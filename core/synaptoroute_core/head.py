"""A fitted head: what a router has learned, and all that a query needs of it. numpy alone.

The head is a linear classifier on the embedding and on the letters of a text (``lexical.py``), to
whose logits the similarity score of each route is added. The acceptor is a logistic model that looks
at the head's answer from outside (how sure, how near to known utterances, how many unknown words) and
says how likely it is right, strangers included. It is trained by leaving routes out
(``learning/confidence.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.lexical import LexicalRow, Lexicon

FEATURES = (
    "odds",
    "log_probability",
    "log_sum",
    "logit",
    "nearest",
    "centre",
    "score",
    "score_lead",
    "nearest_gap",
    "covered",
    "unknown",
    "words",
)
"""What the acceptor looks at; see :func:`features_of`."""
LARGEST_ODDS = 20.0
LARGEST_LEAD = 0.4
LEAST_CENTRE = 1e-3


@dataclass(frozen=True, eq=False, repr=False)
class Head:
    """Weights for the routes that a fit has seen. Nothing in it changes.

    Attributes:
        names: The routes, sorted: as the names of the snapshot that it was trained on.
        weights: On embedding and letters: shape (routes, dim + lexicon.dim), float32.
        biases: Shape (routes,), float32.
        blend: What a similarity score of 1 adds to a route's logit.
        lexical_weight: Length of a text's letter vector beside its embedding of length 1.
        lexicon: Makes letter vectors.
        acceptor: Weight of each of ``FEATURES``, then the intercept: float64.
    """

    names: tuple[str, ...]
    weights: NDArray[np.float32]
    biases: NDArray[np.float32]
    blend: float
    lexical_weight: float
    lexicon: Lexicon
    acceptor: NDArray[np.float64]

    def __post_init__(self) -> None:
        # In one order in memory: numbers that lie in another are added up in another, and give other bits.
        for name in ("weights", "biases", "acceptor"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name)))

    def __repr__(self) -> str:
        return f"Head({len(self.names)} routes, {self.weights.shape[1]} columns, blend={self.blend:g})"

    @cached_property
    def gain(self) -> float:
        """By how much a confidence may move, at most, when cosines move by 1: for ``near_boundary``."""
        logit = 2 * (float(np.linalg.norm(self.weights, axis=1).max(initial=0.0)) + abs(self.blend))
        of_logits, of_scores = np.abs(self.acceptor[:4]).sum(), np.abs(self.acceptor[4:9]).sum()
        return float(0.25 * (of_logits * logit + 2 * of_scores))

    def covers(self, names: Sequence[str], dim: int) -> bool:
        """Whether it is a head for these routes and vectors of this length."""
        return self.names == tuple(names) and self.weights.shape[1] == dim + self.lexicon.dim

    def read(self, text: str) -> LexicalRow:
        """The letters of a text."""
        return self.lexicon.row(text)

    def logits(self, vector: NDArray[np.float32], letters: LexicalRow, scores: NDArray[np.float32]) -> Logits:
        """Logit of each route for one text.

        Args:
            vector: The text's embedding: shape (dim,).
            letters: Its letters, from :meth:`read`.
            scores: Its similarity score to each route: shape (routes,).
        """
        row = np.concatenate([vector, np.float32(self.lexical_weight) * letters.vector])
        # One dot product a row: the same bits whatever else is asked, see scoring.py.
        return np.asarray(np.vecdot(self.weights, row) + self.biases + np.float32(self.blend) * scores, np.float64)

    def confidence(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability that the answer is right: shape (texts,), from features of shape (texts, features)."""
        return np.asarray(1.0 / (1.0 + np.exp(-(features @ self.acceptor[:-1] + self.acceptor[-1]).clip(-30, 30))))


Logits = NDArray[np.float64]


class Sight(NamedTuple):
    """What there is to see of some texts and all routes of a head.

    Attributes:
        logits: Shape (texts, routes).
        scores: Similarity scores: shape (texts, routes).
        nearest: Cosine of the nearest utterance of each route: shape (texts, routes).
        nearest_weights: Weight of the nearest utterance in each route's score: shape (routes,).
        letters: Covered, unknown and number of words of each text: shape (texts, 3).
    """

    logits: NDArray[np.float64]
    scores: NDArray[np.float32]
    nearest: NDArray[np.float32]
    nearest_weights: NDArray[np.float32]
    letters: NDArray[np.float64]


class Judged(NamedTuple):
    """What a head says of some texts.

    Attributes:
        best: Place of the most likely route among those allowed: shape (texts,).
        shares: Probability of each that is allowed, if one of them is right: shape (texts, allowed).
        features: Of the most likely one, for the acceptor: shape (texts, features).
    """

    best: NDArray[np.intp]
    shares: NDArray[np.float64]
    features: NDArray[np.float64]


def letters_of(row: LexicalRow) -> tuple[float, float, float]:
    """A row of :attr:`Sight.letters`."""
    return row.covered, row.unknown, float(np.log1p(row.words))


def judge_sight(sight: Sight, allowed: NDArray[np.intp] | None = None) -> Judged:
    """The most likely route of each text and the features of that answer.

    What is not allowed is not chosen, and does not lower the probability of what is. But it is evidence all the
    same: a text that lies nearer to another route, allowed or not, is likely a stranger to those allowed.

    Args:
        sight: The texts, and all routes.
        allowed: Places of the routes to choose from, ascending; None = all.

    ``odds`` is the log of the head's odds on its answer against the other routes and an average one (where
    only one is allowed, the head would be sure of anything); ``log_probability`` the log of its probability,
    ``log_sum`` the log-sum-exp of all logits (low for strangers), ``logit`` the answer's own; ``nearest``,
    ``centre`` and ``score`` are its cosines, ``score_lead`` its lead over the best other score,
    ``nearest_gap`` how much nearer some other route has an utterance; ``covered``, ``unknown`` and
    ``words`` come from the letters.
    """
    logits, scores, nearest = sight.logits, sight.scores.astype(np.float64), sight.nearest.astype(np.float64)
    rows = np.arange(len(logits))
    offered = logits if allowed is None else logits[:, allowed]
    best = offered.argmax(axis=1) if allowed is None else allowed[offered.argmax(axis=1)]
    top, peak = logits[rows, best], logits.max(axis=1)
    exponentials = np.exp(offered - top[:, None])
    total = exponentials.sum(axis=1)
    log_sum = np.log(np.exp(logits - peak[:, None]).sum(axis=1)) + peak
    average = (logits.mean(axis=1) - top).clip(-2 * LARGEST_ODDS, 2 * LARGEST_ODDS)
    others = np.log(total - 1.0 + np.exp(average))
    own_score, own_nearest = scores[rows, best], nearest[rows, best]
    beside = scores.copy()
    beside[rows, best] = -1.0
    features = np.column_stack(
        [
            (-others).clip(-LARGEST_ODDS, LARGEST_ODDS),
            (-np.log(total)).clip(-LARGEST_ODDS, 0.0),
            log_sum.clip(-2 * LARGEST_ODDS, 2 * LARGEST_ODDS),
            top.clip(-2 * LARGEST_ODDS, 2 * LARGEST_ODDS),
            own_nearest,
            _centre_cosines(own_score, own_nearest, sight.nearest_weights[best].astype(np.float64)),
            own_score,
            (own_score - beside.max(axis=1)).clip(max=LARGEST_LEAD),
            nearest.max(axis=1) - own_nearest,
            sight.letters,
        ]
    )
    return Judged(best, exponentials / total[:, None], features)


def _centre_cosines(
    scores: NDArray[np.float64], nearest: NDArray[np.float64], nearest_weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The cosines of the centres, which scores are blended from (``scoring.py``); of single utterances, their own."""
    trusted = 1.0 - nearest_weights
    known = trusted > LEAST_CENTRE
    cosines = (scores - nearest_weights * nearest) / trusted.clip(LEAST_CENTRE)
    return np.asarray(np.where(known, cosines, nearest).clip(-1.0, 1.0))
