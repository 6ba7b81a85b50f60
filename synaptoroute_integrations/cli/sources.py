"""Where a command's routes come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synaptoroute_core import (
    AdaptiveRouter,
    BundledEncoder,
    ConfigurationError,
    Encoder,
    EncoderError,
    EncoderMismatchError,
    FastEmbedEncoder,
    Feed,
    Route,
    RouterConfig,
    SqliteStore,
    Store,
    load_routes,
)
from synaptoroute_core.changes import EncodedRoute, PutRoutes, SetFits, Vectors
from synaptoroute_core.fits import Fit, rule_of
from synaptoroute_core.storage import MEMORY, open_store
from synaptoroute_integrations.addresses import is_url, masked
from synaptoroute_integrations.cli.learned import advise
from synaptoroute_integrations.cli.output import show_note


@dataclass(frozen=True, slots=True)
class Source:
    """What the options of a command say of routes, encoder and settings.

    Attributes:
        db: SQLite file, or URL of a store that machines share.
        routes: Route file.
        encoder: Name of a fastembed model; None = the bundled model.
        threshold: The router's threshold; None = the default.
        min_margin: The router's margin; None = the default.
        reencode: Whether a store of another encoder may be rewritten.
    """

    db: str | None = None
    routes: Path | None = None
    encoder: str | None = None
    threshold: float | None = None
    min_margin: float | None = None
    reencode: bool = False

    def open(self, *, apart: bool = False) -> AdaptiveRouter:
        """A router to ask. A route file is put on top of what the store holds, not into it.

        Args:
            apart: Whether the router is to be changed without the store.

        Raises:
            ConfigurationError: Neither a store nor a route file is named, or one is not there.
        """
        require_source(self.db, self.routes)
        given = load_routes(self.routes) if self.routes is not None else ()
        if self.db is None:
            return self.open_memory(given)
        require_database(self.db)
        encoder = self._encoder()
        router = self._open(given, encoder, copy_store(self.db) if given or apart else self.db)
        for note in self._notes(router.fits):
            show_note(note)
        return router

    def open_memory(self, routes: Iterable[Route]) -> AdaptiveRouter:
        """A router with just these routes, which keeps nothing."""
        return self._open(routes, self._encoder(), MEMORY)

    def open_store(self, routes: Iterable[Route] = ()) -> AdaptiveRouter:
        """A router to change the store with, which is made if it is not there.

        Args:
            routes: Put into the store at once, in the place of those of the same name.
        """
        return self._open(routes, self._encoder(), require_store(self.db))

    def open_existing(self) -> AdaptiveRouter:
        """A router to change the store with, which must be there.

        Raises:
            ConfigurationError: It is not.
        """
        return self._open((), self._encoder(), require_database(require_store(self.db)))

    def _notes(self, fits: Sequence[Fit]) -> list[str]:
        """What fits have to do with the options."""
        head, least = rule_of(fits)
        void = {"--threshold": self.threshold is not None and (head is not None or least is not None)}
        void |= {"--min-margin": self.min_margin is not None and head is not None}
        what = "a fitted head decides" if head is not None else "a fitted threshold is in force"
        notes = [f"{what}, and {option} changes nothing" for option, is_void in void.items() if is_void]
        return [*notes, *filter(None, [advise(fits)])]

    def _encoder(self) -> Encoder:
        return FastEmbedEncoder(self.encoder) if self.encoder is not None else BundledEncoder()

    def _open(self, routes: Iterable[Route], encoder: Encoder, store: Store | str) -> AdaptiveRouter:
        # A command ends before a fit in the background would: what is left behind stays so until `fit`.
        settings: dict[str, Any] = {"auto_refit": False}
        settings |= {"on_encoder_change": "reencode" if self.reencode else "raise"}
        settings |= {} if self.threshold is None else {"threshold": self.threshold}
        settings |= {} if self.min_margin is None else {"min_margin": self.min_margin}
        try:
            return AdaptiveRouter(routes, encoder=encoder, store=store, config=RouterConfig(**settings))
        except EncoderMismatchError as error:
            raise ConfigurationError(
                f"{masked(str(self.db))} was encoded by {error.stored}, this command uses {error.current}: name the "
                "first one's model with --encoder, or pass --reencode to encode the store anew"
            ) from error


def open_without_model(db: str | None) -> AdaptiveRouter:
    """A router to take things out of a store with; it needs no model, whichever encoded the store."""
    store = require_store(db)
    config = RouterConfig(on_encoder_change="raise", auto_refit=False)
    return AdaptiveRouter(encoder=_NoModel(read_store(store)), store=store, config=config)


def read_store(db: str) -> Feed:
    """All that a store holds."""
    with closing(open_store(require_database(db))) as store:
        return store.read(0)


def encoded_routes(feed: Feed) -> list[EncodedRoute]:
    """The routes of a store that was read from its beginning, with their vectors."""
    return [each for change in feed.changes if isinstance(change, PutRoutes) for each in change.routes]


def fits_of(feed: Feed) -> tuple[Fit, ...]:
    """What was learned of the routes of a store that was read from its beginning, the newest last."""
    return tuple(fit for change in feed.changes if isinstance(change, SetFits) for fit in change.fits)


def stored_routes(db: str) -> dict[str, Route]:
    """The routes of a store by name; no model is needed."""
    return {each.route.name: each.route for each in encoded_routes(read_store(db))}


def copy_store(db: str) -> SqliteStore:
    """A copy in memory, with vectors and fits."""
    feed = read_store(db)
    copy = SqliteStore(MEMORY)
    routes, fits = tuple(encoded_routes(feed)), fits_of(feed)
    if routes:
        copy.commit(0, feed.fingerprint or "", lambda _: PutRoutes(routes))
        copy.commit(1, feed.fingerprint or "", lambda _: SetFits(fits) if fits else None)
    return copy


def require_source(db: str | None, routes: Path | None, *, or_else: str = "") -> None:
    """Check that one of the two is named.

    Args:
        db: SQLite file, or URL.
        routes: Route file.
        or_else: What else the command could take.

    Raises:
        ConfigurationError: Neither is.
    """
    if db is None and routes is None:
        sources = ["a store with --db FILE|URL", "a route file with --routes FILE", *filter(None, [or_else])]
        raise ConfigurationError(f"no routes to work with: name {', or '.join(sources)}")


def has_database(db: str) -> bool:
    """Whether the file is there; what a URL leads to is made when it is opened."""
    return is_url(db) or Path(db).exists()


def require_database(db: str) -> str:
    """``db`` if the file is there, or if it is a URL: asking must not make an empty file.

    Raises:
        ConfigurationError: It is not.
    """
    if not has_database(db):
        raise ConfigurationError(f"there is no database {db}; make it with: synaptoroute add NAME UTTERANCE --db {db}")
    return db


def require_store(db: str | None) -> str:
    """``db`` if it names a store that outlives the command.

    Raises:
        ConfigurationError: It does not.
    """
    if db is None:
        raise ConfigurationError("which store? Name it with --db FILE|URL")
    if db == MEMORY:
        raise ConfigurationError(f"{MEMORY} is gone when the command ends: name a store with --db FILE|URL")
    return db


class _NoModel:
    """Stands in for the encoder of a store where nothing is going to be encoded."""

    batch_invariant = True

    def __init__(self, feed: Feed) -> None:
        self.fingerprint = feed.fingerprint or "none"
        self.dim = next((int(each.vectors.shape[1]) for each in encoded_routes(feed)), 1)

    def encode(self, texts: Sequence[str]) -> Vectors:
        raise EncoderError(f"nothing was to be encoded, yet {len(texts)} texts came")
