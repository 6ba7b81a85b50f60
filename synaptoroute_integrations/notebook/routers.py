"""The routers that measurements are made on: copies in memory of one that is not changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from synaptoroute_core import (
    AdaptiveRouter,
    Change,
    ConfigurationError,
    EncodedRoute,
    Encoder,
    Feed,
    PutRoutes,
    Route,
    SetFits,
    SqliteStore,
)
from synaptoroute_core.changes import Vectors
from synaptoroute_core.errors import shorten


def routes_of(router: AdaptiveRouter) -> list[Route]:
    """The routes of a router.

    Raises:
        ConfigurationError: It is no router of this process, or has no routes.
    """
    if not isinstance(router, AdaptiveRouter):
        raise ConfigurationError(f"{shorten(router)} is no AdaptiveRouter: what is measured must run in this process")
    routes = list(router.routes.values())
    if not routes:
        raise ConfigurationError("the router has no routes: add one with add_route()")
    return routes


def without_memory(router: AdaptiveRouter) -> AdaptiveRouter:
    """A copy of a router in memory, of the same vectors and fits, that remembers no text it was asked."""
    routes = tuple(EncodedRoute(route, router.vectors(name)) for name, route in router.routes.items())
    changes: tuple[Change, ...] = (PutRoutes(routes), SetFits(router.fits))
    store = SqliteStore(":memory:")
    for revision, change in enumerate(changes):
        store.commit(revision, router.encoder.fingerprint, partial(_given, change))
    config = router.config.model_copy(update={"cache_size": 0})
    return AdaptiveRouter(encoder=router.encoder, store=store, config=config)


def _given(change: Change, _: Feed) -> Change:
    return change


class RememberingEncoder:
    """An encoder that encodes no text twice.

    Args:
        encoder: Encodes what is not known yet.
        known: Vectors by text, of the same encoder.
    """

    def __init__(self, encoder: Encoder, known: Mapping[str, Vectors]) -> None:
        self.fingerprint = encoder.fingerprint
        self.dim = encoder.dim
        self.batch_invariant = encoder.batch_invariant
        self._encoder = encoder
        self._known = dict(known)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of unit length: shape (len(texts), dim), float32."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        if missing:
            self._known.update(zip(missing, self._encoder.encode(missing), strict=True))
        return np.stack([self._known[text] for text in texts])
