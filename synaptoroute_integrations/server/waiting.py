"""Waiting for an answer only as long as somebody is there to take it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from starlette.requests import Request

Answer = TypeVar("Answer")

PATIENCE_S = 0.05
"""After this time a look at the connection is worth what it costs."""


class ClientGoneError(Exception):
    """The client closed its connection before it was answered."""


async def while_connected(request: Request, answer: Awaitable[Answer]) -> Answer:
    """The answer, unless the client leaves: then what makes it is cancelled, and its place is free.

    Args:
        request: A request whose body was read.
        answer: What makes the answer.

    Raises:
        ClientGoneError: It left.
        Others as ``answer``.
    """
    watch = _Watch(request)
    timer = asyncio.get_running_loop().call_later(PATIENCE_S, watch.begin)
    try:
        return await answer
    except asyncio.CancelledError:
        if not watch.has_left:
            raise
        watch.waiting.uncancel()
        raise ClientGoneError from None
    finally:
        timer.cancel()
        watch.end()


class _Watch:
    """Cancels the task that waits when the client leaves.

    Args:
        request: The client's.
    """

    def __init__(self, request: Request) -> None:
        current = asyncio.current_task()
        assert current is not None  # noqa: S101  # coroutines run in tasks
        self.waiting: asyncio.Task[Any] = current
        self.has_left = False
        self._request = request
        self._watching: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Look at the connection from now on."""
        self._watching = asyncio.create_task(self._watch())

    def end(self) -> None:
        """Stop looking: once this returns, nothing is cancelled any more."""
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self.has_left = True
        self.waiting.cancel()
