"""Pictures of the routes themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synaptoroute_core import AdaptiveRouter, Decision
from synaptoroute_core.changes import Vectors
from synaptoroute_core.encoders import encode_texts
from synaptoroute_core.learning.audit.leave_one_out import similarity_blocks
from synaptoroute_core.text import clean_query
from synaptoroute_core.views.decisions import measured_by
from synaptoroute_core.words import counted, cut
from synaptoroute_integrations.notebook.arguments import listed, whole
from synaptoroute_integrations.notebook.charts import Axis, Chart, Layer, Note, Points, Tone
from synaptoroute_integrations.notebook.labels import LABEL_CHARACTERS, percent
from synaptoroute_integrations.notebook.picture import Picture
from synaptoroute_integrations.notebook.placement import free_places
from synaptoroute_integrations.notebook.projections import Method, Projection, Reducer, clean_places, project
from synaptoroute_integrations.notebook.routers import routes_of
from synaptoroute_integrations.notebook.similarities import similarity_heatmap

__all__ = ["intent_map", "similarity_heatmap"]

MOST_UTTERANCES = 5000
"""More points hide each other, and make a notebook slow."""
MOST_NAMED = 20
"""With more routes, names at their centres would hide the points."""
POINT_SIZES = ((1000, 7.0), (MOST_UTTERANCES, 4.0))
"""Pixels, up to how many points."""
STAR_SIZE = 17.0
HEIGHT = 560
ROOM = (570.0, 430.0)
"""Pixels of the map in it, both ways."""


def intent_map(
    router: AdaptiveRouter,
    *,
    queries: Iterable[str] = (),
    method: Method = "pca",
    coords: Reducer | ArrayLike | None = None,
    seed: int = 0,
) -> Picture:
    """A map of the utterances, one colour a route, with queries among them as stars.

    What lies together on the map need not lie together in the encoder's space: the router decides in all its
    dimensions. Of more than 5,000 utterances, some of each route are drawn at random.

    Args:
        router: The router.
        queries: Texts to show where they fall, and what the router decides on them.
        method: ``pca`` shows the two directions in which the utterances differ most, and distances in them as they
            are; ``umap`` keeps neighbours together, and needs ``pip install umap-learn``.
        coords: Places to use instead: an array of shape (utterances + queries, 2), with a row for each utterance,
            route after route in the order of ``router.routes``, then for each query; or a function that is given
            their vectors in that order, shape (rows, dim), and returns such places.
        seed: Of the drawing of utterances, and of UMAP.

    Raises:
        ConfigurationError: It is no such router or has no routes, or another argument is not valid.
        InvalidTextError: A query is not usable text.
        ImportError: umap is not installed; the message says how to install it.
        RouterClosedError: The router is closed.
        EncoderError: The encoder failed on a query.
    """
    texts = [clean_query(text) for text in listed("queries", queries, "texts")]
    seed = whole("seed", seed, least=0)
    scene = _Scene.of(router)
    vectors = encode_texts(router.encoder, texts)
    drawn = scene.draw(seed)
    if coords is None or callable(coords):
        projection = project(scene.vectors[drawn], vectors, method, coords, seed)
    else:
        places = clean_places(coords, len(scene.texts) + len(texts))
        every, asked = places[: len(scene.texts)], places[len(scene.texts) :]
        projection = Projection(every[drawn], asked, ("coordinate 1", "coordinate 2"), "placed as given")
    decisions = router.route_batch(texts)
    return Picture(_map(scene, drawn, projection, list(zip(texts, decisions, strict=True))))


@dataclass(frozen=True)
class _Scene:
    """The utterances of a router, route after route.

    Attributes:
        names: The routes.
        texts: The utterances.
        owners: Position of the route that has each: shape (utterances,).
        vectors: Shape (utterances, dim).
    """

    names: tuple[str, ...]
    texts: tuple[str, ...]
    owners: NDArray[np.intp]
    vectors: Vectors

    @classmethod
    def of(cls, router: AdaptiveRouter) -> _Scene:
        """The utterances of a router, and their vectors."""
        routes = routes_of(router)
        parts = [router.vectors(route.name) for route in routes]
        return cls(
            names=tuple(route.name for route in routes),
            texts=tuple(text for route in routes for text in route.utterances),
            owners=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
            vectors=np.concatenate(parts),
        )

    def draw(self, seed: int) -> NDArray[np.intp]:
        """The places of those to show: all, or of each route the same share, drawn at random but at least one."""
        if len(self.texts) <= MOST_UTTERANCES:
            return np.arange(len(self.texts))
        random, share = np.random.default_rng(seed), MOST_UTTERANCES / len(self.texts)
        chosen = [
            np.sort(random.choice(places, max(1, int(share * len(places))), replace=False))
            for places in (np.flatnonzero(self.owners == owner) for owner in range(len(self.names)))
        ]
        return np.concatenate(chosen)


def _map(
    scene: _Scene, drawn: NDArray[np.intp], projection: Projection, asked: Sequence[tuple[str, Decision]]
) -> Chart:
    across, upwards = projection.titles
    return Chart(
        title="Map of the utterances' embeddings",
        summary=" ".join(_summary(scene, drawn, projection, asked)),
        x=Axis(across, hidden=True),
        y=Axis(upwards, hidden=True),
        layers=(*_utterances(scene, drawn, projection), *_stars(scene, projection, asked)),
        height=HEIGHT,
    )


def _utterances(scene: _Scene, drawn: NDArray[np.intp], projection: Projection) -> Iterator[Layer]:
    size = next((pixels for most, pixels in POINT_SIZES if len(drawn) <= most), POINT_SIZES[-1][1])
    middles = np.zeros((len(scene.names), 2))
    for owner, name in enumerate(scene.names):
        own = scene.owners[drawn] == owner
        places = projection.utterances[own]
        middles[owner] = np.median(places, axis=0)
        hover = [f"{scene.texts[place]}\n{name}" for place in drawn[own]]
        yield Points(name, places[:, 0], places[:, 1], tone=owner, hover=hover, size=size)
    if len(scene.names) <= MOST_NAMED:
        labels = [cut(name, LABEL_CHARACTERS) for name in scene.names]
        for label, (x, y) in zip(labels, free_places(middles, labels, projection.queries, ROOM).tolist(), strict=True):
            yield Note(x, y, label, arrow=False)


def _stars(scene: _Scene, projection: Projection, asked: Sequence[tuple[str, Decision]]) -> Iterator[Points]:
    """The queries, those with the same decision together, in the colour of the route."""
    chosen = [decision.route for _, decision in asked]
    for route in dict.fromkeys(chosen):
        places = [place for place, each in enumerate(chosen) if each == route]
        tone: Tone = scene.names.index(route) if route in scene.names else "muted"
        name = "query without a route" if route is None else f"query for {route}"
        x, y = projection.queries[places].T
        hover = [f"{asked[place][0]}\n{_outcome(asked[place][1])}" for place in places]
        yield Points(name, x, y, tone=tone, hover=hover, shape="star", size=STAR_SIZE)


def _outcome(decision: Decision) -> str:
    """A decision in words."""
    if not decision.candidates:
        return f"no route: {decision.reason.replace('_', ' ')}"
    best = decision.candidates[0]
    needed = "" if best.threshold is None else f", needed {best.threshold:.2f}"
    found = f"{measured_by(decision.scorer)} {best.score:.2f}{needed}"
    if decision.route is None:
        return f"no route: {decision.reason.replace('_', ' ')}\nbest: {best.route}, {found}"
    return f"query for {decision.route}\n{found}"


def _summary(
    scene: _Scene, drawn: NDArray[np.intp], projection: Projection, asked: Sequence[tuple[str, Decision]]
) -> Iterator[str]:
    few = "" if len(drawn) == len(scene.texts) else f"{len(drawn):,} drawn at random of "
    yield (
        f"{few}{counted(len(scene.texts), 'utterance')} of {counted(len(scene.names), 'route')}, {projection.words}."
    )
    if len(drawn) > len(scene.names) > 1:
        yield f"For {percent(_share_at_home(scene, drawn))} of them, the nearest other one is of their own route."
    if asked:
        answered = sum(decision.route is not None for _, decision in asked)
        yield f"Queries that get a route: {answered:,} of {len(asked):,}."


def _share_at_home(scene: _Scene, drawn: NDArray[np.intp]) -> float:
    """The share of the utterances whose nearest other one, in all dimensions, is of their own route."""
    vectors, owners = scene.vectors[drawn], scene.owners[drawn]
    home = 0
    for part, cosines in similarity_blocks(vectors):
        rows = np.arange(len(cosines))
        cosines[rows, rows + part.start] = -np.inf
        home += int((owners[cosines.argmax(axis=1)] == owners[part]).sum())
    return home / len(drawn)
