"""The router's changes, blocking and awaitable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from synaptoroute_core.editing import RouteEditor
from synaptoroute_core.errors import ConfigurationError, shorten
from synaptoroute_core.types import Receipt, Route, clean_threshold


class Changing:
    """Methods that change routes. When one returns, the change is on disk and the next query sees it.

    Each takes an ``expected_revision``: the :attr:`~AdaptiveRouter.revision` that its author had seen. If the routes
    are at another one by then, whoever changed them, in this process or in another, the change is refused, even one
    that would change nothing. None = whatever they are at.

    Cancelling an awaitable one stops the waiting, not the change: what was handed to the store is
    finished.
    """

    _editor: RouteEditor
    _refit_soon: Callable[[], None]

    def add_route(self, route: Route, *, overwrite: bool = False, expected_revision: int | None = None) -> Receipt:
        """Add a route, or replace the one of its name.

        Args:
            route: The route.
            overwrite: Replace a route of the same name.
            expected_revision: As for every change here.

        Raises:
            RouteExistsError: The name is taken and ``overwrite`` is False.
            EncoderError: An utterance could not be encoded.
            RevisionConflictError: The routes are not at ``expected_revision``.
            StorageError: It could not be stored; nothing has changed.
        """
        return self._noted(
            self._editor.put_routes(require_routes([route]), overwrite=overwrite, expected=expected_revision)
        )

    async def aadd_route(
        self, route: Route, *, overwrite: bool = False, expected_revision: int | None = None
    ) -> Receipt:
        """The awaitable twin of :meth:`add_route`."""
        return await asyncio.to_thread(self.add_route, route, overwrite=overwrite, expected_revision=expected_revision)

    def remove_route(self, name: str, *, expected_revision: int | None = None) -> Receipt:
        """Remove a route.

        Raises:
            RouteNotFoundError: There is none of that name.
            RevisionConflictError: The routes are not at ``expected_revision``.
            StorageError: It could not be stored; nothing has changed.
        """
        return self._noted(self._editor.drop_route(name, expected=expected_revision))

    async def aremove_route(self, name: str, *, expected_revision: int | None = None) -> Receipt:
        """The awaitable twin of :meth:`remove_route`."""
        return await asyncio.to_thread(self.remove_route, name, expected_revision=expected_revision)

    def add_utterances(self, name: str, texts: Iterable[str], *, expected_revision: int | None = None) -> Receipt:
        """Add utterances to a route; those that it has already, but for case and spacing, are skipped.

        Raises:
            RouteNotFoundError: There is no route of that name.
            InvalidTextError: A text is not usable; none was added.
            RevisionConflictError: The routes are not at ``expected_revision``.
            StorageError: It could not be stored; nothing has changed.
        """
        return self._noted(self._editor.add_utterances(name, texts, expected=expected_revision))

    async def aadd_utterances(
        self, name: str, texts: Iterable[str], *, expected_revision: int | None = None
    ) -> Receipt:
        """The awaitable twin of :meth:`add_utterances`."""
        return await asyncio.to_thread(self.add_utterances, name, texts, expected_revision=expected_revision)

    def remove_utterances(self, name: str, texts: Iterable[str], *, expected_revision: int | None = None) -> Receipt:
        """Remove utterances from a route, found without regard to case and spacing.

        Raises:
            RouteNotFoundError: There is no route of that name.
            InvalidTextError: The route has no such utterance; none was removed.
            ConfigurationError: The route would be left without utterances.
            RevisionConflictError: The routes are not at ``expected_revision``.
            StorageError: It could not be stored; nothing has changed.
        """
        return self._noted(self._editor.drop_utterances(name, texts, expected=expected_revision))

    async def aremove_utterances(
        self, name: str, texts: Iterable[str], *, expected_revision: int | None = None
    ) -> Receipt:
        """The awaitable twin of :meth:`remove_utterances`."""
        return await asyncio.to_thread(self.remove_utterances, name, texts, expected_revision=expected_revision)

    def update_threshold(self, name: str, value: float | None, *, expected_revision: int | None = None) -> Receipt:
        """Set the least score at which a route is chosen; None = the router's.

        Raises:
            RouteNotFoundError: There is no route of that name.
            ConfigurationError: The value is not a number from -1 to 1.
            RevisionConflictError: The routes are not at ``expected_revision``.
            StorageError: It could not be stored; nothing has changed.
        """
        return self._editor.set_thresholds({name: clean_threshold(value)}, expected=expected_revision)

    async def aupdate_threshold(
        self, name: str, value: float | None, *, expected_revision: int | None = None
    ) -> Receipt:
        """The awaitable twin of :meth:`update_threshold`."""
        return await asyncio.to_thread(self.update_threshold, name, value, expected_revision=expected_revision)

    def _noted(self, receipt: Receipt) -> Receipt:
        """The receipt of a change of utterances, which may leave a fitted head behind."""
        self._refit_soon()
        return receipt


def require_routes(routes: Iterable[Route]) -> list[Route]:
    """The routes as a list.

    Raises:
        ConfigurationError: One of them is no :class:`Route`.
    """
    if not isinstance(routes, Iterable):
        raise ConfigurationError(f"expected a list of Route, got {type(routes).__name__}: {shorten(routes)}")
    given = list(routes)
    for route in given:
        if not isinstance(route, Route):
            raise ConfigurationError(f"expected a Route, got {type(route).__name__}: {shorten(route)}")
    return given
