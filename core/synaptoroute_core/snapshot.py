"""One version of the routes, frozen: what a query is scored against."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.changes import Vectors
from synaptoroute_core.fits import FittedRule


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
        rule: What was learned of these routes and holds.
        edits: How often utterances had been changed since the index was made: equal numbers, equal utterances.
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
    rule: FittedRule = FittedRule()  # noqa: RUF009  # a tuple: nothing in it changes
    edits: int = 0

    def rows_of(self, position: int) -> NDArray[np.intp]:
        """Rows of the utterances of the route at ``position``, in the order they were added."""
        return self.order[self.part_of(position)]

    def part_of(self, position: int) -> slice:
        """The part of ``order`` that belongs to the route at ``position``."""
        following = position + 1
        return slice(self.starts[position], self.starts[following] if following < len(self.starts) else None)


def merge(stored: Snapshot, names: Collection[str], extra: Snapshot) -> Snapshot:
    """Some routes of one snapshot beside all of another, every row as it was, to the last bit.

    Args:
        stored: The routes that the router has; its revision is kept.
        names: Which of them; names that are not there are passed over.
        extra: Routes with other names.
    """
    # A head knows no routes but its own; a threshold of similarity scores holds for others as well.
    rule = FittedRule(None, stored.rule.least) if stored.rule.head is None else FittedRule()
    places = [(name, stored, stored.positions[name]) for name in names if name in stored.positions]
    places += [(name, extra, position) for name, position in extra.positions.items()]
    places.sort(key=lambda place: place[0])
    rows = [source.rows_of(position) for _, source, position in places]
    counts = np.array([len(each) for each in rows], np.intp)
    utterances = int(counts.sum())
    matrices = [source.matrix[each] for (_, source, _), each in zip(places, rows, strict=True)]
    matrices += [source.matrix[source.centres[position]][None] for _, source, position in places]
    return Snapshot(
        revision=stored.revision,
        names=tuple(name for name, _, _ in places),
        positions={name: position for position, (name, _, _) in enumerate(places)},
        thresholds=np.array([source.thresholds[position] for _, source, position in places]),
        matrix=np.concatenate(matrices),
        texts=[source.texts[row] for (_, source, _), each in zip(places, rows, strict=True) for row in each],
        order=np.arange(utterances),
        starts=np.cumsum(counts) - counts,
        centres=utterances + np.arange(len(places)),
        nearest_weights=np.array([source.nearest_weights[position] for _, source, position in places], np.float32),
        rule=rule,
        edits=stored.edits,
    )
