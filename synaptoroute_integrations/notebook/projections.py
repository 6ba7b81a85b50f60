"""Vectors of many dimensions on the two of a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synaptoroute_core.changes import Vectors
from synaptoroute_core.errors import ConfigurationError, shorten
from synaptoroute_integrations.notebook.arguments import one_of
from synaptoroute_integrations.notebook.charts import Floats
from synaptoroute_integrations.notebook.labels import percent

Method: TypeAlias = Literal["pca", "umap"]
METHODS = ("pca", "umap")
Reducer: TypeAlias = Callable[[NDArray[np.float32]], ArrayLike]
"""Takes vectors, shape (rows, dim), and gives their places, shape (rows, 2)."""

PLANE = 2
NEIGHBOURS = 15
"""Of UMAP: its own default."""
LEAST = 3
"""Rows below which UMAP fails."""
FEW = 16
"""With fewer rows, UMAP's spectral beginning has too little to go by."""


@dataclass(frozen=True, slots=True)
class Projection:
    """Places on a page.

    Attributes:
        utterances: Shape (utterances, 2).
        queries: Shape (queries, 2).
        titles: What the directions across and upwards are.
        words: What was done, to be put in a sentence.
    """

    utterances: Floats
    queries: Floats
    titles: tuple[str, str]
    words: str


def project(utterances: Vectors, queries: Vectors, method: Method, reducer: Reducer | None, seed: int) -> Projection:
    """Find the places of utterances and of queries among them.

    Args:
        utterances: Shape (utterances, dim).
        queries: Shape (queries, dim).
        method: ``pca`` or ``umap``.
        reducer: Used in the place of the method; None = the method.
        seed: Of UMAP.

    Raises:
        ConfigurationError: There is no such method, UMAP has too little to go by, or the reducer gives something else
            than places.
        ImportError: umap is not installed; the message says how to install it.
    """
    if reducer is None and one_of("method", method, METHODS) == "pca":
        return _principal_components(utterances, queries)
    rows = np.concatenate([utterances, queries])
    places = clean_places(_umap(rows, seed) if reducer is None else reducer(rows), len(rows))
    name = "UMAP" if reducer is None else "coordinate"
    words = (
        "placed by UMAP, which keeps neighbours together and distances not" if reducer is None else "placed as given"
    )
    return Projection(places[: len(utterances)], places[len(utterances) :], (f"{name} 1", f"{name} 2"), words)


def clean_places(places: object, rows: int) -> Floats:
    """Places that a caller brought along: shape (rows, 2).

    Raises:
        ConfigurationError: They have another shape, or are not finite.
    """
    try:
        clean = np.asarray(list(places) if isinstance(places, Iterator) else places, np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"coords = {shorten(places)}: give an array of numbers, or a function") from error
    if clean.shape != (rows, PLANE):
        raise ConfigurationError(
            f"coords have the shape {clean.shape}, expected ({rows}, 2): a row for each utterance, route after route "
            "as in router.routes, then one for each query"
        )
    if not np.isfinite(clean).all():
        raise ConfigurationError("coords must be finite numbers")
    return clean


def _principal_components(utterances: Vectors, queries: Vectors) -> Projection:
    """The two directions in which the utterances differ most; queries have no part in finding them."""
    middle = utterances.mean(axis=0, dtype=np.float64)
    centred = utterances - middle
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    axes = np.zeros((PLANE, len(middle)))
    axes[: len(directions[:PLANE])] = directions[:PLANE]
    # A direction and its opposite are the same to the decomposition: the largest part is made positive.
    largest = np.abs(axes).argmax(axis=1)
    axes *= np.where(axes[np.arange(PLANE), largest] < 0, -1.0, 1.0)[:, None]
    variances = np.square(np.append(sizes, [0.0, 0.0]))
    first, second = (variances / (variances.sum() or 1.0))[:PLANE].tolist()
    return Projection(
        centred @ axes.T,
        (queries - middle) @ axes.T,
        (f"1st principal component ({percent(first)} of the variance)", f"2nd principal component ({percent(second)})"),
        f"on the two directions in which they differ most, which have {percent(first + second)} of the variance",
    )


def _umap(rows: Vectors, seed: int) -> ArrayLike:
    """UMAP of McInnes, Healy and Melville (2018), with cosine distances."""
    try:
        from umap import UMAP
    except ModuleNotFoundError as error:
        raise ImportError("umap is not installed: pip install umap-learn", name=error.name) from error
    if len(rows) < LEAST:
        raise ConfigurationError(f"method = 'umap': it needs {LEAST} texts or more, and there are {len(rows)}")
    reducer = UMAP(
        n_neighbors=min(NEIGHBOURS, len(rows) - 1),
        metric="cosine",
        init="random" if len(rows) < FEW else "spectral",
        random_state=seed,
        n_jobs=1,  # with a seed it uses one, and warns if that was not asked for
    )
    places: ArrayLike = reducer.fit_transform(rows)
    return places
