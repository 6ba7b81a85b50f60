"""Waiting for a thread's future in an event loop, at the price of one wake-up a batch.

``asyncio.wrap_future`` wakes the loop once for every future. The futures of a batch end within
microseconds of each other, so here they gather in the loop's inbox, and it is woken once for all.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TypeVar
from weakref import WeakKeyDictionary

Result = TypeVar("Result")


class _Inbox:
    """Waiters of one event loop whose futures have ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: list[asyncio.Future[None]] = []

    def post(self, loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[None]) -> None:
        """Called from any thread: have the loop release a waiter soon."""
        with self._lock:
            self._ended.append(waiter)
            first = len(self._ended) == 1
        if first:
            try:
                loop.call_soon_threadsafe(self._release)
            except RuntimeError:  # the loop was closed: nobody waits any more
                self._take()

    def _release(self) -> None:
        for waiter in self._take():
            if not waiter.done():
                waiter.set_result(None)

    def _take(self) -> list[asyncio.Future[None]]:
        with self._lock:
            ended, self._ended = self._ended, []
        return ended


_inboxes: WeakKeyDictionary[asyncio.AbstractEventLoop, _Inbox] = WeakKeyDictionary()
_opening = threading.Lock()


async def result_of(future: Future[Result], timeout_s: float | None) -> Result:
    """Wait for a future's result without blocking the event loop.

    When the waiting ends in any other way, the future is cancelled: nobody wants its result.

    Raises:
        TimeoutError: It did not end within ``timeout_s`` seconds; None = no limit.
        Others: What the future ended with.
    """
    loop = asyncio.get_running_loop()
    with _opening:
        inbox = _inboxes.setdefault(loop, _Inbox())
    waiter: asyncio.Future[None] = loop.create_future()
    future.add_done_callback(lambda _: inbox.post(loop, waiter))
    try:
        async with asyncio.timeout(timeout_s):
            await waiter
    except BaseException:
        future.cancel()
        raise
    return future.result()
