"""A function that labels batches of texts, to be handed to whatever spreads batches over processes."""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    Decision,
    Encoder,
    EncoderError,
    InvalidTextError,
    RouteNotFoundError,
    RouteOptions,
    RouterConfig,
    SynaptoRouteError,
)
from synaptoroute_core.encoders import resolve_encoder
from synaptoroute_core.errors import shorten
from synaptoroute_integrations.bulk.forms import Column, Kind, form_of
from synaptoroute_integrations.bulk.frozen import FrozenRoutes
from synaptoroute_integrations.bulk.opened import ROUTERS, Opened

Batch = TypeVar("Batch")

CHUNK = 4096
"""Texts that are handed to the router together: decisions take far more memory than the columns made of them."""
COLUMNS: tuple[tuple[str, Kind], ...] = (
    ("route", "text"),
    ("score", "number"),
    ("margin", "number"),
    ("confidence", "number"),
    ("reason", "text"),
)
SPARK_TYPES: dict[Kind, str] = {"text": "string", "number": "double", "whole": "long"}

Outcome = Decision | SynaptoRouteError


class RouteBatch:
    """Adds the decisions on a column of texts to batches, in any process that it is pickled to.

    It takes its routes when it is made and carries them along, vectors and fits included, so that all processes give
    the decisions of one revision. Each process opens one router, with its first batch, and keeps it. Made from a store
    in each process, as Ray does with a class and its arguments, it takes what the store holds at that moment: pass
    ``FrozenRoutes.of(router)`` in its place, or name the ``revision``.

    A batch is a dict of NumPy arrays, a pandas ``DataFrame``, or a pyarrow ``Table`` or ``RecordBatch``; what comes out
    is of the same form, with these columns after its own: ``route`` (missing for an abstention), ``score``, ``margin``,
    ``confidence`` and ``reason``; then ``revision`` and ``error`` if asked for. :class:`Decision` says what they are.

    Args:
        router: Whose routes to take; or such as were taken already.
        routes: A route file in its place.
        store: A store in its place: path of a SQLite file, or URL.
        encoder: As for :class:`AdaptiveRouter`; with ``router``, None = its own.
        config: Settings of the router; with ``router``, its own are used.
        text: Name of the column that holds the texts.
        prefix: Put before the names of the new columns.
        allowed: Names of the routes to choose from; None = all.
        errors: What to do with a text that is missing or unusable, or that the model fails on: ``raise``, or ``keep``
            the message in one more column, ``error``, which is missing for all others.
        revision: The revision that the routes must have; None = any.
        with_revision: Whether to add it as a column.
        workers: Threads that encode. One, as a worker of a cluster is given one processor: those that would use all
            there are, beside as many others on the same machine, fight for them. None = all.

    Raises:
        ConfigurationError: An argument is not valid, there are no routes, or they have another revision.
        RouteNotFoundError: ``allowed`` names a route that is not there.
        StorageError: The store cannot be read.
    """

    def __init__(
        self,
        router: AdaptiveRouter | FrozenRoutes | None = None,
        *,
        routes: str | Path | None = None,
        store: str | Path | None = None,
        encoder: Encoder | str | None = None,
        config: RouterConfig | None = None,
        text: str = "text",
        prefix: str = "",
        allowed: Collection[str] | None = None,
        errors: Literal["raise", "keep"] = "raise",
        revision: int | None = None,
        with_revision: bool = False,
        workers: int | None = 1,
    ) -> None:
        if errors not in ("raise", "keep"):
            raise ConfigurationError(f"errors = {shorten(errors)}: use 'raise' or 'keep'")
        if not isinstance(prefix, str):
            raise ConfigurationError(f"prefix = {shorten(prefix)}: give a string, '' for none")
        if isinstance(revision, bool) or not isinstance(revision, int | None):
            raise ConfigurationError(f"revision = {shorten(revision)}: give a whole number, or None for any")
        self.frozen = _frozen(router, routes, store, encoder, config)
        _require_routes(self.frozen, revision)
        RouterConfig(workers=workers)  # says what is wrong with it here rather than in a cluster
        self.text = text
        self.prefix = prefix
        self.errors = errors
        self.with_revision = with_revision
        self.workers = workers
        self.allowed = _allowed(self.frozen, allowed)
        self._token = secrets.token_hex(16)
        self._process = os.getpid()
        self._opened: Opened | None = None

    def __call__(self, batch: Batch) -> Batch:
        """The batch with the columns of the decisions.

        Raises:
            ConfigurationError: It is no batch, lacks the column of texts, or has columns of the new names.
            InvalidTextError: A text is missing or unusable; the message names the row, the first is row 0.
            EncoderError: The model failed on a text, or cannot be loaded.
        """
        form = form_of(batch)
        self.require_names(form.names(batch))
        extended: Batch = form.extended(batch, self.columns(form.texts(batch, self.text)))
        return extended

    def iterate(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Batch after batch, as ``mapInPandas`` and ``mapInArrow`` of Spark want it.

        Raises:
            SynaptoRouteError: As a call of the batch itself.
        """
        return map(self, batches)

    def spark_schema(self, frame: Any) -> Any:
        """The schema of what :meth:`iterate` makes of a Spark data frame: a ``StructType``.

        Args:
            frame: The frame.

        Raises:
            ConfigurationError: It lacks the column of texts, or has columns of the new names.
        """
        schema = frame.schema
        self.require_names(schema.names)
        extended = type(schema)(list(schema.fields))  # adding to it would change the frame's own
        for name, kind in self.kinds():
            extended.add(name, SPARK_TYPES[kind])
        return extended

    def dask_meta(self, frame: Any) -> Any:
        """What ``map_partitions`` of Dask wants to know of the result beforehand: an empty data frame.

        Args:
            frame: The Dask data frame.

        Raises:
            ConfigurationError: It lacks the column of texts, or has columns of the new names.
        """
        return self(frame._meta)  # noqa: SLF001  # Dask's documents name it so

    def kinds(self) -> list[tuple[str, Kind]]:
        """Names and kinds of the columns that are added."""
        added: list[tuple[str, Kind]] = list(COLUMNS)
        if self.with_revision:
            added.append(("revision", "whole"))
        if self.errors == "keep":
            added.append(("error", "text"))
        return [(self.prefix + name, kind) for name, kind in added]

    def require_names(self, names: Sequence[object]) -> None:
        """Check that a batch of these columns can be labelled.

        Raises:
            ConfigurationError: The column of texts is not among them, or one that would be added is.
        """
        if self.text not in names:
            raise ConfigurationError(
                f"there is no column {shorten(self.text)}: name one of {shorten(list(names), 200)} with text=..."
            )
        taken = [name for name, _ in self.kinds() if name in names]
        if taken:
            raise ConfigurationError(f"there is a column {taken[0]!r} already: put something before it with prefix=...")

    def columns(self, texts: Sequence[object], *, start: int = 0) -> list[Column]:
        """The columns for some texts; None = a missing one.

        Args:
            texts: The texts.
            start: The number of the first of them, for messages.

        Raises:
            SynaptoRouteError: As a call of the batch itself.
        """
        rows: list[tuple[Any, ...]] = []
        options = None if self.allowed is None else RouteOptions(allowed=self.allowed)
        for place in range(0, len(texts), CHUNK):
            # A missing text gets the error of an empty one, which says less.
            part = ["" if text is None else text for text in texts[place : place + CHUNK]]
            outcomes: Sequence[Outcome] = self.router().route_each(part, options=options)  # type: ignore[arg-type]
            rows += map(self._row, outcomes, texts[place : place + CHUNK], range(start + place, start + len(texts)))
        kinds = self.kinds()
        values = zip(*rows, strict=True) if rows else [()] * len(kinds)
        return [Column(name, kind, each) for (name, kind), each in zip(kinds, values, strict=True)]

    def router(self) -> AdaptiveRouter:
        """The router of this process, opened if it is not yet.

        Raises:
            ConfigurationError: The routes were encoded by another encoder.
            EncoderError: The model cannot be loaded.
        """
        if self._opened is None or not self._opened.usable:
            frozen = self.frozen if self._process == os.getpid() else self.frozen.apart()
            self._opened = ROUTERS.get(self._token, lambda: frozen.open(workers=self.workers))
        return self._opened.router

    def _row(self, outcome: Outcome, text: object, number: int) -> tuple[Any, ...]:
        revision = (self.frozen.revision,) if self.with_revision else ()
        if isinstance(outcome, Decision):
            found = (outcome.route, outcome.score, outcome.margin, outcome.confidence, outcome.reason)
            return (*found, *revision, *((None,) if self.errors == "keep" else ()))
        message = "the text is missing" if text is None else str(outcome)
        if self.errors == "raise":
            if not isinstance(outcome, InvalidTextError | EncoderError):
                raise outcome
            kind = InvalidTextError if isinstance(outcome, InvalidTextError) else EncoderError
            raise kind(f"row {number:,}: {message}; errors='keep' (--errors keep) notes it in a column")
        return (*(None,) * len(COLUMNS), *revision, message)

    def __getstate__(self) -> dict[str, Any]:
        """All but what is open."""
        return {**vars(self), "_opened": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _process=os.getpid())

    def __repr__(self) -> str:
        return f"RouteBatch({self.frozen!r}, text={self.text!r})"


def _frozen(
    router: AdaptiveRouter | FrozenRoutes | None,
    routes: str | Path | None,
    store: str | Path | None,
    encoder: Encoder | str | None,
    config: RouterConfig | None,
) -> FrozenRoutes:
    given = [name for name, value in (("router", router), ("routes", routes), ("store", store)) if value is not None]
    if len(given) != 1:
        found = f"{' and '.join(given)} are" if given else "nothing is"
        raise ConfigurationError(f"{found} given: pass one of a router, routes='routes.yaml', store='routes.sqlite'")
    for name, place in (("routes", routes), ("store", store)):
        if not isinstance(place, str | Path | None):
            raise ConfigurationError(f"{name} = {shorten(place)}: give a path as a string or Path")
    if not isinstance(encoder, str | None):
        resolve_encoder(encoder)  # says here that it is none, rather than in a cluster
    if routes is not None:
        return FrozenRoutes.load(routes, encoder=encoder, config=config)
    if store is not None:
        return FrozenRoutes.read(store, encoder=encoder, config=config)
    if config is not None:
        raise ConfigurationError("config is given beside a router, which has settings of its own: leave it out")
    frozen = router if isinstance(router, FrozenRoutes) else FrozenRoutes.of(router)  # type: ignore[arg-type]
    return frozen.with_encoder(encoder)


def _require_routes(frozen: FrozenRoutes, revision: int | None) -> None:
    if not frozen.routes:
        # A query is answered then; hours of them would be spent on nothing, often for a mistyped namespace.
        raise ConfigurationError("there are no routes: name the file or store that holds them")
    if revision is not None and revision != frozen.revision:
        raise ConfigurationError(
            f"the routes are at revision {frozen.revision}, this run was to use revision {revision}: start it anew, "
            "and hand it FrozenRoutes.of(router), which no change reaches"
        )


def _allowed(frozen: FrozenRoutes, allowed: Collection[str] | None) -> list[str] | None:
    """The names as a list, if the routes are there."""
    if allowed is None:
        return None
    names = sorted(RouteOptions(allowed=allowed).allowed or ())
    known = [route.name for route in frozen.routes]
    for name in names:
        if name not in known:
            raise RouteNotFoundError(name, known)
    return names
