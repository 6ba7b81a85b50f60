"""Fitting again in the background, when the routes have left their head behind."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from synaptoroute_core.errors import RouterClosedError

logger = logging.getLogger(__name__)

QUIET_S = 1.0
"""Edits come in bursts: a fit waits until there was none for so long."""
FOLLOWER_QUIET_S = 30.0
"""The same after another process's edits, which has had the time to fit by then if it is still there."""
Stopping = Callable[[], bool]


class Refitter:
    """Runs a job in a thread of its own, some time after it was asked for; asked again, it runs again.

    Args:
        job: Does the work; is given a function that says whether to stop. May raise.
    """

    def __init__(self, job: Callable[[Stopping], None]) -> None:
        self._job = job
        self._changed = threading.Condition()
        self._wanted = 0  # how often it was asked for
        self._done = 0  # how many of these are answered
        self._closed = False
        self._quiet_s = QUIET_S
        self._thread: threading.Thread | None = None

    @property
    def pending(self) -> bool:
        """Whether a job was asked for that has not ended."""
        return self._done < self._wanted and not self._closed

    def request(self, *, patient: bool = False) -> None:
        """Ask for the job; returns at once.

        Args:
            patient: Whether somebody else is likely to do it, so that there is time to see.
        """
        with self._changed:
            if self._closed:
                return
            # Who cannot wait does not wait for one who can.
            quiet_s = FOLLOWER_QUIET_S if patient else QUIET_S
            self._quiet_s = min(quiet_s, self._quiet_s) if self._done < self._wanted else quiet_s
            self._wanted += 1
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="synaptoroute-refit", daemon=True)
                self._thread.start()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until everything asked for has ended; whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.pending, timeout_s)

    def close(self, timeout_s: float) -> None:
        """Stop, and wait for at most so long. Harmless when repeated."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _work(self) -> None:
        while (wanted := self._next()) is not None:
            try:
                self._job(lambda: self._closed)
            except RouterClosedError:
                logger.debug("the router was closed while it was fitted again")
            except ImportError as error:
                logger.warning("the router was not fitted again, decisions go by similarity: %s", error)
            except Exception:
                # At the end of a program that closed nothing, no pool takes work any more: nobody's fault.
                ending = self._closed or not threading.main_thread().is_alive()
                level = logging.DEBUG if ending else logging.ERROR
                logger.log(level, "the router could not be fitted again, decisions go by similarity", exc_info=True)
            with self._changed:
                self._done = wanted
                self._changed.notify_all()

    def _is_asked_again(self, so_far: int) -> bool:
        return self._changed.wait_for(lambda: self._closed or self._wanted != so_far, self._quiet_s)

    def _next(self) -> int | None:
        """Wait for a request and for quiet after it; what it then answers, None when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._done < self._wanted)
            while not self._closed and self._is_asked_again(self._wanted):
                pass  # the burst goes on
            return None if self._closed else self._wanted
