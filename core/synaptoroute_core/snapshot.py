"""One version of the routes, frozen: what a query is scored against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.changes import Vectors


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of the routes. Nothing in it changes, so readers need no lock.

    A matrix row holds an utterance or a route's centre; rows that belong to older or newer versions
    may lie between them and are not pointed at.

    Attributes:
        revision: The revision that it shows.
        names: Route names, sorted: shape (routes,).
        positions: Name to place in ``names``.
        thresholds: Each route's own threshold, NaN for the router's: shape (routes,).
        matrix: Unit rows of utterances, scaled rows of centres: shape (rows, dim), float32.
        texts: What each row says, "" for a centre; may be longer than the matrix.
        order: Rows of utterances, route after route: shape (utterances,).
        starts: Where each route's part of ``order`` begins: shape (routes,).
        centres: Each route's centre row: shape (routes,).
        nearest_weights: Weight of the nearest utterance in each route's score: shape (routes,).
    """

    revision: int
    names: tuple[str, ...]
    positions: Mapping[str, int]
    thresholds: NDArray[np.float64]
    matrix: Vectors
    texts: Sequence[str]
    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    centres: NDArray[np.intp]
    nearest_weights: NDArray[np.float32]

    def rows_of(self, position: int) -> NDArray[np.intp]:
        """Rows of the utterances of the route at ``position``, in the order they were added."""
        end = self.starts[position + 1] if position + 1 < len(self.starts) else len(self.order)
        return self.order[self.starts[position] : end]
