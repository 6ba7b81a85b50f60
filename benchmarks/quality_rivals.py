"""The rivals that our rules are compared with, on vectors of the same encoder.

* synaptoroute 0.4.1 with thresholds fitted by ``fit_thresholds``
* semantic-router 1.1.1 with confidences calibrated by ``fit``

Both rivals need labelled queries that are none of the stored utterances. They get a fifth of the training texts,
while the other four fifths are stored; then all are stored, since more utterances make them better.

Where the code that a rival ships takes minutes, the same is computed in arrays. Every run compares the two on a
sample, and stops if they differ; times are those of the shipped code.
"""

from __future__ import annotations

import contextlib
import io
import logging
import random
from collections.abc import Sequence
from typing import Any

import harness
import numpy as np
from datasets import Rows
from quality_contenders import BLOCK, Contender, KnownEncoder, blocks, by_route
from quality_figures import Answers
from semantic_router import Route as PeerRoute
from semantic_router.calibration import Calibrator
from semantic_router.encoders.base import DenseEncoder
from semantic_router.routers import IndexedRouter
from semantic_router.routers.base import run as peer_run
from synaptoroute.encoder import BaseEncoder as ArticleEncoder
from synaptoroute.models import Route as ArticleRoute
from synaptoroute.router import AdaptiveRouter as ArticleRouter
from synaptoroute.storage import SQLiteStorage

HELD_OUT = 5
"""One of so many training texts is a labelled query for the rivals' fits."""


