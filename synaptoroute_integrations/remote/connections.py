"""The connections of a client: one pool for all threads of a process, and one for each event loop."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import warnings
import weakref
from collections.abc import AsyncGenerator
from typing import Any, TypeVar

import httpx

from synaptoroute_core import ConfigurationError, RouterClosedError
from synaptoroute_core.errors import shorten
from synaptoroute_integrations.remote.exchange import UNKNOWN, Answer, Exchange, Operation, Request
from synaptoroute_integrations.remote.problems import RemoteError
from synaptoroute_integrations.remote.settings import RemoteSettings

T = TypeVar("T")
Holder = AsyncGenerator[None, None]


class Connections:
    """Runs operations, blocking or awaitable.

    Args:
        settings: The client's.
    """

    def __init__(self, settings: RemoteSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._closed = False
        self._client: httpx.Client | None = None
        self._process = 0
        self._finalizer: Any = None
        self._held: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[httpx.AsyncClient, Holder]]
        self._held = weakref.WeakKeyDictionary()

    @property
    def closed(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._closed

    # --- running -------------------------------------------------------------------------------

    def run(self, operation: Operation[T]) -> T:
        """Carry an operation out in this thread.

        Raises:
            RouterClosedError: The connections are closed.
            RouterTimeoutError: A request's time was over.
            RemoteError: A request got no answer.
            Others: What the operation raises.
        """
        self._require_open()
        try:
            request = next(operation)
            while True:
                request = operation.send(self._answer(self._exchange(request)))
        except StopIteration as ended:
            result: T = ended.value
            return result

    async def arun(self, operation: Operation[T]) -> T:
        """The awaitable twin of :meth:`run`."""
        self._require_open()
        try:
            request = next(operation)
            while True:
                request = operation.send(await self._aanswer(self._exchange(request)))
        except StopIteration as ended:
            result: T = ended.value
            return result

    def _exchange(self, request: Request) -> Exchange:
        return Exchange(request, url=self._settings.url + request.path, retries=self._settings.retries)

    def _answer(self, exchange: Exchange) -> Answer:
        while True:
            try:
                answer = self._send(exchange)
            except httpx.RequestError as error:
                pause = exchange.pause_after_failure(error)
                if pause is None:
                    raise _unanswered(exchange, error) from error
            else:
                pause = exchange.pause_after(answer)
                if pause is None:
                    return answer
            time.sleep(pause)

    async def _aanswer(self, exchange: Exchange) -> Answer:
        while True:
            try:
                answer = await self._asend(exchange)
            except httpx.RequestError as error:
                pause = exchange.pause_after_failure(error)
                if pause is None:
                    raise _unanswered(exchange, error) from error
            else:
                pause = exchange.pause_after(answer)
                if pause is None:
                    return answer
            await asyncio.sleep(pause)

    # --- sending -------------------------------------------------------------------------------

    def _send(self, exchange: Exchange) -> Answer:
        client = self._blocking()
        request = client.build_request(
            exchange.request.method,
            exchange.url,
            content=exchange.content(),
            headers=exchange.headers(),
            extensions=exchange.extensions(),
        )
        response = client.send(request, stream=True)
        try:
            return exchange.answer(response, response.iter_bytes())
        finally:
            response.close()

    async def _asend(self, exchange: Exchange) -> Answer:
        client = await self._awaitable()
        request = client.build_request(
            exchange.request.method,
            exchange.url,
            content=exchange.content(),
            headers=exchange.headers(),
            extensions=exchange.extensions(),
        )
        limit = asyncio.timeout(exchange.left_s())
        try:
            async with limit:
                response = await client.send(request)
        except TimeoutError:
            if not limit.expired():
                raise
            raise exchange.out_of_time(sent=True) from None
        return exchange.answer(response, [response.content])

    # --- clients -------------------------------------------------------------------------------

    def _blocking(self) -> httpx.Client:
        """The client of this process: a forked child must not speak on its parent's connections."""
        client = self._client
        if client is not None and self._process == os.getpid() and not self._closed:
            return client
        with self._lock:
            self._require_open()
            if self._client is None or self._process != os.getpid():
                if self._finalizer is not None:
                    self._finalizer.detach()
                self._client = httpx.Client(transport=self._transport(httpx.BaseTransport), **self._arguments())
                self._process = os.getpid()
                self._finalizer = weakref.finalize(self, _close_forgotten, self._client)
            return self._client

    async def _awaitable(self) -> httpx.AsyncClient:
        """The client of the running event loop, whose sockets no other loop can use."""
        loop = asyncio.get_running_loop()
        held = self._held.get(loop)
        if held is not None:
            return held[0]
        client = httpx.AsyncClient(transport=self._transport(httpx.AsyncBaseTransport), **self._arguments())
        # Loops end the generators that were begun in them, and so close the client before they are closed themselves.
        holder = self._hold(loop, client)
        with self._lock:
            self._require_open()
            for other in [each for each in self._held if each.is_closed()]:
                del self._held[other]
            self._held[loop] = client, holder
        await anext(holder)  # does not wait
        return client

    async def _hold(self, loop: asyncio.AbstractEventLoop, client: httpx.AsyncClient) -> Holder:
        try:
            yield
        finally:
            with self._lock:
                self._held.pop(loop, None)
            await client.aclose()

    def _arguments(self) -> dict[str, Any]:
        return self._settings.client_arguments()

    def _transport(self, kind: type[T]) -> T | None:
        given = self._settings.transport
        if given is not None and not isinstance(given, kind):
            raise ConfigurationError(f"transport = {shorten(given)}: it has to be an httpx.{kind.__name__} for this")
        return given

    # --- ending --------------------------------------------------------------------------------

    def close(self) -> None:
        """Close what is open for threads. An event loop's connections close with it, or by :meth:`aclose`."""
        with self._lock:
            self._closed = True
            client, self._client = self._client, None
        if client is not None:
            self._finalizer.detach()
            if self._process == os.getpid():
                client.close()

    async def aclose(self) -> None:
        """Close what is open for threads and for the running event loop."""
        self.close()
        held = self._held.get(asyncio.get_running_loop())
        if held is not None:
            await held[1].aclose()

    def _require_open(self) -> None:
        if self._closed:
            raise RouterClosedError("the remote router was closed")


def _unanswered(exchange: Exchange, error: httpx.RequestError) -> RemoteError:
    reason = str(error) or type(error).__name__
    unknown = "" if exchange.request.repeatable else f"; {UNKNOWN}"
    return RemoteError(f"{exchange.url} did not answer: {reason}{unknown}", url=exchange.url)


def _close_forgotten(client: httpx.Client) -> None:
    client.close()
    warnings.warn("a RemoteRouter was not closed: use it in a with statement", ResourceWarning, stacklevel=2)
