"""The routes of a router as they were at one revision, to be taken to other processes."""

from __future__ import annotations

import copy
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    EncodedRoute,
    Encoder,
    EncoderMismatchError,
    Fit,
    PutRoutes,
    Route,
    RouteNotFoundError,
    RouterConfig,
    SetFits,
    SqliteStore,
    load_routes,
)
from synaptoroute_core.changes import Vectors
from synaptoroute_core.contact import digest_routes
from synaptoroute_core.encoders import resolve_encoder
from synaptoroute_core.errors import shorten
from synaptoroute_core.storage import MEMORY, open_store
from synaptoroute_core.words import counted
from synaptoroute_integrations.addresses import is_url

SETTINGS: dict[str, Any] = {
    "auto_refit": False,
    "follow_interval_s": 0.0,
    "on_encoder_change": "raise",
    "max_candidates": 1,
    "max_queue_s": None,
    "timeout_s": None,
}
"""Settings of a router that works off a batch: its rule stays as it is, and no query is refused for taking its time."""


@dataclass(frozen=True, eq=False, repr=False)
class FrozenRoutes:
    """Routes, their vectors and what was learned of them, at one revision. Can be pickled; holds no connection.

    Whoever opens it, wherever and whenever, gets the same decisions.

    Attributes:
        routes: The routes.
        vectors: For each route the vectors of its utterances; None = they are encoded where it is opened.
        fits: What was learned, the newest last.
        revision: The revision that they had.
        fingerprint: The encoder of the vectors; None where there are none.
        encoder: As for :class:`AdaptiveRouter`.
        config: Settings of the router.
    """

    routes: tuple[Route, ...]
    vectors: tuple[Vectors, ...] | None
    fits: tuple[Fit, ...]
    revision: int
    fingerprint: str | None
    encoder: Encoder | str | None
    config: RouterConfig

    @classmethod
    def of(cls, router: AdaptiveRouter) -> FrozenRoutes:
        """The routes that a router has now.

        Raises:
            ConfigurationError: It is no ``AdaptiveRouter``.
        """
        if not isinstance(router, AdaptiveRouter):
            raise ConfigurationError(f"router = {shorten(router)}: give an AdaptiveRouter, or FrozenRoutes of one")
        encoder, config = router.encoder, router.config
        while True:
            digest = router.sync_status().digest
            with suppress(RouteNotFoundError):  # removed at this moment
                routes = tuple(router.routes.values())
                vectors = tuple(router.vectors(route.name) for route in routes)
                frozen = cls(routes, vectors, router.fits, router.revision, encoder.fingerprint, encoder, config)
                if frozen.digest == digest == router.sync_status().digest:  # no change came between
                    return frozen

    @classmethod
    def read(
        cls, store: str | Path, *, encoder: Encoder | str | None = None, config: RouterConfig | None = None
    ) -> FrozenRoutes:
        """The routes that a store holds now. No model is loaded.

        Args:
            store: Path of a SQLite file, or URL, as for :class:`AdaptiveRouter`.
            encoder: The one that made its vectors; None = the bundled model.
            config: Settings of the router.

        Raises:
            ConfigurationError: There is no such file.
            StorageError: It cannot be read.
        """
        if not is_url(str(store)) and not Path(store).is_file():
            raise ConfigurationError(f"there is no store {shorten(str(store))}: name a SQLite file, or a URL")
        with closing(open_store(store)) as opened:
            feed = opened.read(0)
        encoded = [each for change in feed.changes if isinstance(change, PutRoutes) for each in change.routes]
        fits = tuple(fit for change in feed.changes if isinstance(change, SetFits) for fit in change.fits)
        return cls(
            tuple(each.route for each in encoded),
            tuple(each.vectors for each in encoded),
            fits,
            feed.revision,
            feed.fingerprint,
            encoder,
            config or RouterConfig(),
        )

    @classmethod
    def load(
        cls, path: str | Path, *, encoder: Encoder | str | None = None, config: RouterConfig | None = None
    ) -> FrozenRoutes:
        """The routes of a route file; whoever opens them encodes them.

        Args:
            path: The file, YAML or JSON.
            encoder: As for :class:`AdaptiveRouter`.
            config: Settings of the router.

        Raises:
            ConfigurationError: It is no route file.
        """
        return cls(tuple(load_routes(path)), None, (), 0, None, encoder, config or RouterConfig())

    @property
    def digest(self) -> str:
        """sha256 of revision, routes and fits, as in :class:`SyncStatus`."""
        return digest_routes(self.revision, self.routes, self.fits)

    def with_encoder(self, encoder: Encoder | str | None) -> FrozenRoutes:
        """The same, to be opened with another object for the encoder; None = as it is."""
        return self if encoder is None else replace(self, encoder=encoder)

    def apart(self) -> FrozenRoutes:
        """The same with an encoder of its own: what a forked process inherits of a loaded model may not work there."""
        return replace(self, encoder=copy.copy(self.encoder))

    def open(self, *, workers: int | None = None) -> AdaptiveRouter:
        """A router in memory that decides as the one they come from did. Nothing that happens elsewhere changes it.

        Args:
            workers: As in :class:`RouterConfig`.

        Raises:
            ConfigurationError: The vectors were made by another encoder.
            EncoderError: The model cannot be loaded.
        """
        config = RouterConfig(**{**self.config.model_dump(), **SETTINGS, "workers": workers})
        if self.vectors is None:
            return AdaptiveRouter(self.routes, encoder=self.encoder, config=config)
        encoder = resolve_encoder(self.encoder)
        try:
            return AdaptiveRouter(encoder=encoder, store=self._store(self.vectors), config=config)
        except EncoderMismatchError as error:
            raise ConfigurationError(
                f"the routes were encoded by {error.stored}, and the encoder is {error.current}: pass the first one as "
                "encoder=..."
            ) from error

    def _store(self, vectors: tuple[Vectors, ...]) -> SqliteStore:
        store = SqliteStore(MEMORY)
        if self.routes:
            encoded = tuple(EncodedRoute(route, rows) for route, rows in zip(self.routes, vectors, strict=True))
            revision = store.commit(0, self.fingerprint or "", lambda _: PutRoutes(encoded))
            store.commit(revision, self.fingerprint or "", lambda _: SetFits(self.fits) if self.fits else None)
        return store

    def __repr__(self) -> str:
        return f"FrozenRoutes({counted(len(self.routes), 'route')}, revision {self.revision})"
