"""Endpoints for the routes: to see them and to change them."""

from __future__ import annotations

import contextlib
from typing import Annotated

from fastapi import Header, Response

from synaptoroute_core import Receipt, Route, RouteExistsError, RouteNotFoundError
from synaptoroute_integrations.server.endpoints.shared import (
    BODY,
    Expected,
    NamePath,
    ServiceOf,
    etag,
    json_of,
    problems,
    receipt,
    router,
)
from synaptoroute_integrations.server.problems import ProblemError
from synaptoroute_integrations.server.schemas import RouteBody, Routes, RouteSettings, ThresholdBody, UtterancesBody

NOT_IN_A_PATH = (".", "..")
"""Names that clients take for folders when they stand in a URL."""

editing = router(tags=["routes"])


@editing.get(
    "/routes",
    summary="All routes",
    response_model=Routes,
    responses={304: {"description": "They are still at the revision of `If-None-Match`."}, **problems(422)},
)
async def list_routes(
    service: ServiceOf, if_none_match: Annotated[str | None, Header(max_length=1000)] = None
) -> Response:
    """The routes in the order in which they were added, with the revision as `ETag`."""
    found = service.router.routes
    revision = service.router.revision  # before they are read: a change meanwhile is seen next time
    headers = {**etag(service, revision), "Cache-Control": "no-cache"}
    if if_none_match is not None and _names_revision(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    routes = [route for name in list(found) if (route := _find(service, name)) is not None]
    return json_of(Routes(revision=revision, routes=routes), headers=headers)


@editing.post(
    "/routes",
    status_code=201,
    summary="Add a route",
    response_model=Receipt,
    responses={**problems(*BODY, 409, 412)},
)
async def add_route(body: RouteBody, service: ServiceOf, expected: Expected) -> Response:
    """Add a route whose name is not taken. When this is answered, the route is on disk and in force."""
    done = await service.router.aadd_route(_addressable(body.named()), expected_revision=expected)
    return receipt(service, done, status=201, location=f"/routes/{body.name}")


@editing.get("/routes/{name}", summary="One route", response_model=Route, responses={**problems(404, 422)})
async def get_route(name: NamePath, service: ServiceOf) -> Response:
    """A route with its utterances."""
    revision = service.router.revision
    found = _find(service, name)
    if found is None:
        raise RouteNotFoundError(name, service.router.routes)
    return json_of(found, headers={**etag(service, revision), "Cache-Control": "no-cache"})


@editing.put(
    "/routes/{name}",
    summary="Add or replace a route",
    response_model=Receipt,
    responses={201: {"model": Receipt, "description": "It was added."}, **problems(*BODY, 412)},
)
async def put_route(name: NamePath, body: RouteSettings, service: ServiceOf, expected: Expected) -> Response:
    """Put a route in the place of the one of this name, or add it."""
    route = _addressable(body.route(name))
    if name not in service.router.routes:
        with contextlib.suppress(RouteExistsError):  # somebody was quicker
            done = await service.router.aadd_route(route, expected_revision=expected)
            return receipt(service, done, status=201, location=f"/routes/{name}")
    return receipt(service, await service.router.aadd_route(route, overwrite=True, expected_revision=expected))


@editing.patch(
    "/routes/{name}",
    summary="Set a route's threshold",
    response_model=Receipt,
    responses={**problems(*BODY, 404, 412)},
)
async def patch_route(name: NamePath, body: ThresholdBody, service: ServiceOf, expected: Expected) -> Response:
    """Set the least score at which the route is chosen; null = the router's."""
    return receipt(service, await service.router.aupdate_threshold(name, body.threshold, expected_revision=expected))


@editing.delete(
    "/routes/{name}", summary="Remove a route", response_model=Receipt, responses={**problems(404, 412, 422)}
)
async def delete_route(name: NamePath, service: ServiceOf, expected: Expected) -> Response:
    """Remove a route and its utterances."""
    return receipt(service, await service.router.aremove_route(name, expected_revision=expected))


@editing.post(
    "/routes/{name}/utterances",
    summary="Add utterances",
    response_model=Receipt,
    responses={**problems(*BODY, 404, 412)},
)
async def add_utterances(name: NamePath, body: UtterancesBody, service: ServiceOf, expected: Expected) -> Response:
    """Add utterances; those that the route has already, but for case and spacing, are skipped."""
    return receipt(service, await service.router.aadd_utterances(name, body.utterances, expected_revision=expected))


@editing.delete(
    "/routes/{name}/utterances",
    summary="Remove utterances",
    response_model=Receipt,
    responses={**problems(*BODY, 404, 412)},
)
async def delete_utterances(name: NamePath, body: UtterancesBody, service: ServiceOf, expected: Expected) -> Response:
    """Remove utterances, found without regard to case and spacing; a route keeps at least one."""
    return receipt(service, await service.router.aremove_utterances(name, body.utterances, expected_revision=expected))


def _names_revision(if_none_match: str, etag: str) -> bool:
    """Whether the client has the revision. A proxy that compresses answers makes the tags weak."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or tags == ["*"]


def _find(service: ServiceOf, name: str) -> Route | None:
    """A route, unless there is none of the name, or none any more since the name was read."""
    try:
        return service.router.routes[name]
    except KeyError:
        return None


def _addressable(route: Route) -> Route:
    if route.name in NOT_IN_A_PATH:
        raise ProblemError(422, "invalid-request", f"a route named {route.name!r} could not be reached by its URL")
    return route
