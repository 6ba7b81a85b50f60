"""The client's changes, blocking and awaitable, under the names that the engine has for them."""

from __future__ import annotations

from collections.abc import Iterable

from synaptoroute_core import Receipt, Route
from synaptoroute_integrations.remote.connections import Connections
from synaptoroute_integrations.remote.edits import Edits


class RemoteChanging:
    """Methods that change routes; they need a key of scope ``admin``.

    Each takes an ``expected_revision``, as the engine's do: the revision that its author had seen. If the routes are
    at another one by then, the change is refused with ``RevisionConflictError``. None = whatever they are at.

    A change is sent again only if it surely was not made: where the service refused it for now, or could not be
    reached. If the connection breaks or the time is over in the middle of one, the error says that nobody knows.
    All of them raise, beside what is said there, ``RemoteError``, ``RouterTimeoutError`` and ``RouterClosedError``.
    """

    _connections: Connections
    _edits: Edits

    def add_route(self, route: Route, *, overwrite: bool = False, expected_revision: int | None = None) -> Receipt:
        """Add a route, or replace the one of its name.

        Args:
            route: The route.
            overwrite: Replace a route of the same name.
            expected_revision: As for every change here.

        Raises:
            RouteExistsError: The name is taken and ``overwrite`` is False.
            RevisionConflictError: The routes are not at ``expected_revision``.
            EncoderError: An utterance could not be encoded.
            StorageError: It could not be stored; nothing has changed.
        """
        return self._connections.run(self._edits.put(route, expected_revision, overwrite=overwrite))

    async def aadd_route(
        self, route: Route, *, overwrite: bool = False, expected_revision: int | None = None
    ) -> Receipt:
        """The awaitable twin of :meth:`add_route`."""
        return await self._connections.arun(self._edits.put(route, expected_revision, overwrite=overwrite))

    def remove_route(self, name: str, *, expected_revision: int | None = None) -> Receipt:
        """Remove a route.

        Raises:
            RouteNotFoundError: There is none of that name.
            RevisionConflictError: The routes are not at ``expected_revision``.
            StorageError: It could not be stored; nothing has changed.
        """
        return self._connections.run(self._edits.remove(name, expected_revision))

    async def aremove_route(self, name: str, *, expected_revision: int | None = None) -> Receipt:
        """The awaitable twin of :meth:`remove_route`."""
        return await self._connections.arun(self._edits.remove(name, expected_revision))

    def add_utterances(self, name: str, texts: Iterable[str], *, expected_revision: int | None = None) -> Receipt:
        """Add utterances to a route; those that it has already, but for case and spacing, are skipped.

        Raises:
            RouteNotFoundError: There is no route of that name.
            RevisionConflictError: The routes are not at ``expected_revision``.
            InvalidTextError: A text is not usable; none was added.
            StorageError: It could not be stored; nothing has changed.
        """
        return self._connections.run(self._edits.change_utterances("POST", name, texts, expected_revision))

    async def aadd_utterances(
        self, name: str, texts: Iterable[str], *, expected_revision: int | None = None
    ) -> Receipt:
        """The awaitable twin of :meth:`add_utterances`."""
        return await self._connections.arun(self._edits.change_utterances("POST", name, texts, expected_revision))

    def remove_utterances(self, name: str, texts: Iterable[str], *, expected_revision: int | None = None) -> Receipt:
        """Remove utterances from a route, found without regard to case and spacing.

        Raises:
            RouteNotFoundError: There is no route of that name.
            RevisionConflictError: The routes are not at ``expected_revision``.
            InvalidTextError: The route has no such utterance; none was removed.
            ConfigurationError: The route would be left without utterances.
            StorageError: It could not be stored; nothing has changed.
        """
        return self._connections.run(self._edits.change_utterances("DELETE", name, texts, expected_revision))

    async def aremove_utterances(
        self, name: str, texts: Iterable[str], *, expected_revision: int | None = None
    ) -> Receipt:
        """The awaitable twin of :meth:`remove_utterances`."""
        return await self._connections.arun(self._edits.change_utterances("DELETE", name, texts, expected_revision))

    def update_threshold(self, name: str, value: float | None, *, expected_revision: int | None = None) -> Receipt:
        """Set the least score at which a route is chosen; None = the router's.

        Raises:
            RouteNotFoundError: There is no route of that name.
            RevisionConflictError: The routes are not at ``expected_revision``.
            ConfigurationError: The value is not a number from -1 to 1.
            StorageError: It could not be stored; nothing has changed.
        """
        return self._connections.run(self._edits.set_threshold(name, value, expected_revision))

    async def aupdate_threshold(
        self, name: str, value: float | None, *, expected_revision: int | None = None
    ) -> Receipt:
        """The awaitable twin of :meth:`update_threshold`."""
        return await self._connections.arun(self._edits.set_threshold(name, value, expected_revision))