def split(train: Rows) -> tuple[Rows, Rows]:
    """Four fifths to store and a fifth to ask, in every route; of two to four texts, one to ask."""
    kept: Rows = []
    asked: Rows = []
    for name, texts in sorted(by_route(train).items()):
        shuffled = random.Random(0).sample(texts, len(texts))
        count = max(len(texts) // HELD_OUT, len(texts) > 1)
        asked += [(text, name) for text in shuffled[:count]]
        kept += [(text, name) for text in shuffled[count:]]
    return kept, asked


# --- synaptoroute 0.4.1 ------------------------------------------------------------------------

ARTICLE_TOP, ARTICLE_FIT_TOP, ARTICLE_BATCH = 5, 50, 32
ARTICLE_LEVELS = np.arange(-1.0, 1.05, 0.05)
ARTICLE_SAMPLE = 1500
"""Routes times labelled queries that its own fit is let loose on: some five seconds."""


class Article:
    """synaptoroute 0.4.1: the nearest of five utterances that reaches its route's threshold.

    Where none does it abstains; if it had to choose, that would be the nearest. Its sureness is the score. On the
    validation splits that ranks better than the score's lead over the threshold, and than what it accepts first.
    """

    class _Encoder(ArticleEncoder):
        requires_lock = False
        dim = 384

        def __init__(self, encoder: KnownEncoder) -> None:
            self.inner = encoder

        def encode(self, text: str) -> Any:
            return self.inner.encode([text])[0]

        def encode_batch(self, texts: list[str]) -> Any:
            return self.inner.encode(texts)

    def __init__(self, train: Rows, encoder: KnownEncoder) -> None:
        self._encoder = encoder
        kept, asked = split(train)
        half = self._open(kept)
        self._check_fit(half, asked)
        thresholds = article_thresholds(half, asked)
        self._shut(half)
        self._router = self._open(train)
        for name, threshold in thresholds.items():
            self._router.update_threshold(name, threshold)

    def answer(self, texts: Sequence[str]) -> Answers:
        """See :class:`Contender`."""
        queries = self._encoder.encode(texts)
        routes: list[str] = []
        scores: list[float] = []
        accepted: list[bool] = []

        def work() -> None:
            for start in range(0, len(queries), ARTICLE_BATCH):
                for hits in self._router.index.search(queries[start : start + ARTICLE_BATCH], top_k=ARTICLE_TOP):
                    score, route, passes = self._choose(hits)
                    routes.append(route)
                    scores.append(score)
                    accepted.append(passes)

        ms = harness.seconds(work) / len(texts) * 1e3
        self._check_answers(texts[:BLOCK], routes, accepted)
        return Answers(routes, np.array(scores), ms)

    def close(self) -> None:
        """See :class:`Contender`."""
        self._shut(self._router)

    def _choose(self, hits: list[tuple[float, str]]) -> tuple[float, str, bool]:
        known = self._router._route_map  # noqa: SLF001  # it tells thresholds nowhere else
        passing = ((score, name, True) for score, name in hits if score >= known[name].threshold)
        return next(passing, (*hits[0], False))

    def _open(self, rows: Rows) -> ArticleRouter:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints while it loads
            storage = SQLiteStorage(":memory:")
            for name, texts in by_route(rows).items():
                unique = list(dict.fromkeys(texts))  # as it would do, but to the texts alone
                storage.save_route(ArticleRoute(name=name, utterances=unique), self._encoder.encode(unique))
            return ArticleRouter(self._Encoder(self._encoder), storage, max_capacity=len(rows))

    @staticmethod
    def _shut(router: ArticleRouter) -> None:
        """Its ``stop`` is for routers that were started."""
        router._read_pool.shutdown()  # noqa: SLF001
        router._write_pool.shutdown()  # noqa: SLF001

    def _check_fit(self, router: ArticleRouter, asked: Rows) -> None:
        """Its own fit on a few queries, against ours in arrays; from its time, that of all queries."""
        few = random.Random(1).sample(asked, min(len(asked), max(2, ARTICLE_SAMPLE // len(router._route_map))))  # noqa: SLF001
        before = {name: route.threshold for name, route in router._route_map.items()}  # noqa: SLF001
        expected = article_thresholds(router, few)
        taken = harness.seconds(lambda: router.fit_thresholds(*map(list, zip(*few, strict=True))))
        found = {name: route.threshold for name, route in router._route_map.items()}  # noqa: SLF001
        if found != expected:
            wrong = {name: (found[name], expected[name]) for name in found if found[name] != expected[name]}
            raise RuntimeError(f"synaptoroute's thresholds differ from those computed in arrays: {wrong}")
        self.fit_s = taken / len(few) * len(asked)
        for name, threshold in before.items():
            router.update_threshold(name, threshold)

    def _check_answers(self, texts: Sequence[str], routes: list[str], accepted: list[bool]) -> None:
        for text, route, passes in zip(texts, routes, accepted, strict=False):
            chosen = self._router(text)
            if (chosen.name if chosen else None) != (route if passes else None):
                raise RuntimeError(f"synaptoroute answers {chosen} to {text!r}; computed: {route}, accepted {passes}")


def article_thresholds(router: ArticleRouter, asked: Rows) -> dict[str, float]:
    """What ``router.fit_thresholds`` sets, in arrays: for each route the level of the best F1, of equals the highest.

    A query is sent to the route if the route's best hit reaches the level and beats the best hit of the other routes
    that reach their own thresholds of before the fit.
    """
    found = router.index.search(router.encoder.encode_batch([text for text, _ in asked]), top_k=ARTICLE_FIT_TOP)
    names = list(router._route_map)  # noqa: SLF001
    places = {name: place for place, name in enumerate(names)}
    limits = np.array([router._route_map[name].threshold for name in names])  # noqa: SLF001
    best = np.full((len(asked), len(names)), -1.0)
    for row, hits in enumerate(found):
        for score, name in reversed(hits):
            best[row, places[name]] = score
    passing = np.where(best >= limits, best, -1.0)
    truth = np.array([places[label] for _, label in asked])
    return {name: _best_level(best[:, own], passing, truth == own, own) for name, own in places.items()}


def _best_level(scores: Any, passing: Any, belongs: Any, own: int) -> float:
    others = np.delete(passing, own, axis=1).max(axis=1, initial=-1.0)
    sent = (scores >= ARTICLE_LEVELS[:, None]) & (scores > others)
    hits = (sent & belongs).sum(axis=1)
    f1 = 2 * hits / np.maximum(1, sent.sum(axis=1) + belongs.sum())
    return round(float(ARTICLE_LEVELS[np.flatnonzero(f1 >= f1.max())[-1]]), 4)


# --- semantic-router 1.1.1 ---------------------------------------------------------------------

PEER_SAMPLE = 100


class Peer:
    """semantic-router 1.1.1: its defaults, and the confidence that its ``fit`` (Platt) gives."""

    class _Encoder(DenseEncoder):
        inner: Any = None

        def __call__(self, docs: list[Any]) -> list[list[float]]:
            return self.inner.encode(docs).tolist()

    class _Router(IndexedRouter):
        """The same scores for a whole batch; what is shipped norms all utterances anew for each query."""

        async def _scores_many(self, queries: Sequence[str]) -> list[dict[str, float]]:
            index = self.index.index
            units = index / np.linalg.norm(index, axis=1)[:, None]
            asked = np.array(self.encoder(list(queries)))
            asked /= np.linalg.norm(asked, axis=1)[:, None]
            return [self._pool(row) for block in blocks(asked) for row in block @ units.T]

        def _pool(self, similarities: Any) -> dict[str, float]:
            hits: dict[str, list[float]] = {name: [] for name in self._cache}
            for place in np.argpartition(similarities, -self.top_k)[-self.top_k :]:
                hits[self.index.routes[place]].append(float(similarities[place]))
            return {name: self.aggregate(scores) if scores else 0.0 for name, scores in hits.items()}

    def __init__(self, train: Rows, encoder: KnownEncoder) -> None:
        logging.getLogger("semantic_router").setLevel(logging.ERROR)
        kept, asked = split(train)
        half = self._open(kept, encoder)
        self.fit_s = len(asked) * self._check([text for text, _ in asked[:PEER_SAMPLE]], half)
        half.fit(*map(list, zip(*asked, strict=True)))
        self._router = self._open(train, encoder, half.calibrator)

    def answer(self, texts: Sequence[str]) -> Answers:
        """See :class:`Contender`."""
        taken = self._check(texts[:PEER_SAMPLE], self._router)
        scored = peer_run(self._router._scores_many(texts))  # noqa: SLF001
        choices = [self._router._choose(scores, 1, None) for scores in scored]  # noqa: SLF001
        sureness = np.array([choice.confidence for choice in choices])
        return Answers([choice.name for choice in choices], sureness, taken * 1e3, probable=True)

    def close(self) -> None:
        """See :class:`Contender`."""

    @classmethod
    def _open(cls, rows: Rows, encoder: KnownEncoder, calibrator: Calibrator | None = None) -> _Router:
        routes = [PeerRoute(name=name, utterances=texts) for name, texts in by_route(rows).items()]
        return cls._Router(cls._Encoder(name="known", inner=encoder), routes, calibrator=calibrator)

    @staticmethod
    def _check(texts: Sequence[str], router: _Router) -> float:
        """Compare its scores with ours; seconds a query of the shipped code."""
        shipped: list[dict[str, float]] = []
        taken = harness.seconds(lambda: shipped.extend(peer_run(IndexedRouter._scores_many(router, texts))))  # noqa: SLF001
        for text, theirs, ours in zip(texts, shipped, peer_run(router._scores_many(texts)), strict=True):  # noqa: SLF001
            if any(abs(theirs[name] - ours[name]) > 1e-6 for name in theirs):  # noqa: PLR2004
                raise RuntimeError(f"semantic-router scores {text!r} otherwise than computed in one product")
        return taken / len(texts)


RIVALS: dict[str, type[Contender]] = {
    "synaptoroute": Article,
    "semantic-router": Peer,
}
