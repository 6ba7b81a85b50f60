"""The routes of a service as they were last seen, and choices among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from synaptoroute_core import Choices, ConfigurationError, Route, RouteNotFoundError, RouteOptions
from synaptoroute_core.errors import shorten
from synaptoroute_core.types import ROUTE_NAME
from synaptoroute_integrations.remote.exchange import Deadline, Operation, Request
from synaptoroute_integrations.remote.problems import foreign, member, read, unpack


@dataclass(frozen=True, slots=True)
class Seen:
    """The routes of one answer.

    Attributes:
        etag: What the service calls them.
        revision: Their revision.
        routes: The routes by name.
    """

    etag: str
    revision: int
    routes: Mapping[str, Route]


class RemoteChoices(Choices):
    """Choices for a service: routes that it has, and others that go along with each request.

    Args:
        stored: Names of routes that the service has. One that is removed later is passed over.
        extra: The others.
    """

    def __init__(self, stored: Iterable[str], extra: Iterable[Route]) -> None:
        self.stored = frozenset(stored)
        self.extra = tuple(extra)
        super().__init__([*self.stored, *(route.name for route in self.extra)])

    def among(self, known: Mapping[str, Route]) -> RemoteChoices:
        """The same without the stored routes that are gone."""
        return RemoteChoices(self.stored & known.keys(), self.extra)


class Catalogue:
    """Remembers the routes, so that they travel only when they have changed."""

    def __init__(self) -> None:
        self.revision: int | None = None
        self._seen: Seen | None = None

    @property
    def seen(self) -> Seen | None:
        """The routes as they were last seen, without a request; None = they never were."""
        return self._seen

    def note(self, revision: int) -> None:
        """Keep the revision that an answer spoke of."""
        self.revision = revision

    def routes(self, deadline: Deadline) -> Operation[Mapping[str, Route]]:
        """The routes as they are now: one request, which carries them only if they have changed."""
        seen = self._seen  # one read: another thread may replace it
        headers = {} if seen is None else {"If-None-Match": seen.etag}
        answer = yield Request(method="GET", path="/routes", deadline=deadline, headers=headers)
        if answer.status == HTTPStatus.NOT_MODIFIED and seen is not None:
            self.note(seen.revision)
            return seen.routes
        data = unpack(answer)
        revision, listed = member(data, "revision", answer), member(data, "routes", answer)
        if not isinstance(revision, int) or not isinstance(listed, list):
            raise foreign(answer)
        routes = MappingProxyType({route.name: route for route in (read(Route, each, answer) for each in listed)})
        etag = answer.headers.get("etag")
        self._seen = None if etag is None else Seen(etag, revision, routes)
        self.note(revision)
        return routes

    def choose(self, names: Iterable[str], extra: Iterable[Route], deadline: Deadline) -> Operation[RemoteChoices]:
        """Check a choice.

        Raises:
            RouteNotFoundError: One of ``names`` is not there.
            ConfigurationError: Two of the routes have one name, or something else is no route.
        """
        stored = RouteOptions(allowed=list(names)).allowed or ()
        others = list(extra)
        known = (yield from self.routes(deadline)) if stored else {}
        for name in stored:
            if name not in known:
                raise RouteNotFoundError(name, known)
        taken = set(stored)
        for route in others:
            if not isinstance(route, Route):
                raise ConfigurationError(f"expected a Route, got {shorten(route)}")
            if route.name in taken:
                raise ConfigurationError(f"two of the choices are named {route.name!r}")
            taken.add(route.name)
        return RemoteChoices(stored, others)

    def require_name(self, name: object, deadline: Deadline) -> Operation[str]:
        """The name, if a route can have it; otherwise none does, and there is no need to ask for it.

        Raises:
            RouteNotFoundError: No route can be named so.
        """
        if not can_be_named(name):
            raise RouteNotFoundError(name, (yield from self.routes(deadline)))  # type: ignore[arg-type]  # any value
        return str(name)


def can_be_named(name: object) -> bool:
    """Whether a route can have this name."""
    return isinstance(name, str) and ROUTE_NAME.fullmatch(name) is not None


def body_of(route: Route) -> dict[str, Any]:
    """A route as JSON data."""
    return route.model_dump(mode="json")
