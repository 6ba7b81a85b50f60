"""Scores of queries against every route: pure functions of a snapshot and vectors.

A route's score blends its **nearest utterance** with its **centre**, the direction of the mean of
its utterances. How far the centre is trusted depends on how tight the route is: with r the length of
the mean vector (1 for a single utterance, near 0 for utterances that have nothing in common),

    score = (1 - w r²) · nearest + w r² · cos(query, centre),      w = 0.7

so a route of one utterance is scored by its cosine, a tight route mostly by its centre, which
averages the noise of single sentences away, and a route of many different things by its nearest
example, since the centre of those means nothing. ``docs/decisions.md`` has the measurements.

Every route is scored from its own utterances. A search for the k nearest utterances over all routes
would let one wordy route crowd out another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.changes import Vectors
from synaptoroute_core.head import Head
from synaptoroute_core.lexical import LexicalRow
from synaptoroute_core.snapshot import Snapshot

CENTRE_TRUST = 0.7
"""w above: chosen on validation splits, see ``benchmarks/defaults.py``."""
BLOCK_ROWS = 256
"""Rows that a batch of queries is multiplied with before the next are read: 0.4 MB stay in the cache, where
reading the whole matrix anew for each query takes two and a half times as long."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of one query.

    Attributes:
        routes: Score of each route of the snapshot: shape (routes,).
        utterances: Cosine of each utterance, in the order of ``Snapshot.order``: shape (utterances,).
        logits: The fitted head's, of each route: shape (routes,), float64; None without a head.
        letters: The query's, as the head reads them; None without a head.
    """

    routes: NDArray[np.float32]
    utterances: NDArray[np.float32]
    logits: NDArray[np.float64] | None = None
    letters: LexicalRow | None = None


def score_routes(snapshot: Snapshot, query: Vectors) -> Scored:
    """Score every route against one query of unit length: shape (dim,).

    The product is one dot product a row rather than a call of a threaded matrix product: the same
    two vectors then give the same bits whatever else is in the batch or the matrix, and no BLAS
    threads fight the encoder's for the processors.
    """
    # Contiguous: a query that lies in memory in steps would be added up in another order.
    return Scored(*_by_route(snapshot, np.vecdot(snapshot.matrix, np.ascontiguousarray(query))))


def score_each(snapshot: Snapshot, queries: Vectors) -> list[Scored]:
    """:func:`score_routes` of each of several queries: shape (queries, dim)."""
    if len(queries) == 1:
        return [score_routes(snapshot, queries[0])]
    each = np.ascontiguousarray(queries)[:, None, :]
    products = np.empty((len(queries), len(snapshot.matrix)), np.float32)
    for start in range(0, len(snapshot.matrix), BLOCK_ROWS):
        stop = start + BLOCK_ROWS
        np.vecdot(snapshot.matrix[start:stop], each, out=products[:, start:stop])
    return [Scored(*one) for one in zip(*_by_route(snapshot, products), strict=True)]


def add_logits(scored: Scored, head: Head, text: str, query: Vectors) -> Scored:
    """The same with what a fitted head says of the query: its text, and its vector of shape (dim,)."""
    letters = head.read(text)
    return replace(scored, logits=head.logits(query, letters, scored.routes), letters=letters)


def _by_route(snapshot: Snapshot, products: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scores of routes and cosines of utterances, from products with rows: shape (..., rows)."""
    utterances = products[..., snapshot.order]
    if not snapshot.names:
        return utterances, utterances  # there is none of either
    scores = np.maximum.reduceat(utterances, snapshot.starts, axis=-1)
    scores *= snapshot.nearest_weights
    scores += products[..., snapshot.centres]
    return scores.clip(-1.0, 1.0, out=scores), utterances


def centre_of(total: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], float]:
    """A route's scaled centre row and the weight of its nearest utterance.

    Args:
        total: Sum of the route's unit vectors: shape (dim,).
        count: How many they are.

    Returns:
        The row whose product with a query is w r² · cos(query, centre), and 1 - w r².
    """
    mean = total / count
    length = float(np.linalg.norm(mean))
    return CENTRE_TRUST * length * mean, 1.0 - CENTRE_TRUST * length * length
