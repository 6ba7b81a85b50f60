"""The queue between callers and the encoder: bounded, shared by threads and event loops.

Callers hand in items and get ``concurrent.futures.Future`` objects, which threads wait for and
coroutines wrap, so nothing here is tied to an event loop. Worker threads take what is waiting, up to
a batch, and hand it to one function. While they are busy, items gather: that is all the batching a
router needs, and a lone query never waits for company unless ``max_wait_s`` says so.

Every item ends exactly once: with the handler's result or error, refused at once
(:class:`RouterOverloadedError`), out of time (:class:`RouterTimeoutError`), cancelled by its caller,
or with :class:`RouterClosedError`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, fields
from typing import Generic, TypeVar

from synaptoroute_core.errors import (
    RouterClosedError,
    RouterOverloadedError,
    RouterTimeoutError,
    SynaptoRouteError,
)

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")
Handler = Callable[[Sequence[Item]], Sequence[Result | Exception]]

SMOOTHING = 0.2
"""Weight of the newest batch in the measured time per item."""


@dataclass(slots=True)
class _Entry(Generic[Item, Result]):
    item: Item
    deadline: float | None  # of time.monotonic()
    timeout_s: float
    arrived: float
    future: Future[Result] = field(default_factory=Future)


@dataclass(slots=True)
class BatcherCounts:
    """What became of the items so far."""

    batches: int = 0
    answered: int = 0
    failed: int = 0
    rejected: int = 0
    dropped: int = 0

    def add(self, other: BatcherCounts) -> None:
        """Add the counts of one batch."""
        for count in fields(self):
            setattr(self, count.name, getattr(self, count.name) + getattr(other, count.name))


class MicroBatcher(Generic[Item, Result]):
    """A bounded queue with worker threads. Threads start with the first item.

    Args:
        handler: Called with the items of a batch, from several threads; returns for each its
            result or the exception that it is to fail with. If it raises, the whole batch fails.
        max_batch_size: Most items of a batch.
        max_pending: Bound on items waiting and running together.
        max_wait_s: How long an idle worker waits for a batch to fill.
        workers: Threads.
        name: Prefix of the threads' names.
    """

    def __init__(
        self,
        handler: Handler[Item, Result],
        *,
        max_batch_size: int,
        max_pending: int,
        max_wait_s: float,
        workers: int,
        name: str = "synaptoroute",
    ) -> None:
        self.counts = BatcherCounts()
        self.max_pending = max_pending
        self._handler = handler
        self._max_batch_size = max_batch_size
        self._max_wait_s = max_wait_s
        self._worker_count = workers
        self._name = name
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._queue: deque[_Entry[Item, Result]] = deque()
        self._running = 0
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._seconds_per_item = 0.0

    @property
    def pending(self) -> int:
        """Items waiting or running: what the bound counts."""
        return len(self._queue) + self._running

    # --- callers -------------------------------------------------------------------------------

    def submit(self, item: Item, *, timeout_s: float | None = None) -> Future[Result]:
        """Hand in one item.

        Args:
            item: The item.
            timeout_s: After this many seconds it is no longer worth starting; None = no limit.

        Returns:
            Its future. Cancelling it before a worker takes the item saves the work.

        Raises:
            RouterOverloadedError: ``max_pending`` items are waiting or running.
            RouterClosedError: The batcher was closed, or belongs to the parent process.
        """
        self.require_usable()  # before the lock, which a forked child may find taken for ever
        now = time.monotonic()
        deadline = None if timeout_s is None else now + timeout_s
        entry = _Entry[Item, Result](item, deadline, timeout_s or 0.0, now)
        with self._changed:
            self.require_usable()  # again: it may have been closed since
            if self.pending >= self.max_pending:
                self.counts.rejected += 1
                raise RouterOverloadedError(self.pending, self.max_pending, self._backlog_s())
            self._start_threads()
            self._queue.append(entry)
            self._changed.notify()
        return entry.future

    def submit_all(self, items: Sequence[Item], ranking: Sequence[int]) -> Future[list[Result | Exception]]:
        """Hand in many items, a window at a time, so that they never overrun the bound by themselves.

        Args:
            items: The items.
            ranking: Their numbers in the order in which to hand them in.

        Returns:
            A future of each item's result or error, in the order of ``items``. It fails itself only
            if nothing could be admitted. Cancelling it stops handing in.
        """
        window = min(self.max_pending, 4 * self._max_batch_size * self._worker_count)
        return _Bulk(self, items, ranking, window).start()

    def require_usable(self) -> None:
        """Check that it is open, and that this is not a forked child, where its threads do not exist.

        Raises:
            RouterClosedError: It is not usable.
        """
        if os.getpid() != self._pid:
            raise RouterClosedError(
                f"this router belongs to process {self._pid} and cannot be used in its forked child "
                f"{os.getpid()}: open one in the child"
            )
        if self._closed:
            raise RouterClosedError("the router is closed")

    def close(self, drain_timeout_s: float) -> None:
        """Refuse new items, answer the waiting ones, stop the threads. Harmless when repeated.

        Args:
            drain_timeout_s: What is still waiting after this time fails with
                :class:`RouterClosedError`.
        """
        if os.getpid() != self._pid:
            return
        deadline = time.monotonic() + drain_timeout_s
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            while self.pending and self._threads and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            abandoned = list(self._queue)
            self._queue.clear()
        for entry in abandoned:
            if entry.future.set_running_or_notify_cancel():
                entry.future.set_exception(RouterClosedError("the router was closed before this query's turn"))
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    # --- workers -------------------------------------------------------------------------------

    def _start_threads(self) -> None:
        if not self._threads:
            self._threads = [
                threading.Thread(target=self._work, name=f"{self._name}-{number}", daemon=True)
                for number in range(self._worker_count)
            ]
            for thread in self._threads:
                thread.start()

    def _work(self) -> None:
        while (batch := self._take()) is not None:
            counts = BatcherCounts()
            try:
                self._run(batch, counts)
            except BaseException as error:  # noqa: BLE001
                # Whatever it is, it must reach the callers: nobody else waits for it here.
                self._fail(batch, error, counts)
            finally:
                with self._changed:
                    self._running -= len(batch)
                    self.counts.add(counts)
                    self._changed.notify_all()

    def _take(self) -> list[_Entry[Item, Result]] | None:
        """Wait for items and take a batch; None when closed and empty."""
        with self._changed:
            while not self._queue:
                if self._closed:
                    return None
                self._changed.wait()
            self._wait_for_company()
            size = min(len(self._queue), self._max_batch_size)
            batch = [self._queue.popleft() for _ in range(size)]
            self._running += size
            return batch

    def _wait_for_company(self) -> None:
        while self._queue and not self._closed and len(self._queue) < self._max_batch_size:
            left = self._queue[0].arrived + self._max_wait_s - time.monotonic()
            if left <= 0:
                return
            self._changed.wait(left)

    def _run(self, batch: list[_Entry[Item, Result]], counts: BatcherCounts) -> None:
        started = time.monotonic()
        live = [entry for entry in batch if self._claim(entry, started)]
        counts.dropped = len(batch) - len(live)
        if not live:
            return
        results = self._handler([entry.item for entry in live])
        counts.batches = 1
        for entry, result in zip(live, results, strict=True):
            if isinstance(result, Exception):
                counts.failed += 1
                entry.future.set_exception(result)
            else:
                counts.answered += 1
                entry.future.set_result(result)
        seconds = (time.monotonic() - started) / len(live)
        self._seconds_per_item += (seconds - self._seconds_per_item) * (SMOOTHING if self._seconds_per_item else 1.0)

    def _fail(self, batch: list[_Entry[Item, Result]], error: BaseException, counts: BatcherCounts) -> None:
        """End whatever of a batch has not ended."""
        if not isinstance(error, SynaptoRouteError):
            logger.error("a batch of %d queries failed", len(batch), exc_info=error)
        reason = error if isinstance(error, Exception) else SynaptoRouteError(f"the batch failed: {error!r}")
        for entry in batch:
            if not entry.future.done():
                counts.failed += 1
                entry.future.set_exception(reason)

    def _claim(self, entry: _Entry[Item, Result], now: float) -> bool:
        """Whether the item is still wanted; one that is out of time ends here."""
        if not entry.future.set_running_or_notify_cancel():
            return False
        if entry.deadline is not None and now >= entry.deadline:
            entry.future.set_exception(RouterTimeoutError(entry.timeout_s))
            return False
        return True

    def _backlog_s(self) -> float:
        """Seconds in which what is pending should be done, from the measured time per item."""
        return self.pending * self._seconds_per_item / self._worker_count


class _Bulk(Generic[Item, Result]):
    """Feeds many items to a batcher, never more than a window of them at once."""

    def __init__(
        self, batcher: MicroBatcher[Item, Result], items: Sequence[Item], ranking: Sequence[int], window: int
    ) -> None:
        self._batcher = batcher
        self._items = items
        self._ranking = ranking
        self._window = window
        self._lock = threading.RLock()
        self._feeding = False
        self._next = 0
        self._waiting = 0
        self._results: list[Result | Exception] = [RouterClosedError("never handed in")] * len(items)
        self._done: Future[list[Result | Exception]] = Future()

    def start(self) -> Future[list[Result | Exception]]:
        """Hand in the first window; the rest follows as items end."""
        self._feed()
        return self._done

    def _feed(self) -> None:
        """Hand in items until the window is full; finish when all have ended."""
        with self._lock:
            # An item may end while it is handed in, in this very thread: the loop below goes on then.
            if self._feeding or self._done.done():
                return
            self._feeding = True
            try:
                while self._waiting < self._window and self._next < len(self._items):
                    self._submit_next()
            except RouterOverloadedError as error:
                if not self._waiting:  # others fill the router, and no end of ours will make room
                    self._finish(error)
            except RouterClosedError as error:
                self._finish(error)
            finally:
                self._feeding = False
            if not self._waiting and self._next == len(self._items):
                self._finish(None)

    def _submit_next(self) -> None:
        number = self._ranking[self._next]
        future = self._batcher.submit(self._items[number])
        self._next += 1
        self._waiting += 1
        future.add_done_callback(lambda ended: self._ended(number, ended))

    def _ended(self, number: int, future: Future[Result]) -> None:
        with self._lock:
            self._waiting -= 1
            error = future.exception()
            self._results[number] = error if isinstance(error, Exception) else future.result()
            self._feed()

    def _finish(self, error: Exception | None) -> None:
        # False: the caller cancelled, and nobody wants the results.
        if not self._done.done() and self._done.set_running_or_notify_cancel():
            if error is None:
                self._done.set_result(self._results)
            else:
                self._done.set_exception(error)
