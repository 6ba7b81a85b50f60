"""A thread that does one thing at a time: it alone touches the store."""

from __future__ import annotations

import logging
import queue
import threading
import time
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
        idle: Called every ``interval_s``, whatever jobs there are, and when nudged; its errors are logged. It returns
            for how many seconds it need not be called again; None = ``interval_s``.
        interval_s: Seconds between two calls of ``idle``; None = only when nudged.
    """

    def __init__(self, name: str, *, idle: Callable[[], float | None], interval_s: float | None) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._idle = idle
        self._interval_s = interval_s
        self._due = self._after(interval_s)
        self._nudged = False
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

    def nudge(self) -> None:
        """Have ``idle`` called soon; once for many nudges that come before it is."""
        if not self._nudged and not self._closed:
            self._nudged = True
            self._jobs.put(self._look)

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

    def _look(self) -> None:
        self._nudged = False  # before it looks: what happens from now on is worth another look
        try:
            wait_s = self._idle()
        except Exception:
            wait_s = None
            logger.exception("looking at the store again failed; it is tried again")
        self._due = self._after(self._interval_s if wait_s is None else wait_s)

    @staticmethod
    def _after(wait_s: float | None) -> float | None:
        return None if wait_s is None else time.monotonic() + wait_s

    def _work(self) -> None:
        while True:
            left_s = self._left_s()
            try:
                job = self._jobs.get(timeout=left_s)
            except queue.Empty:
                self._look()
                continue
            if job is None:
                return
            job()
            # Jobs that come one after another, and fail one after another, must not keep it from looking.
            if left_s == 0.0 and not self._closed:
                self._look()

    def _left_s(self) -> float | None:
        """Seconds until it is time to look; None = it never is."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())
