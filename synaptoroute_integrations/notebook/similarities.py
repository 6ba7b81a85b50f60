"""Which routes are near each other, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core import AdaptiveRouter
from synaptoroute_core.changes import Vectors
from synaptoroute_core.learning.audit.leave_one_out import similarity_blocks
from synaptoroute_core.words import counted
from synaptoroute_integrations.notebook.charts import Axis, Chart, Grid
from synaptoroute_integrations.notebook.labels import excerpt
from synaptoroute_integrations.notebook.picture import Picture
from synaptoroute_integrations.notebook.routers import routes_of

Cosines: TypeAlias = NDArray[np.float32]
"""Of the centroids of routes: shape (routes, routes)."""
Pair: TypeAlias = tuple[int, int]
"""Positions of two routes, the lower first."""
Nearest: TypeAlias = tuple[float, str, str]
"""The cosine of the nearest utterances of two routes, and the utterances."""

MOST_ROUTES = 200
MOST_PAIRS = 2000
"""Pairs of routes whose nearest utterances are told; so many have 63 routes."""
MOST_COMPARISONS = 10**8
"""Pairs of utterances that are compared to find them: some seconds."""
WRITTEN_ROUTES = 16
SIDES = (40, 6)
"""Pixels of a cell, of few routes and of many."""
AROUND = (330, 230)
LEAST_SIZE = (520, 420)
SIZE = 1000


def similarity_heatmap(router: AdaptiveRouter) -> Picture:
    """How near the routes are to each other: the cosines of their centroids, similar routes side by side.

    Pointing at a cell tells the nearest utterances of the two routes; of more than 63 routes, only for the 2,000 pairs
    that are most similar. Of more than 200 routes, those that are most similar to another are shown.

    Args:
        router: The router.

    Raises:
        ConfigurationError: It is no such router, or it has no routes.
    """
    routes = {route.name: route.utterances for route in routes_of(router)}
    vectors = [router.vectors(name) for name in routes]
    cosines = _cosines_of_centres(vectors)
    shown = _most_similar(cosines)
    order = shown[order_by_similarity(cosines[np.ix_(shown, shown)])]
    pairs = _pairs(cosines, np.sort(order))
    near = _nearest(pairs, list(routes.values()), vectors)
    return Picture(_heatmap(routes, cosines, order, pairs, near))


def order_by_similarity(cosines: Cosines) -> NDArray[np.intp]:
    """An order in which similar routes stand together.

    The leaves of a clustering by average linkage (Sokal and Michener, 1958), in which every join is turned so that
    the ends that meet are the most similar (Gruvaeus and Wainer, 1972).

    Args:
        cosines: How similar they are: shape (routes, routes), symmetric.
    """
    chains = {place: [place] for place in range(len(cosines))}
    between = cosines.astype(np.float64)
    np.fill_diagonal(between, -np.inf)
    while len(chains) > 1:
        one, other = sorted(divmod(int(between.argmax()), len(between)))
        sizes = len(chains[one]), len(chains[other])
        chains[one] = _joined(chains[one], chains.pop(other), cosines)
        mean = (sizes[0] * between[one] + sizes[1] * between[other]) / sum(sizes)
        between[one], between[:, one] = mean, mean
        between[other], between[:, other], between[one, one] = -np.inf, -np.inf, -np.inf
    (chain,) = chains.values()
    return np.array(chain)


def _joined(one: list[int], other: list[int], cosines: Cosines) -> list[int]:
    ways = [(first, second) for first in (one, one[::-1]) for second in (other, other[::-1])]
    first, second = max(ways, key=lambda way: float(cosines[way[0][-1], way[1][0]]))
    return first + second


def _cosines_of_centres(vectors: Sequence[Vectors]) -> Cosines:
    totals = np.stack([part.sum(axis=0, dtype=np.float64) for part in vectors])
    lengths = np.linalg.norm(totals, axis=1, keepdims=True)
    centres = (totals / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    cosines: Cosines = np.clip(centres @ centres.T, -1.0, 1.0)
    return cosines


def _most_similar(cosines: Cosines) -> NDArray[np.intp]:
    """The positions of those to show: all, or those that are most similar to another one."""
    others = cosines.copy()
    np.fill_diagonal(others, -np.inf)
    return np.sort(np.argsort(-others.max(axis=1), kind="stable")[:MOST_ROUTES])


def _pairs(cosines: Cosines, shown: NDArray[np.intp]) -> list[Pair]:
    """All pairs of those shown, the most similar first."""
    first, second = np.triu_indices(len(shown), k=1)
    one, other = shown[first], shown[second]
    ranking = np.argsort(-cosines[one, other], kind="stable")
    return list(zip(one[ranking].tolist(), other[ranking].tolist(), strict=True))


def _nearest(
    pairs: Sequence[Pair], utterances: Sequence[Sequence[str]], vectors: Sequence[Vectors]
) -> dict[Pair, Nearest]:
    """The nearest utterances of the first of the pairs, as many as there is time and room for."""
    found: dict[Pair, Nearest] = {}
    compared = 0
    for one, other in pairs[:MOST_PAIRS]:
        compared += len(vectors[one]) * len(vectors[other])
        if found and compared > MOST_COMPARISONS:
            break
        cosine, row, column = max(
            (float(block.max()), part.start + int(block.max(axis=1).argmax()), int(block.max(axis=0).argmax()))
            for part, block in similarity_blocks(vectors[one], vectors[other])
        )
        found[one, other] = min(cosine, 1.0), utterances[one][row], utterances[other][column]
    return found


def _heatmap(
    routes: Mapping[str, Sequence[str]],
    cosines: Cosines,
    order: NDArray[np.intp],
    pairs: Sequence[Pair],
    near: Mapping[Pair, Nearest],
) -> Chart:
    names = list(routes)
    categories = tuple(names[place] for place in order)
    side = min(SIDES[0], max(SIDES[1], SIZE // len(order)))
    width, height = (max(least, around + side * len(order)) for least, around in zip(LEAST_SIZE, AROUND, strict=True))
    grid = Grid(
        title="Cosine similarity",
        values=cosines[np.ix_(order, order)].astype(np.float64),
        limits=(min(0.0, float(cosines.min())), 1.0),
        hover=[[_said(routes, names, cosines, near, (row, column)) for column in order] for row in order],
        written=len(order) <= WRITTEN_ROUTES,
        places=2,
    )
    return Chart(
        title="Cosine similarity of the routes' centroids",
        summary=_summary(names, cosines, order, pairs, near),
        x=Axis("Route", categories=categories),
        y=Axis("Route", categories=categories, downwards=True),
        layers=(grid,),
        width=width,
        height=height,
    )


def _said(
    routes: Mapping[str, Sequence[str]],
    names: Sequence[str],
    cosines: Cosines,
    near: Mapping[Pair, Nearest],
    place: tuple[np.intp, np.intp],
) -> str:
    row, column = int(place[0]), int(place[1])
    if row == column:
        return f"{names[row]}\n{counted(len(routes[names[row]]), 'utterance')}"
    said = f"{names[row]} · {names[column]}\ncosine {cosines[row, column]:.2f}"
    nearest = near.get((min(row, column), max(row, column)))
    if nearest is None:
        return said
    cosine, *texts = nearest
    first, second = texts if row < column else reversed(texts)
    return f"{said}\nnearest utterances, with {cosine:.2f}:\n· {excerpt(first)}\n· {excerpt(second)}"


def _summary(
    names: Sequence[str],
    cosines: Cosines,
    order: NDArray[np.intp],
    pairs: Sequence[Pair],
    near: Mapping[Pair, Nearest],
) -> str:
    if not pairs:
        return f"There is one route, {names[0]}."
    one, other = pairs[0]
    cosine, first, second = near[pairs[0]]
    shown = "" if len(order) == len(names) else f" Shown are the {len(order):,} that are most similar to another."
    return (
        f"Of {len(names):,} routes, {names[one]} and {names[other]} are the most similar: the cosine of their "
        f"centroids is {cosines[one, other]:.2f}. Their nearest utterances, with {cosine:.2f}: {excerpt(first)!r} and "
        f"{excerpt(second)!r}.{shown}"
    )
