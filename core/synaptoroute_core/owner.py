"""A thread that does one thing at a time: it alone touches the store."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from synaptoroute_core.errors import RouterClosedError

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
Job = Callable[[], None]


class OwnerThread:
    """Runs jobs in the order in which they come, and something else now and then.

    Args:
        name: The thread's name.
        idle: Called when no job came for ``interval_s``; its errors are logged.
        interval_s: Seconds between two calls of ``idle`` at the least; None = never.
    """

    def __init__(self, name: str, *, idle: Callable[[], object], interval_s: float | None) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._idle = idle
        self._interval_s = interval_s
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def run(self, job: Callable[[], Result]) -> Result:
        """Run a job in the thread and wait for what it returns or raises.

        Raises:
            RouterClosedError: The thread was closed.
        """
        future: Future[Result] = Future()

        def perform() -> None:
            try:
                future.set_result(job())
            except BaseException as error:  # noqa: BLE001
                # It belongs to the caller, who waits below.
                future.set_exception(error)

        with self._closing:
            self.require_open()
            self._jobs.put(perform)
        return future.result()

    def require_open(self) -> None:
        """Check that it was not closed.

        Raises:
            RouterClosedError: It was.
        """
        if self._closed:
            raise RouterClosedError("the router is closed")

    def close(self) -> None:
        """Finish the jobs that were handed in, then end. Harmless when repeated."""
        with self._closing:
            self._closed = True
            self._jobs.put(None)
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=self._interval_s)
            except queue.Empty:
                try:
                    self._idle()
                except Exception:
                    logger.exception("looking at the store again failed; it is tried again")
                continue
            if job is None:
                return
            job()
