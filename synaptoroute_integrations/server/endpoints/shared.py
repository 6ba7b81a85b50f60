"""What endpoints have in common: the service, revisions in headers, and what they answer when something is wrong."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeAlias
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from pydantic import BaseModel, WithJsonSchema

from synaptoroute_core import Receipt
from synaptoroute_integrations.server.problems import MEDIA_TYPE, ProblemError
from synaptoroute_integrations.server.service import Service
from synaptoroute_integrations.server.strict import StrictRoute

JSON = "application/json"
REVISION_TAG = re.compile(r'(?:W/)?"(\d{1,18})(?:\.([0-9a-f]{1,32}))?"', re.ASCII)
"""A weak tag, which is what a proxy that compresses answers makes of ours, names the same revision."""


async def service_of(request: Request) -> Service:
    """The service that the application serves."""
    service: Service = request.app.state.service
    return service


async def expected_revision(
    request: Request,
    if_match: Annotated[
        str | None,
        Header(
            description='The `ETag` of the routes that were seen, such as `"7"`; the change is refused with 412 if '
            "they have changed since.",
            max_length=64,
        ),
        WithJsonSchema({"type": "string", "pattern": r'^(\*|(W/)?"[0-9]{1,18}(\.[0-9a-f]{1,32})?")$'}),
    ] = None,
) -> int | None:
    """The revision that the author of a change has seen; None = whatever it is.

    Raises:
        ProblemError: The header is no revision, or one of other routes.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    found = REVISION_TAG.fullmatch(if_match.strip())
    if found is None:
        raise ProblemError(422, "invalid-request", f'If-Match: {if_match[:64]!r} is no ETag of the routes, such as "7"')
    service = await service_of(request)
    if found[2] is not None and found[2] != service.epoch:
        detail = "the service was started anew, or its store was made anew, since the routes were seen: read them again"
        raise ProblemError(412, "revision-conflict", detail, expected=int(found[1]), revision=service.router.revision)
    return int(found[1])


# The two above wait for nothing; were they no coroutines, each would be run in another thread.
ServiceOf: TypeAlias = Annotated[Service, Depends(service_of)]
Expected: TypeAlias = Annotated[int | None, Depends(expected_revision)]
NamePath: TypeAlias = Annotated[str, Path(description="The route's name.", max_length=128, examples=["refund"])]


def router(*, tags: list[str]) -> APIRouter:
    """A group of endpoints whose bodies are read strictly."""
    return APIRouter(route_class=StrictRoute, tags=list(tags))


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What an endpoint may answer beside success, for the API page."""
    every = {401, 403, 429, 503, *statuses}
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": WHEN[status], "content": content} for status in sorted(every)}


WHEN = {
    400: "The body is not JSON.",
    401: "There is no key, or an unknown one.",
    403: "The key's scope does not allow this.",
    404: "There is no such thing.",
    408: "The body did not arrive in time.",
    409: "A route of this name exists.",
    412: "The routes have changed since the revision of `If-Match`.",
    413: "The body is too large.",
    415: "The body is not sent as JSON.",
    422: "Something in the request is not valid.",
    429: "Too much is waiting, or the key's rate is used up: see `Retry-After`.",
    500: "The service failed.",
    503: "The service is stopping, or its store cannot be reached: see `Retry-After`; without it, a change may have "
    "been made.",
    504: "There was no decision in time.",
}
BODY = (400, 408, 413, 415, 422)


def json_of(value: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A value as it is: it was checked when it was made."""
    return Response(value.model_dump_json(), status_code=status, media_type=JSON, headers=headers)


def etag(service: Service, revision: int) -> dict[str, str]:
    """The header that names a revision and the store that it is one of; in memory, the start."""
    return {"ETag": f'"{revision}"' if service.epoch is None else f'"{revision}.{service.epoch}"'}


def receipt(service: Service, done: Receipt, *, status: int = 200, location: str | None = None) -> Response:
    """The answer to a change."""
    where = {} if location is None else {"Location": quote(location)}  # headers are ASCII, names need not be
    return json_of(done, status=status, headers={**etag(service, done.revision), **where})
