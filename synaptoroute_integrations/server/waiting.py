"""Waiting for an answer only as long as somebody is there to take it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import TypeVar

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
    making = asyncio.ensure_future(answer)
    leaving: asyncio.Task[None] | None = None
    try:
        done, _ = await asyncio.wait([making], timeout=PATIENCE_S)
        if not done:
            leaving = asyncio.create_task(_disconnected(request))
            await asyncio.wait([making, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not making.done():
            raise ClientGoneError
        return making.result()
    finally:
        for task in (making, leaving):
            if task is not None and not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
