"""Each utterance scored as if its route did not have it: where would it go?

A route always knows its own utterances, so asking the router about them says nothing. Left out of its
route (nearest neighbours and centre alike), an utterance is a query whose label is known, and tells as
much as a labelled example that nobody had to write.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.changes import Vectors
from synaptoroute_core.scoring import centre_of
from synaptoroute_core.snapshot import Snapshot

BLOCK_CELLS = 1 << 23
"""Similarities that are held at once: 32 MiB, however many utterances there are."""
NONE = -1


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What the routes say of each of their utterances without it: arrays in the order of ``Snapshot.order``.

    Attributes:
        vectors: The utterances: shape (utterances, dim).
        owners: Position of the route that has it: shape (utterances,), like those below.
        own: Score of that route without the utterance; NaN if it has no other.
        rival: Position of the best other route; -1 if there is none.
        other: Score of that one; NaN if there is none.
        kin: Place of the nearest other utterance of its route; -1 if there is none.
        nearest_own: Cosine of that one; -inf if there is none.
        twin: Place of the nearest utterance of all other routes; -1 if there is none.
        nearest_other: Cosine of that one; -inf if there is none.
    """

    vectors: Vectors
    owners: NDArray[np.intp]
    own: NDArray[np.float64]
    rival: NDArray[np.intp]
    other: NDArray[np.float64]
    kin: NDArray[np.intp]
    nearest_own: NDArray[np.float32]
    twin: NDArray[np.intp]
    nearest_other: NDArray[np.float32]


def leave_one_out(snapshot: Snapshot, *, block_cells: int = BLOCK_CELLS) -> LeftOut:
    """Score every utterance of a snapshot against all routes, each time without it.

    Args:
        snapshot: The routes.
        block_cells: Most similarities to hold at once.
    """
    vectors = np.ascontiguousarray(snapshot.matrix[snapshot.order])
    count, routes = len(vectors), len(snapshot.names)
    owners = np.repeat(np.arange(routes), np.diff(snapshot.starts, append=count))
    rival, kin, twin = (np.full(count, NONE, np.intp) for _ in range(3))
    nearest_own, nearest_other = (np.full(count, -np.inf, np.float32) for _ in range(2))
    other = np.full(count, np.nan)
    centres = snapshot.matrix[snapshot.centres]
    for part, cosines in similarity_blocks(vectors, block_cells=block_cells):
        rows, own = np.arange(len(cosines)), owners[part]
        cosines[rows, rows + part.start] = -np.inf  # itself
        nearest = np.maximum.reduceat(cosines, snapshot.starts, axis=1)
        nearest_own[part] = nearest[rows, own]
        kin[part] = _places(snapshot, cosines, own, nearest_own[part])
        nearest[rows, own] = -np.inf
        if routes > 1:
            scores = nearest * snapshot.nearest_weights + vectors[part] @ centres.T
            rival[part] = scores.argmax(axis=1)
            other[part] = scores[rows, rival[part]].clip(-1.0, 1.0)
            nearest_other[part] = nearest.max(axis=1)
            twin[part] = _places(snapshot, cosines, nearest.argmax(axis=1), nearest_other[part])
    own_scores = _own_scores(snapshot, vectors, nearest_own)
    return LeftOut(vectors, owners, own_scores, rival, other, kin, nearest_own, twin, nearest_other)


def similarity_blocks(
    rows: Vectors, columns: Vectors | None = None, *, block_cells: int = BLOCK_CELLS
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Cosines of rows with columns (by default, the rows themselves), some rows at a time.

    A matrix product, unlike in :mod:`synaptoroute_core.scoring`: nobody waits for a decision here, and
    the last bits do not matter.
    """
    columns = rows if columns is None else columns
    height = max(1, block_cells // max(1, len(columns)))
    for start in range(0, len(rows), height):
        part = slice(start, min(start + height, len(rows)))
        yield part, rows[part] @ columns.T


def _places(
    snapshot: Snapshot, cosines: NDArray[np.float32], positions: NDArray[np.intp], best: NDArray[np.float32]
) -> list[int]:
    """Where, in one route for each row, the best cosine stands; -1 if there is none."""
    places = []
    for row, position, found in zip(cosines, positions, best, strict=True):
        part = snapshot.part_of(position)
        places.append(NONE if found == -np.inf else int(part.start + row[part].argmax()))
    return places


def _own_scores(snapshot: Snapshot, vectors: Vectors, nearest: NDArray[np.float32]) -> NDArray[np.float64]:
    """Score of each utterance's route without it: the rule of the router with the centre of the rest."""
    own = np.full(len(vectors), np.nan)
    for position in range(len(snapshot.names)):
        places = range(*snapshot.part_of(position).indices(len(vectors)))
        if len(places) < 2:  # noqa: PLR2004  # nothing is left of it
            continue
        total = vectors[places.start : places.stop].sum(axis=0, dtype=np.float64)
        for place in places:
            row, weight = centre_of(total - vectors[place], len(places) - 1)
            own[place] = np.clip(weight * nearest[place] + vectors[place] @ row, -1.0, 1.0)
    return own
