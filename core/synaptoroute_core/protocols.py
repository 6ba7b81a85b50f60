"""What adapters need of a router: the engine in this process, or a client of one elsewhere."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol, cast, runtime_checkable

from synaptoroute_core.changes import Vectors
from synaptoroute_core.choices import Choices
from synaptoroute_core.errors import ConfigurationError, SynaptoRouteError, shorten
from synaptoroute_core.options import RouteOptions
from synaptoroute_core.types import Decision, Route


@runtime_checkable
class Router(Protocol):
    """Decides on texts. :class:`AdaptiveRouter` is one; :meth:`AdaptiveRouter.route` and so on say what each does.

    It has methods only: Python 3.11 evaluates properties to find out whether something is an instance of a
    protocol, and a property of a router elsewhere is a request.
    """

    def route(
        self,
        text: str,
        *,
        allowed: Collection[str] | None = None,
        options: RouteOptions | None = None,
        vector: Sequence[float] | Vectors | None = None,
        timeout: float | None = None,
    ) -> Decision:
        """Decide on one text."""
        ...

    async def aroute(
        self,
        text: str,
        *,
        allowed: Collection[str] | None = None,
        options: RouteOptions | None = None,
        vector: Sequence[float] | Vectors | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Decision:
        """The awaitable twin of :meth:`route`."""
        ...

    def route_each(
        self, texts: Sequence[str], *, options: RouteOptions | Sequence[RouteOptions | None] | None = None
    ) -> list[Decision | SynaptoRouteError]:
        """Decide on many texts of which some may fail."""
        ...

    async def aroute_each(
        self, texts: Sequence[str], *, options: RouteOptions | Sequence[RouteOptions | None] | None = None
    ) -> list[Decision | SynaptoRouteError]:
        """The awaitable twin of :meth:`route_each`."""
        ...

    def choices(self, names: Iterable[str] = (), extra: Iterable[Route] = ()) -> Choices:
        """Prepare a choice among some routes and others that are not stored."""
        ...

    async def achoices(self, names: Iterable[str] = (), extra: Iterable[Route] = ()) -> Choices:
        """The awaitable twin of :meth:`choices`."""
        ...

    def close(self) -> None:
        """Let go of what is held."""
        ...

    async def aclose(self) -> None:
        """The awaitable twin of :meth:`close`."""
        ...


class InspectableRouter(Router, Protocol):
    """A router that also says which routes it has, for adapters that match them to tools and choices.

    Attributes:
        routes: The routes by name.
        revision: Changes when the routes do. What was matched to them is matched again when it has.
    """

    @property
    def routes(self) -> Mapping[str, Route]:
        """See above."""
        ...

    @property
    def revision(self) -> int:
        """See above."""
        ...


def require_inspectable(value: object) -> InspectableRouter:
    """The value, if it is a router that says which routes it has; its properties are not evaluated.

    Raises:
        ConfigurationError: It is none.
    """
    missing = object()
    found = (inspect.getattr_static(value, name, missing) for name in ("routes", "revision"))
    if not isinstance(value, Router) or missing in found:
        raise ConfigurationError(f"router = {shorten(value)}: give an AdaptiveRouter or a RemoteRouter")
    return cast(InspectableRouter, value)
