"""The router: the one place that knows all the parts."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np

from synaptoroute_core.asking import Asking
from synaptoroute_core.changes import Vectors
from synaptoroute_core.changing import Changing, require_routes
from synaptoroute_core.closing import Closing
from synaptoroute_core.config import RouterConfig
from synaptoroute_core.contact import SyncStatus
from synaptoroute_core.editing import RouteEditor
from synaptoroute_core.encoders import Encoder, resolve_encoder
from synaptoroute_core.errors import ConfigurationError, RouteNotFoundError, shorten
from synaptoroute_core.files import load_routes, save_routes
from synaptoroute_core.fits import Fit
from synaptoroute_core.improving import Improving
from synaptoroute_core.index import RouteIndex
from synaptoroute_core.observing import BatchReport, Observer
from synaptoroute_core.refitting import Refitter
from synaptoroute_core.serving import QueryService
from synaptoroute_core.storage import MEMORY, Store
from synaptoroute_core.types import Route, RouterStats
from synaptoroute_core.views import (
    MAX_LISTED,
    Printer,
    RouterOverview,
    Rule,
    router_html,
    router_text,
    routes_html,
    write_text,
)
from synaptoroute_core.words import counted


class AdaptiveRouter(Asking, Changing, Improving, Closing):
    """Chooses a route for a text, or abstains. For any number of threads and event loops.

    Every method that blocks has an awaitable twin whose name begins with ``a``; both run the same
    code. Close the router when done, or use it in a ``with`` or ``async with`` statement.

    Args:
        routes: Added to what the store holds, or put in the place of routes of the same name.
        encoder: None = the bundled model; a string = a fastembed model name such as
            ``BAAI/bge-small-en-v1.5``; or an :class:`Encoder`.
        store: Path of a SQLite file, ``:memory:``, a URL such as ``postgresql://user@host/database``, or a
            :class:`Store`; what it holds is loaded.
        config: Settings.

    Raises:
        ConfigurationError: An argument is not valid.
        EncoderError: The model cannot be loaded.
        EncoderMismatchError: The store was made with another encoder, and the settings say to raise.
        StorageError: The store cannot be opened.
    """

    def __init__(
        self,
        routes: Iterable[Route] = (),
        *,
        encoder: Encoder | str | None = None,
        store: Store | str | Path = MEMORY,
        config: RouterConfig | None = None,
    ) -> None:
        self._config = config if config is not None else RouterConfig()
        self._encoder = resolve_encoder(encoder)
        self._store = store
        self._index = RouteIndex(self._encoder.dim)
        self._service = QueryService(self._encoder, self._index, self._config)
        self._editor = RouteEditor(store, self._index, self._encoder, self._config)
        # Weak methods: a thread that holds the router would keep it from being collected.
        refit, followed = weakref.WeakMethod(self._refit), weakref.WeakMethod(self._followed)
        self._refitter = Refitter(lambda stopping: _call_if_alive(refit, stopping))
        self._editor.on_followed = lambda: _call_if_alive(followed)
        self._finalizer = weakref.finalize(self, _close_forgotten, self._service, self._editor, self._refitter)
        try:
            given = require_routes(routes)
            if given:
                self._editor.put_routes(given, overwrite=True)
            self._refit_soon()
        except BaseException:
            self.close()
            raise

    @classmethod
    def from_file(cls, path: str | Path, **arguments: Any) -> Self:
        """A router with the routes of a YAML or JSON file.

        Args:
            path: The route file.
            **arguments: As for the constructor, without ``routes``.

        Raises:
            ConfigurationError: The file is not a route file; and what the constructor raises.
        """
        return cls(load_routes(path), **arguments)

    def export(self, path: str | Path) -> None:
        """Write the routes to a YAML or JSON file that :meth:`from_file` reads.

        Raises:
            ConfigurationError: The suffix is none of ``.yaml``, ``.yml`` and ``.json``.
            OSError: The file cannot be written.
        """
        save_routes(path, self.routes.values())

    # --- looking -------------------------------------------------------------------------------

    @property
    def routes(self) -> Mapping[str, Route]:
        """The routes by name, in the order in which they were added; a live, read-only view."""
        return _RoutesView(self._index)

    def vectors(self, name: str) -> Vectors:
        """The vectors of a route's utterances, in their order: unit rows, shape (utterances, dim), float32.

        Raises:
            RouteNotFoundError: There is no such route.
        """
        vectors = self._index.vectors_of(name)
        if not vectors:
            raise RouteNotFoundError(name, self._index.names())
        return np.stack(list(vectors.values()))

    @property
    def revision(self) -> int:
        """Number of the newest change in force; 0 for a router that never had a route."""
        return self._index.revision

    @property
    def epoch(self) -> str | None:
        """Which store the revision is one of: one that is made anew draws another; None in memory."""
        return self._index.epoch

    @property
    def behind_s(self) -> float:
        """Seconds since the router last knew that it had all that is in its store; 0 in memory.

        As in :meth:`sync_status`, which looks at all routes besides.
        """
        return self._editor.behind_s

    @property
    def encoder(self) -> Encoder:
        """The encoder in use."""
        return self._encoder

    @property
    def config(self) -> RouterConfig:
        """The settings."""
        return self._config

    def stats(self) -> RouterStats:
        """Counts since the router was opened, and what it holds now."""
        return self._service.stats()

    def sync_status(self) -> SyncStatus:
        """How close the router is to its store: what it has, how long ago it knew that this was all, what is wrong.

        ``behind_s`` is at most a little more than the time between two looks (``RouterConfig.follow_interval_s``)
        while all is well. A router whose store cannot be reached goes on with the routes that it has.
        """
        return self._editor.status()

    def observe_batches(self, hook: Callable[[BatchReport], None] | None) -> None:
        """Have a function called after each batch of queries, before those who wait for it get their answers.

        It is called in the threads that do the work, several at the same time, so keep it short. What it raises is
        logged, once for each kind of error, and reaches no caller.

        Args:
            hook: The function, in the place of an earlier one; None = none.

        Raises:
            ConfigurationError: It cannot be called.
        """
        if hook is not None and not callable(hook):
            raise ConfigurationError(f"hook = {shorten(hook)}: give a function of a BatchReport, or None")
        self._service.observer = Observer(hook)

    def __copy__(self) -> Self:
        """Itself: threads and an open store cannot be doubled, and whoever copies a chain shares them."""
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """What it takes to open the same router elsewhere: no model, no connection, no vectors.

        A router in memory carries its routes, which are encoded again; one with a store, the store.
        """
        arguments = {"encoder": self._encoder, "config": self._config}
        if not self._editor.shared:
            return _reopen, (type(self), {**arguments, "routes": tuple(self.routes.values())}, self._index.fits)
        store = self._store
        if isinstance(store, str | Path) and "://" not in str(store):
            store = str(Path(store).absolute())
        return _reopen, (type(self), {**arguments, "store": store}, ())

    def __repr__(self) -> str:
        return (
            f"AdaptiveRouter({counted(len(self._index), 'route')}, "
            f"{counted(self._index.utterance_count, 'utterance')}, revision {self.revision}, {self._encoder!r})"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return router_html(self._overview())

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:  # noqa: ARG002, FBT001  # as IPython calls it
        """What IPython shows where there is no HTML."""
        line = repr(self)
        write_text(printer, router_text(line, self._index.names()), line)

    def _overview(self) -> RouterOverview:
        head, least = self._index.snapshot().rule
        usual = self._config.threshold if head is None else self._config.min_confidence
        return RouterOverview(
            kind=type(self).__name__,
            routes=_first_routes(self.routes),
            total=len(self._index),
            utterances=self._index.utterance_count,
            revision=self.revision,
            encoder=self._encoder.fingerprint,
            rule=Rule(
                fitted=head is not None,
                least=usual if least is None else least,
                min_margin=self._config.min_margin,
                outdated=self._stale() is not None,
                refits=self._config.auto_refit,
            ),
            closed=not self._finalizer.alive,
        )

    # --- ending --------------------------------------------------------------------------------

    def close(self) -> None:
        """Answer what was accepted, within ``drain_timeout_s``, and let go of the store.

        Harmless when repeated. Queries and changes then raise :class:`RouterClosedError`.
        """
        self._finalizer.detach()
        self._refitter.close(self._config.drain_timeout_s)
        self._service.close()
        self._editor.close()


class _RoutesView(Mapping[str, Route]):
    """A read-only view of an index."""

    def __init__(self, index: RouteIndex) -> None:
        self._index = index

    def __getitem__(self, name: str) -> Route:
        return self._index.route(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._index.names())

    def __len__(self) -> int:
        return len(self._index)

    def __repr__(self) -> str:
        return f"<{counted(len(self), 'route')}: {', '.join(self)}>"

    def _repr_html_(self) -> str:
        return routes_html(_first_routes(self), len(self))


def _first_routes(routes: Mapping[str, Route]) -> list[Route]:
    """As many routes as are shown; one that is removed meanwhile is left out."""
    found = map(routes.get, islice(routes, MAX_LISTED))
    return [route for route in found if route is not None]


def _reopen(kind: type[AdaptiveRouter], arguments: dict[str, Any], fits: tuple[Fit, ...]) -> AdaptiveRouter:
    router = kind(**arguments)
    if fits:
        router._editor.restore_fits(fits)  # noqa: SLF001  # its own module
        router._refit_soon()  # noqa: SLF001
    return router


def _call_if_alive(method: weakref.WeakMethod[Any], *arguments: object) -> None:
    alive = method()
    if alive is not None:
        alive(*arguments)


def _close_forgotten(service: QueryService, editor: RouteEditor, refitter: Refitter) -> None:
    """Close the parts of a router that nobody closed: its threads would keep them for ever."""
    refitter.close(0.0)
    service.close()
    editor.close()
    warnings.warn("an AdaptiveRouter was not closed: use it in a with statement", ResourceWarning, stacklevel=2)
