"""Several processes that do the same: kept at work, replaced when one dies, and ended together."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from types import FrameType

from synaptoroute_integrations.server.processes import SIGNALS

logger = logging.getLogger(__name__)

CANNOT_START = 3
"""Exit code of a worker that could not begin; another one would fare no better."""
BRIEF_S = 10.0
"""Workers that live no longer than this are replaced more and more slowly."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0


@dataclass(frozen=True, slots=True)
class _Worker:
    process: SpawnProcess
    started: float = field(default_factory=time.monotonic)


class Supervisor:
    """Keeps a number of workers at work until a signal comes. For the main thread.

    A first SIGTERM or SIGINT asks the workers to end and waits for them; a second one kills them.

    Args:
        work: What a worker does, with its arguments; it is pickled.
        count: Workers.
        grace_s: How long workers may take to end before they are killed.
        buried: Called after a worker has ended, if it was not asked to.
    """

    def __init__(
        self, work: Callable[[], None], count: int, *, grace_s: float, buried: Callable[[], None] = lambda: None
    ) -> None:
        self._work = work
        self._count = count
        self._grace_s = grace_s
        self._buried = buried
        self._workers: list[_Worker] = []
        self._signals: list[int] = []
        self._woken, self._wake = multiprocessing.Pipe(duplex=False)
        self._pause_s = 0.0
        self._next_start = 0.0
        self._failures = 0

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals over as long as the block runs."""
        before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def run(self) -> None:
        """Work until a signal comes, which :meth:`listening` hears.

        Raises:
            SystemExit: A second signal came; or no worker can start, which their logs explain.
        """
        try:
            while not self._signals and not self._is_hopeless():
                self._fill()
                self._wait(self._next_start - time.monotonic() if len(self._workers) < self._count else None)
                self._bury()
            self._end()
        finally:
            for worker in self._workers:  # after a second signal, or an error of ours
                worker.process.kill()
                worker.process.join()
        if len(self._signals) > 1:
            raise SystemExit(128 + self._signals[-1])
        if not self._signals:
            logger.error("no worker can start")
            raise SystemExit(CANNOT_START)

    # --- at work -------------------------------------------------------------------------------

    def _is_hopeless(self) -> bool:
        """Whether none is at work, and as many as there should be could not begin."""
        return not self._workers and self._failures >= self._count

    def _fill(self) -> None:
        """Start what is missing, if it is time."""
        while len(self._workers) < self._count and time.monotonic() >= self._next_start and not self._signals:
            process = multiprocessing.get_context("spawn").Process(target=_begin, args=(self._work,))
            with _interrupts_blocked():
                process.start()
            self._workers.append(_Worker(process))

    def _bury(self) -> None:
        """Take out workers that have ended, and decide when others take their places."""
        for worker in [each for each in self._workers if not each.process.is_alive()]:
            self._workers.remove(worker)
            worker.process.join()
            code = worker.process.exitcode
            self._failures = self._failures + 1 if code == CANNOT_START else 0
            brief = time.monotonic() - worker.started < BRIEF_S
            self._pause_s = min(max(2 * self._pause_s, FIRST_PAUSE_S), LONGEST_PAUSE_S) if brief else 0.0
            self._next_start = time.monotonic() + self._pause_s
            if not self._signals:
                logger.warning("worker %s ended with code %s", worker.process.pid, code)
            self._buried()

    def _end(self) -> None:
        """Ask all to end and wait for them; those that do not are left over."""
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + self._grace_s
        while self._workers and len(self._signals) < 2 and (left := deadline - time.monotonic()) > 0:  # noqa: PLR2004
            self._wait(left)
            self._workers = [worker for worker in self._workers if worker.process.is_alive()]
        for worker in self._workers:
            logger.error("worker %s did not end and is killed", worker.process.pid)

    def _wait(self, timeout: float | None) -> None:
        """Wait until a worker ends, a signal comes or the time is over."""
        sentinels = [worker.process.sentinel for worker in self._workers]
        wait([self._woken, *sentinels], None if timeout is None else max(0.0, timeout))
        while self._woken.poll():
            self._woken.recv()

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._signals.append(number)
        self._wake.send(number)


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """A process that is started meanwhile never sees SIGINT: Ctrl-C reaches all of a terminal's processes, and a
    worker ends when its parent says so, not in the middle of an import.
    """  # noqa: D205  # one thought
    if sys.platform == "win32":
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # would unblock it when it is started with the first worker
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(work: Callable[[], None]) -> None:
    """Work in a new process, which does not outlive its parent."""
    threading.Thread(target=_end_with_parent, name="synaptoroute-parent", daemon=True).start()
    work()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
