"""Beginning and end: warm before the first request, and nobody who was let in goes without an answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from types import FrameType
from typing import Any

from fastapi import FastAPI

from synaptoroute_integrations.server.service import Service

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)
LOOK_EVERY_S = 0.01


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the router before the server listens, and close it after the last answer."""
    service: Service = app.state.service
    await service.start()
    stopping = Stopping(service)
    stopping.install()
    try:
        yield
    finally:
        stopping.uninstall()
        await service.stop()


class Stopping:
    """Puts a pause between a signal to stop and the server's own end: new requests are refused, and those
    that were let in are answered. A second signal ends the process at once.

    It stands before whatever handler the server has, so that it works under any.

    Args:
        service: Knows who is inside.
    """  # noqa: D205  # one thought

    def __init__(self, service: Service) -> None:
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._before: dict[int, Any] = {}
        self._told = False
        self._draining: asyncio.Task[None] | None = None

    def install(self) -> None:
        """Take the signals over, where they can be: in the main thread."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}

    def uninstall(self) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            if signal.getsignal(number) == self._on_signal:
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._told:
            os._exit(128 + number)  # the store bears it: what was acknowledged is on disk
        self._told = True
        self._service.phase = "draining"
        handler = self._before[number]

        def begin() -> None:
            self._draining = self._loop.create_task(self._drain(lambda: callable(handler) and handler(number, frame)))

        self._loop.call_soon_threadsafe(begin)

    async def _drain(self, stop: Callable[[], object]) -> None:
        """Wait until nobody is inside, or for as long as the settings say; then let the server stop."""
        logger.info("stopping: %d requests are at work", self._service.in_flight)
        deadline = time.monotonic() + self._service.settings.drain_timeout_s
        while self._service.in_flight and time.monotonic() < deadline:  # noqa: ASYNC110  # it happens once
            await asyncio.sleep(LOOK_EVERY_S)
        if self._service.in_flight:
            logger.warning("%d requests were not answered in time", self._service.in_flight)
        stop()
