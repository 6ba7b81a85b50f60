"""The router: the one place that knows all the parts."""

from __future__ import annotations

import asyncio
import warnings
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from synaptoroute_core.config import RouterConfig
from synaptoroute_core.editing import RouteEditor
from synaptoroute_core.encoders import Encoder, resolve_encoder
from synaptoroute_core.errors import ConfigurationError, RouteNotFoundError, RouterTimeoutError, shorten
from synaptoroute_core.files import load_routes, save_routes
from synaptoroute_core.index import RouteIndex
from synaptoroute_core.learning import EvaluationReport, evaluate_decisions
from synaptoroute_core.serving import QueryService
from synaptoroute_core.storage import MEMORY, Store
from synaptoroute_core.twins import AsyncTwins
from synaptoroute_core.types import (
    Decision,
    Example,
    Explanation,
    Receipt,
    Route,
    RouterStats,
    clean_threshold,
)

if TYPE_CHECKING:
    from concurrent.futures import Future


class AdaptiveRouter(AsyncTwins):
    """Chooses a route for a text, or abstains. For any number of threads and event loops.

    Every method that blocks has an awaitable twin whose name begins with ``a``; both run the same
    code. Close the router when done, or use it in a ``with`` or ``async with`` statement.

    Args:
        routes: Added to what the store holds, or put in the place of routes of the same name.
        encoder: None = the bundled model; a string = a fastembed model name such as
            ``BAAI/bge-small-en-v1.5``; or an :class:`Encoder`.
        store: Path of a SQLite file, ``:memory:``, or a :class:`Store`; what it holds is loaded.
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
        self._index = RouteIndex(self._encoder.dim)
        self._service = QueryService(self._encoder, self._index, self._config)
        self._editor = RouteEditor(store, self._index, self._encoder, self._config)
        self._finalizer = weakref.finalize(self, _close_forgotten, self._service, self._editor)
        try:
            given = _require_routes(routes)
            if given:
                self._editor.put_routes(given, overwrite=True)
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

    # --- asking --------------------------------------------------------------------------------

    def route(
        self, text: str, *, allowed: Collection[str] | None = None, timeout: float | None = None
    ) -> Decision:
        """Decide on one text.

        Args:
            text: The query.
            allowed: Route names to choose from; None = all.
            timeout: Seconds; None = ``RouterConfig.timeout_s``.

        Raises:
            InvalidTextError: The text is not a string, or is blank.
            RouteNotFoundError: ``allowed`` names a route that is not there.
            RouterOverloadedError: Too many queries are pending.
            RouterTimeoutError: There was no decision in time.
            RouterClosedError: The router is closed.
            EncoderError: The encoder failed on this text.
        """
        query = self._service.check(text, allowed)
        known = self._service.recall(query)
        if known is not None:
            return known
        timeout_s = self._timeout_s(timeout)
        future = self._service.submit(query, timeout_s)
        try:
            return future.result(timeout_s)
        except BaseException as error:
            raise _ended(future, error, timeout_s) from None

    async def aroute(
        self, text: str, *, allowed: Collection[str] | None = None, timeout: float | None = None
    ) -> Decision:
        """The awaitable twin of :meth:`route`; the event loop is not blocked."""
        query = self._service.check(text, allowed)
        known = self._service.recall(query)
        if known is not None:
            return known
        timeout_s = self._timeout_s(timeout)
        future = self._service.submit(query, timeout_s)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), timeout_s)
        except BaseException as error:
            raise _ended(future, error, timeout_s) from None

    def route_batch(self, texts: Sequence[str], *, allowed: Collection[str] | None = None) -> list[Decision]:
        """Decide on many texts; each gets the decision that it would get alone.

        Texts are handed in as room becomes free, so a batch may be larger than ``max_pending``.

        Returns:
            The decisions in the order of ``texts``.

        Raises:
            InvalidTextError: One of the texts is not usable; none was routed.
            RouterOverloadedError: Other callers fill the router.
            Others as :meth:`route`.
        """
        future = self._service.submit_all(self._service.check_all(texts, allowed))
        try:
            return _all_or_raise(future.result())
        except BaseException:
            future.cancel()
            raise

    async def aroute_batch(self, texts: Sequence[str], *, allowed: Collection[str] | None = None) -> list[Decision]:
        """The awaitable twin of :meth:`route_batch`; cancelling it stops handing in texts."""
        future = self._service.submit_all(self._service.check_all(texts, allowed))
        return _all_or_raise(await asyncio.wrap_future(future))

    def explain(self, text: str, *, allowed: Collection[str] | None = None) -> Explanation:
        """Decide on a text and say why: the nearest utterances and what would turn the decision.

        Raises:
            As :meth:`route`.
        """
        return self._service.explain(self._service.check(text, allowed))

    def evaluate(self, examples: Iterable[Example]) -> EvaluationReport:
        """Route labelled texts and compare.

        Args:
            examples: Pairs of a text and the name of its route, or None if it belongs to none.

        Raises:
            RouteNotFoundError: A label is no route's name.
            ConfigurationError: There are no examples.
            InvalidTextError: A text is not usable.
        """
        pairs = list(examples)
        names = list(self.routes)
        for _, label in pairs:
            if label is not None and label not in names:
                raise RouteNotFoundError(label, names)
        return evaluate_decisions(pairs, self.route_batch([text for text, _ in pairs]), names)

    # --- changing ------------------------------------------------------------------------------

    def add_route(self, route: Route, *, overwrite: bool = False) -> Receipt:
        """Add a route, or replace the one of its name.

        When this returns, the change is on disk and the next query sees it.

        Args:
            route: The route.
            overwrite: Replace a route of the same name.

        Raises:
            RouteExistsError: The name is taken and ``overwrite`` is False.
            EncoderError: An utterance could not be encoded.
            StorageError: It could not be stored; nothing has changed.
        """
        return self._editor.put_routes(_require_routes([route]), overwrite=overwrite)

    def remove_route(self, name: str) -> Receipt:
        """Remove a route.

        Raises:
            RouteNotFoundError: There is none of that name.
            StorageError: It could not be stored; nothing has changed.
        """
        return self._editor.drop_route(name)

    def add_utterances(self, name: str, texts: Iterable[str]) -> Receipt:
        """Add utterances to a route; those that it has already, but for case and spacing, are skipped.

        Raises:
            RouteNotFoundError: There is no route of that name.
            InvalidTextError: A text is not usable; none was added.
            StorageError: It could not be stored; nothing has changed.
        """
        return self._editor.add_utterances(name, texts)

    def remove_utterances(self, name: str, texts: Iterable[str]) -> Receipt:
        """Remove utterances from a route, found without regard to case and spacing.

        Raises:
            RouteNotFoundError: There is no route of that name.
            InvalidTextError: The route has no such utterance; none was removed.
            ConfigurationError: The route would be left without utterances.
            StorageError: It could not be stored; nothing has changed.
        """
        return self._editor.drop_utterances(name, texts)

    def update_threshold(self, name: str, value: float | None) -> Receipt:
        """Set the least score at which a route is chosen; None = the router's.

        Raises:
            RouteNotFoundError: There is no route of that name.
            ConfigurationError: The value is not a number from -1 to 1.
            StorageError: It could not be stored; nothing has changed.
        """
        return self._editor.set_thresholds({name: clean_threshold(value)})

    # --- looking -------------------------------------------------------------------------------

    @property
    def routes(self) -> Mapping[str, Route]:
        """The routes by name, in the order in which they were added; a live, read-only view."""
        return _RoutesView(self._index)

    @property
    def revision(self) -> int:
        """Number of the newest change in force; 0 for a router that never had a route."""
        return self._index.revision

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

    def __repr__(self) -> str:
        return (
            f"AdaptiveRouter({len(self._index)} routes, {self._index.utterance_count} utterances, "
            f"revision {self.revision}, {self._encoder!r})"
        )

    # --- ending --------------------------------------------------------------------------------

    def close(self) -> None:
        """Answer what was accepted, within ``drain_timeout_s``, and let go of the store.

        Harmless when repeated. Queries and changes then raise :class:`RouterClosedError`.
        """
        self._finalizer.detach()
        self._service.close()
        self._editor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _timeout_s(self, timeout: float | None) -> float | None:
        if timeout is None:
            return self._config.timeout_s
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout >= 0:
            raise ConfigurationError(f"timeout = {shorten(timeout)}: give seconds, 0 or more, or None")
        return float(timeout)


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
        return f"<{len(self)} routes: {', '.join(self)}>"


def _require_routes(routes: Iterable[Route]) -> list[Route]:
    given = list(routes)
    for route in given:
        if not isinstance(route, Route):
            raise ConfigurationError(f"expected a Route, got {type(route).__name__}: {shorten(route)}")
    return given


def _ended(future: Future[Decision], error: BaseException, timeout_s: float | None) -> BaseException:
    """What to raise when waiting for a decision ended in an error; the query is given up."""
    future.cancel()
    if isinstance(error, TimeoutError) and not isinstance(error, RouterTimeoutError) and timeout_s is not None:
        return RouterTimeoutError(timeout_s)
    return error


def _all_or_raise(results: list[Decision | Exception]) -> list[Decision]:
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results  # type: ignore[return-value]  # none is an exception


def _close_forgotten(service: QueryService, editor: RouteEditor) -> None:
    """Close the parts of a router that nobody closed: its threads would keep them for ever."""
    warnings.warn("an AdaptiveRouter was not closed: use it in a with statement", ResourceWarning, stacklevel=2)
    service.close()
    editor.close()
