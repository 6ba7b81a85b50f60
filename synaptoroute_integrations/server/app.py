"""The application: put together here, and nothing else."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from synaptoroute_core import AdaptiveRouter, EncoderError, RouteNotFoundError, StorageError, SynaptoRouteError
from synaptoroute_integrations.server.auth import required_scope
from synaptoroute_integrations.server.endpoints import pages
from synaptoroute_integrations.server.endpoints.asking import asking
from synaptoroute_integrations.server.endpoints.editing import editing
from synaptoroute_integrations.server.endpoints.learning import learning
from synaptoroute_integrations.server.endpoints.watching import watching
from synaptoroute_integrations.server.guarding import Guard
from synaptoroute_integrations.server.lifecycle import lifespan
from synaptoroute_integrations.server.logs import cause_of, configure_logging
from synaptoroute_integrations.server.observing import Observer
from synaptoroute_integrations.server.problems import STATUS_SLUGS, Problem, ProblemError, problem_of
from synaptoroute_integrations.server.service import Service
from synaptoroute_integrations.server.settings import ServerSettings

logger = logging.getLogger(__name__)

DESCRIPTION = """Chooses one of your routes for a text, locally and in milliseconds, or abstains.

Errors are problem details (RFC 9457). Changes take `If-Match` with the `ETag` of the routes that were seen, so that
two editors cannot overwrite each other. Where the service has keys, send one as `Authorization: Bearer KEY`: scope
`route` may ask and look, `admin` may also change."""

GROUPS = (asking, editing, learning, watching)
MAX_PROBLEMS = 20
MAX_PLACE_CHARS = 200
METHOD_NOT_ALLOWED = 405


def create_app(settings: ServerSettings | None = None, *, router: AdaptiveRouter | None = None) -> FastAPI:
    """The service as an ASGI application.

    Args:
        settings: Settings; None = from the environment, and the log is set up too, as for
            ``uvicorn 'synaptoroute_integrations.server:create_app' --factory``.
        router: The router to serve; it stays yours. None = the settings say which.

    Raises:
        ConfigurationError: A setting is not valid, or the keys cannot be read.
    """
    if settings is None:
        settings = ServerSettings.from_environment()
        configure_logging(settings)
    app = FastAPI(
        title="SynaptoRoute",
        version=version("synaptoroute-integrations"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "logs": False},  # newer FastAPIs': a second span, and records with texts
        redirect_slashes=False,  # where to would be for the Host header to say, which is the client's
    )
    service = app.state.service = Service(settings, router)
    for group in (*GROUPS, pages.documents):
        app.include_router(group)
    app.router.routes.append(pages.document_assets)
    if settings.playground:
        app.include_router(pages.playground)
        app.router.routes.append(pages.playground_assets)
    app.add_middleware(Guard, service=service)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["Authorization", "Content-Type", "If-Match", "If-None-Match", "X-Request-ID"],
            expose_headers=["ETag", "Location", "Retry-After", "X-Request-ID"],
        )
    app.add_middleware(Observer, service=service)
    app.add_exception_handler(SynaptoRouteError, _on_engine_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    _describe_keys(app)
    return app


async def _on_engine_error(request: Request, error: Exception) -> Response:
    in_path = isinstance(error, RouteNotFoundError) and request.path_params.get("name") == error.name
    problem = problem_of(error, in_path=in_path)
    if isinstance(error, EncoderError | StorageError):
        logger.error("request %s failed: %s", _request_id(request), cause_of(error))
    return _answer(request, problem)


async def _on_http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ProblemError):
        status = error.status_code if isinstance(error, HTTPException) else 500
        slug = STATUS_SLUGS.get(status, "internal")
        detail = {"not-found": "there is nothing at this path", "method-not-allowed": "try another method"}
        headers = {"Allow": _methods(request)} if status == METHOD_NOT_ALLOWED else None
        error = ProblemError(status, slug, detail.get(slug, "the request cannot be served"), headers=headers)
    return _answer(request, error)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    errors = [
        {"loc": ".".join(str(part) for part in each["loc"])[:MAX_PLACE_CHARS], "message": each["msg"]}
        for each in found[:MAX_PROBLEMS]
    ]
    detail = "; ".join(f"{each['loc']}: {each['message']}" for each in errors[:3])
    return ProblemError(422, "invalid-request", detail, errors=errors).response(_request_id(request))


def _answer(request: Request, problem: ProblemError) -> Response:
    if problem.is_refusal:
        request.app.state.service.metrics.rejected(problem.slug)
    return problem.response(_request_id(request))


def _methods(request: Request) -> str:
    """All that can be done at a path: the framework names the methods of one endpoint only."""
    endpoints = (each for group in GROUPS for each in group.routes if isinstance(each, APIRoute))
    found = {
        method for each in endpoints if each.path_regex.match(request.scope["path"]) for method in each.methods or ()
    }
    return ", ".join(sorted(found or {"GET"}))


def _request_id(request: Request) -> str | None:
    found: str | None = request.scope.get("state", {}).get("request_id")
    return found


def _describe_keys(app: FastAPI) -> None:
    """Have the interface's description say which requests need a key, and how problems look."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = describe()
            components = schema.setdefault("components", {})
            components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            components.setdefault("schemas", {}).setdefault("Problem", Problem.model_json_schema())
            for path, methods in schema["paths"].items():
                for method, operation in methods.items():
                    if required_scope(method.upper(), path) is not None:
                        operation["security"] = [{"key": []}]
        found: dict[str, Any] = app.openapi_schema or schema
        return found

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's way to extend the description
