"""The door: who comes in, how much they may carry, and how many are inside at once."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from synaptoroute_integrations.server.auth import Key, required_scope
from synaptoroute_integrations.server.auth import Scope as Access
from synaptoroute_integrations.server.problems import ProblemError, draining, retry_later
from synaptoroute_integrations.server.service import Service
from synaptoroute_integrations.server.settings import ServerSettings

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
"""What proxies add: the request is another machine's, whoever brings it."""
OWN_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
HEALTH = frozenset({"/health/live", "/health/ready"})
"""What is answered by any name: who watches over containers asks for them by address."""
ALWAYS = HEALTH | {"/metrics"}
"""What is answered while the service stops, and does not keep it from stopping."""
STREAM = "/route/stream"


class Guard:
    """Lets requests in or answers in the application's place. Nothing of a refused request's body is read.

    Args:
        app: The application.
        service: Knows the keys and counts who is inside.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        self._settings = service.settings
        self._hosts = _hosts(service.settings, keyless=service.keys is None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._admit(scope, headers)
        except ProblemError as problem:
            if problem.is_refusal:
                self._service.metrics.rejected(problem.slug)
            await problem.response(scope["state"].get("request_id"))(scope, receive, send)
            return
        if scope["path"] in ALWAYS:
            await self._app(scope, receive, send)
            return
        with self._service.inside():
            await self._app(scope, self._bounded(scope, receive), send)

    def _admit(self, scope: Scope, headers: Headers) -> None:
        """Check all that can be checked without the body.

        Raises:
            ProblemError: It does not come in.
        """
        if scope["path"] not in HEALTH:
            self._check_host(headers)
        needed = required_scope(scope["method"], scope["path"])
        key = None if needed is None else self._check_key(needed, scope, headers)
        if scope["path"] in ALWAYS:
            return
        if self._service.phase == "draining":
            raise draining()
        if self._service.in_flight >= self._settings.max_in_flight:
            detail = f"{self._service.in_flight:,} requests are at work, as many as this service takes on"
            raise retry_later(429, "overloaded", detail, 1.0)
        if needed is not None:  # half a page's files make no page
            self._check_rate(scope, key)
            self._check_pulse()
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:19]) > self._limit(scope):
            raise self._too_large(scope)

    def _check_host(self, headers: Headers) -> None:
        if self._hosts and _host_of(headers.get("host", "")) not in self._hosts:
            raise ProblemError(403, "forbidden", "this service does not answer to the name in the Host header")

    def _check_key(self, needed: Access, scope: Scope, headers: Headers) -> Key | None:
        """The key of a request; None = the service has none.

        Raises:
            ProblemError: It needs one, or another.
        """
        if self._service.keys is None:
            if not _is_local(scope) or any(name in headers for name in FORWARDED):
                detail = "this service has no keys and so answers its own machine only; give it keys to open it"
                raise ProblemError(403, "forbidden", detail)
            scope["state"]["scope"] = "admin"
            return None
        kind, _, secret = headers.get("authorization", "").partition(" ")
        key = self._service.keys.find(secret.strip()) if kind.lower() == "bearer" else None
        if key is None:
            detail = "send a key that this service knows as Authorization: Bearer KEY"
            raise ProblemError(401, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})
        scope["state"].update(key=key.name, scope=key.scope)
        if not key.allows(needed):
            raise ProblemError(403, "forbidden", f"this needs a key of scope {needed!r}, and yours is {key.scope!r}")
        return key

    def _check_rate(self, scope: Scope, key: Key | None) -> None:
        if self._service.limiter is None:
            return
        client = scope.get("client")
        wait = self._service.limiter.take(f"key {key.name}" if key is not None else str(client[0] if client else ""))
        if wait:
            raise retry_later(429, "rate-limited", f"{self._settings.rate_limit:g} requests per second are yours", wait)

    def _check_pulse(self) -> None:
        late, bound = self._service.late_s, self._settings.max_queue_s
        if bound is not None and late > bound:
            raise retry_later(429, "overloaded", f"requests wait {late:.2f} s before they are looked at", late)

    def _limit(self, scope: Scope) -> int:
        return self._settings.max_stream_bytes if scope["path"] == STREAM else self._settings.max_body_bytes

    def _too_large(self, scope: Scope) -> ProblemError:
        return ProblemError(413, "payload-too-large", f"a body may have {self._limit(scope):,} bytes here")

    def _bounded(self, scope: Scope, receive: Receive) -> Callable[[], Awaitable[Message]]:
        """``receive``, with bounds on how much comes and how long it takes; afterwards it waits for ever."""
        limit, received = self._limit(scope), 0
        deadline = time.monotonic() + self._settings.body_timeout_s
        whole = False

        async def bounded() -> Message:
            nonlocal received, whole
            if whole:
                return await receive()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    message = await receive()
            except TimeoutError:
                detail = f"the body did not arrive within {self._settings.body_timeout_s:g} s"
                raise ProblemError(408, "request-timeout", detail, headers={"Connection": "close"}) from None
            received += len(message.get("body", b""))
            if received > limit:
                raise self._too_large(scope)
            whole = not message.get("more_body", False)
            return message

        return bounded


def _hosts(settings: ServerSettings, *, keyless: bool) -> frozenset[str]:
    """Names to answer to; empty = any. Without keys, a page of another origin could reach the service by a name
    that its owner lets point to this machine.
    """  # noqa: D205  # one thought
    named = frozenset(host.lower() for host in settings.allowed_hosts)
    return named | OWN_HOSTS if named or keyless else named


def _host_of(header: str) -> str:
    """The name in a Host header, without port and brackets."""
    name = header.rsplit(":", 1)[0] if not header.endswith("]") and ":" in header else header
    return name.strip("[]").lower()


def _is_local(scope: Scope) -> bool:
    """Whether a request comes from this machine; one over a Unix socket has no address."""
    client = scope.get("client")
    if client is None:
        return True
    try:
        address = ipaddress.ip_address(client[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
