"""Around every request: its number, its line in the log, its place in the figures, its span, and safe headers."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from synaptoroute_integrations.escaping import visible
from synaptoroute_integrations.server.auth import required_scope
from synaptoroute_integrations.server.logs import cause_of
from synaptoroute_integrations.server.problems import ProblemError, given_up, problem_of
from synaptoroute_integrations.server.service import Service
from synaptoroute_integrations.server.waiting import ClientGoneError

access = logging.getLogger("synaptoroute_integrations.server.access")
logger = logging.getLogger(__name__)

REQUEST_ID = re.compile(r"[\w.\-]{1,64}", re.ASCII)
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
NOWHERE = "other"
"""The path, or the method, in figures of what leads nowhere: strangers must not make labels."""
CLIENT_GONE = 499  # nginx's number for it
LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Observer:
    """Notes what happens to each request, and is the last to know an error.

    Args:
        app: The application.
        service: Has the figures and the spans.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        self._tracing = service.tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        if self._tracing is None or not self._tracing.is_on:
            await self._serve(scope, receive, send, request_id)
            return
        method = _method(scope)
        with self._tracing.span(method, headers) as span:
            status = await self._serve(scope, receive, send, request_id)
            span.end_with(status, method, _path(scope))

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> int:
        """Serve a request; its status."""
        started = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._complete(MutableHeaders(scope=message), request_id)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except ClientGoneError:
            status = CLIENT_GONE
        except (Exception, asyncio.CancelledError) as error:
            problem = self._problem_of(error, scope, request_id)
            if status and isinstance(error, Exception):
                raise  # the answer has begun: all that is left is to break it off
            if not status:  # else the server sees that the answer is not whole, and breaks it off
                await problem.response(request_id)(scope, receive, sending)
        self._note(scope, status, time.perf_counter() - started, request_id)
        return status

    def _problem_of(self, error: BaseException, scope: Scope, request_id: str) -> ProblemError:
        """What to tell the client; raises the cancellation of who knows no other way to end."""
        if not isinstance(error, Exception):
            if self._service.gave_up:
                return given_up(changes=_changes(scope))
            raise error
        # Without the error's words, which may be those of a text.
        logger.error("request %s failed: %s", request_id, cause_of(error))
        return problem_of(error)

    def _complete(self, headers: MutableHeaders, request_id: str) -> None:
        headers["X-Request-ID"] = request_id
        for name, value in SAFE_HEADERS.items():
            headers[name] = value
        headers.setdefault("Cache-Control", "no-store")
        if self._service.phase == "draining":
            headers["Connection"] = "close"  # on this one, the client's next request could find nobody

    def _note(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        method, path = scope["method"], _path(scope)
        self._service.metrics.request(_method(scope), path, status, seconds)
        if access.isEnabledFor(logging.INFO):
            shown = visible(scope["path"])[:200] if path == NOWHERE else path
            fields = {
                "method": method,
                "path": shown,
                "status": status,
                "ms": round(1000 * seconds, 2),
                "request_id": request_id,
                "key": scope["state"].get("key"),
            }
            access.info("%s %s %d", method, shown, status, extra={"fields": fields})


def _changes(scope: Scope) -> bool:
    """Whether a request is one to change something."""
    return scope["method"] not in LOOKS and required_scope(scope["method"], scope["path"]) == "admin"


def _method(scope: Scope) -> str:
    """The method, if it is one that people know."""
    return scope["method"] if scope["method"] in METHODS else NOWHERE


def _path(scope: Scope) -> str:
    """The template of the path, of which there are few."""
    return getattr(scope.get("route"), "path", None) or NOWHERE
