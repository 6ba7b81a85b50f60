"""Beginning and end: warm before the first request, and nobody who was let in goes without an answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from types import FrameType
from typing import Any

from fastapi import FastAPI

from synaptoroute_integrations.server.processes import SIGNALS
from synaptoroute_integrations.server.service import Service

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.01
QUIET_S = 0.3
"""How long refusals are sent at the least: clients with open connections learn of the end by an answer."""
FORCE_S = 8.0
"""How long after the drain timeout a process that still hangs is ended by force."""


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the router before the server listens, and close it after the last answer."""
    service: Service = app.state.service
    with Stopping(service).installed():
        try:
            await service.start()
            yield
        finally:
            await service.stop()


class Stopping:
    """Puts a pause between a signal to stop and the server's own end: new requests are refused, and those
    that were let in are answered. A second signal ends the process at once.

    It stands before whatever handler the server has, so that it works under any. In a worker, whose parent gets
    the same signals, the parent alone decides: a terminal or a service manager signals both.

    Args:
        service: Knows who is inside.
    """  # noqa: D205  # one thought

    def __init__(self, service: Service) -> None:
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._before: dict[int, Any] = {}
        self._told = False
        self._ended = threading.Event()
        self._draining: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Take the signals over as long as the block runs, where they can be: in the main thread."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in self._before.items():
                if handler is not None and signal.getsignal(number) == self._on_signal:
                    signal.signal(number, handler)
            if not self._service.gave_up:  # else threads may hang that the interpreter waits for at its end
                self._ended.set()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        has_parent = multiprocessing.parent_process() is not None
        if self._told and not has_parent:
            self._service.discard_files()
            os._exit(128 + number)  # the store bears it: what was acknowledged is on disk
        if self._told or (has_parent and number == signal.SIGINT):
            return
        self._told = True
        self._service.phase = "draining"
        self._loop.call_soon_threadsafe(self._begin, number, frame)

    def _begin(self, number: int, frame: FrameType | None) -> None:
        threading.Thread(target=self._force, args=(number,), name="synaptoroute-end", daemon=True).start()
        self._draining = self._loop.create_task(self._drain(number, frame))

    async def _drain(self, number: int, frame: FrameType | None) -> None:
        """Wait until nobody is inside, or for as long as the settings say; then let the server stop."""
        service, began = self._service, time.monotonic()
        logger.info("stopping: %d requests are at work", service.in_flight)
        service.stop_by = began + service.settings.drain_timeout_s
        service.stop_jobs()
        quiet_from = min(began + QUIET_S, service.stop_by)
        while (now := time.monotonic()) < quiet_from or (service.in_flight and now < service.stop_by):  # noqa: ASYNC110  # once
            await asyncio.sleep(LOOK_EVERY_S)
        if service.in_flight:
            logger.warning("%d requests were not answered in time and are refused", service.in_flight)
            await service.give_up()
        self._pass_on(number, frame)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        """Do what would have been done at once."""
        handler = self._before[number]
        if callable(handler):
            handler(number, frame)
        elif handler == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def _force(self, number: int) -> None:
        """End a process that was asked to end and hangs: in a model, or in whatever else."""
        if not self._ended.wait(self._service.settings.drain_timeout_s + FORCE_S):
            logger.error("something hangs: the process is ended by force")
            self._service.discard_files()
            os._exit(128 + number)
