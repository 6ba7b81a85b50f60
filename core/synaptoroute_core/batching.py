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

import contextlib
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from synaptoroute_core.bulk import Bulk
from synaptoroute_core.errors import (
    RouterClosedError,
    RouterOverloadedError,
    RouterTimeoutError,
    SynaptoRouteError,
)
from synaptoroute_core.pace import Pace

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")
Handler = Callable[[Sequence[Item]], Sequence[Result | Exception]]

LOOK_AHEAD = 8
"""How many batches' worth of waiting items a batch is picked from."""


@dataclass(slots=True, eq=False)
class _Entry(Generic[Item, Result]):
    item: Item
    size: int
    deadline: float | None  # of time.monotonic()
    timeout_s: float
    arrived: float
    future: Future[Result] = field(default_factory=Future)

    def is_wanted(self, now: float) -> bool:
        """Whether it has time left, and closing has not ended it since it was taken."""
        return not self.future.done() and (self.deadline is None or now < self.deadline)


@dataclass(slots=True)
class BatcherCounts:
    """What became of the items so far."""

    batches: int = 0
    answered: int = 0
    failed: int = 0
    rejected: int = 0
    dropped: int = 0


class MicroBatcher(Generic[Item, Result]):
    """A bounded queue with worker threads. Threads start with the first item.

    Args:
        handler: Called with the items of a batch, from several threads; returns for each its
            result or the exception that it is to fail with. If it raises, the whole batch fails.
        max_batch_size: Most items of a batch.
        max_pending: Bound on items waiting and running together.
        max_queue_s: Bound on the time that these take, as measured; None = none.
        max_wait_s: How long an idle worker waits for a batch to fill.
        workers: Threads.
        size: How large an item is; items of like size are batched together when many wait.
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
        size: Callable[[Item], int] = lambda _: 0,
        name: str = "synaptoroute",
        max_queue_s: float | None = None,
    ) -> None:
        self.counts = BatcherCounts()
        self.max_pending = max_pending
        self._handler = handler
        self._max_queue_s = max_queue_s
        self._max_batch_size = max_batch_size
        self._max_wait_s = max_wait_s
        self._worker_count = workers
        self._size = size
        self._name = name
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._queue: deque[_Entry[Item, Result]] = deque()
        self._taken: set[_Entry[Item, Result]] = set()  # what workers or callers have at work
        self._busy = 0  # workers or callers at work
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._pace = Pace(workers)

    @property
    def pending(self) -> int:
        """Items waiting or running: what the bound counts."""
        return len(self._queue) + len(self._taken)

    # --- callers -------------------------------------------------------------------------------

    def submit(self, item: Item, *, timeout_s: float | None = None) -> Future[Result]:
        """Hand in one item.

        Args:
            item: The item.
            timeout_s: After this many seconds it is no longer worth starting; None = no limit.

        Returns:
            Its future. Cancelling it before a worker takes the item saves the work.

        Raises:
            RouterOverloadedError: ``max_pending`` items are waiting or running, or they take ``max_queue_s``.
            RouterClosedError: The batcher was closed, or belongs to the parent process.
        """
        entry = self._entry(item, timeout_s)
        with self._changed:
            self._admit()
            self._enqueue(entry)
        return entry.future

    def run(self, item: Item) -> Result:
        """Hand in one item and wait for its result.

        If a worker would be free for it, the calling thread does the work in its place: a lone query
        then pays for no change of threads.

        Raises:
            As :meth:`submit`; and what the item ended with.
        """
        entry = self._entry(item, None)
        with self._changed:
            self._admit()
            free = self._busy < self._worker_count and not self._queue and not self._max_wait_s
            batch = self._take_up([entry]) if free else []
            if not free:
                self._enqueue(entry)
        if batch:
            self._process(batch)
        try:
            return entry.future.result()
        except BaseException:
            entry.future.cancel()
            raise

    def submit_all(
        self, items: Sequence[Item], ranking: Sequence[int], *, timeout_s: float | None = None
    ) -> Future[list[Result | Exception]]:
        """Hand in many items, a window at a time, so that they never overrun the bound by themselves.

        Args:
            items: The items.
            ranking: Their numbers in the order in which to hand them in.
            timeout_s: Seconds that each item gets from when it is handed in; None = no limit.

        Returns:
            A future of each item's result or error, in the order of ``items``. It fails itself only
            if nothing could be admitted. Cancelling it cancels the items that wait.
        """
        return Bulk(lambda item: self._offer(item, timeout_s), self._refusal, items, ranking, self._window).start()

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
            drain_timeout_s: What has not ended after this time fails with
                :class:`RouterClosedError`; what is at work is not waited for any longer.
        """
        if os.getpid() != self._pid:
            return
        deadline = time.monotonic() + drain_timeout_s
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            while self.pending and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            waiting, at_work = list(self._queue), list(self._taken)
            self._queue.clear()
        for entry in waiting:
            if entry.future.set_running_or_notify_cancel():
                _end(entry.future, RouterClosedError("the router was closed before this query's turn"))
        for entry in at_work:
            _end(entry.future, RouterClosedError("the router was closed while this query was at work"))
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    # --- workers -------------------------------------------------------------------------------

    def _entry(self, item: Item, timeout_s: float | None) -> _Entry[Item, Result]:
        self.require_usable()  # before the lock, which a forked child may find taken for ever
        now = time.monotonic()
        deadline = None if timeout_s is None else now + timeout_s
        return _Entry[Item, Result](item, self._size(item), deadline, timeout_s or 0.0, now)

    def _admit(self) -> None:
        """Check, with the lock held, that there is room for one more."""
        self.require_usable()  # again: it may have been closed since
        if self._is_full():
            raise self._refusal()

    def _is_full(self) -> bool:
        return self.pending >= self.max_pending or self._is_slow()

    def _is_slow(self) -> bool:
        """Whether what is pending takes too long."""
        # A full batch for each worker may always come: less would waste what batches gain, and were all refused for
        # a pace that is no longer true, it would never be measured again.
        if self._max_queue_s is None or self.pending < self._max_batch_size * self._worker_count:
            return False
        return self._pace.seconds_for(self.pending) > self._max_queue_s

    def _window(self) -> int:
        """Most items of one list at once: a few batches for each worker, and half of the time that there is."""
        window = min(self.max_pending, 4 * self._max_batch_size * self._worker_count)
        if self._max_queue_s is None:
            return window
        return max(min(window, self._worker_count), self._pace.items_in(self._max_queue_s / 2, most=window))

    def _refusal(self) -> RouterOverloadedError:
        self.counts.rejected += 1
        pending = self.pending
        by_time = pending < self.max_pending and self._is_slow()
        return RouterOverloadedError(
            pending, self.max_pending, self._pace.seconds_for(pending), self._max_queue_s if by_time else None
        )

    def _offer(self, item: Item, timeout_s: float | None) -> Future[Result] | None:
        """:meth:`submit` for one who can wait for room: None, and no refusal counted, if there is none."""
        entry = self._entry(item, timeout_s)
        with self._changed:
            self.require_usable()
            if self._is_full():
                return None
            self._enqueue(entry)
        return entry.future

    def _enqueue(self, entry: _Entry[Item, Result]) -> None:
        """Put an item in the queue, with the lock held; threads start with the first."""
        while len(self._threads) < self._worker_count:
            name = f"{self._name}-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)
        self._queue.append(entry)
        self._changed.notify()

    def _take_up(self, batch: list[_Entry[Item, Result]]) -> list[_Entry[Item, Result]]:
        """Count a batch as at work, with the lock held; without what its callers have given up."""
        wanted = [entry for entry in batch if entry.future.set_running_or_notify_cancel()]
        self._busy += 1
        self._taken.update(wanted)
        self.counts.dropped += len(batch) - len(wanted)
        return wanted

    def _work(self) -> None:
        while (batch := self._take()) is not None:
            # What a batch died of is the callers' to know; the worker goes on.
            with contextlib.suppress(BaseException):
                self._process(batch)

    def _process(self, batch: list[_Entry[Item, Result]]) -> None:
        """Run a batch and end all of it; raises what is no error but a signal to this thread."""
        started = time.monotonic()
        live = [entry for entry in batch if entry.is_wanted(started)]
        results: Sequence[Result | Exception] = []
        try:
            results = self._run(live)
        except BaseException as error:
            # Whatever it is, it must reach the callers: nobody else waits for it here.
            results = [_as_error(error, len(live))] * len(live)
            if not isinstance(error, Exception):
                raise
        finally:
            # First make room, then tell the callers: who has an answer may ask again at once.
            with self._changed:
                self._busy -= 1
                self._taken.difference_update(batch)
                self._count(batch, results, time.monotonic() - started)
                self._changed.notify_all()
            outcomes = dict(zip(live, results, strict=False))
            for entry in batch:
                _end(entry.future, outcomes.get(entry, RouterTimeoutError(entry.timeout_s)))

    def _run(self, live: list[_Entry[Item, Result]]) -> Sequence[Result | Exception]:
        """The handler's results; raises what the handler raises."""
        if not live:
            return []
        results = self._handler([entry.item for entry in live])
        if len(results) != len(live):
            raise ValueError(f"the batch handler gave {len(results)} results for {len(live)} items")
        return results

    def _count(self, batch: list[_Entry[Item, Result]], results: Sequence[Result | Exception], seconds: float) -> None:
        """Keep the counts and the pace, with the lock held."""
        if results:
            self._pace.note(len(results), seconds)
        failed = sum(isinstance(result, Exception) for result in results)
        self.counts.batches += bool(results)
        self.counts.failed += failed
        self.counts.answered += len(results) - failed
        self.counts.dropped += len(batch) - len(results)

    def _take(self) -> list[_Entry[Item, Result]] | None:
        """Wait for items and take a batch; None when closed and empty."""
        with self._changed:
            while not self._queue or self._busy >= self._worker_count:
                if self._closed and not self._queue:
                    return None
                self._changed.wait()
            self._wait_for_company()
            return self._take_up(self._pick())

    def _pick(self) -> list[_Entry[Item, Result]]:
        """The oldest item and, of those behind it, the ones most like it in size; a fair share for this worker.

        Like sizes encode faster together. The oldest always goes, so nothing waits for ever. What few
        wait are divided among the idle workers, so that none looks on while another does it all.
        """
        idle = max(1, self._worker_count - self._busy)
        share = min(self._max_batch_size, math.ceil(len(self._queue) / idle))
        count = min(len(self._queue), LOOK_AHEAD * self._max_batch_size)
        window = [self._queue.popleft() for _ in range(count)]
        if count <= share:
            return window
        size = window[0].size
        ranking = sorted(range(count), key=lambda place: abs(window[place].size - size))
        chosen = set(ranking[:share])
        self._queue.extendleft(window[place] for place in reversed(range(count)) if place not in chosen)
        return [window[place] for place in sorted(chosen)]

    def _wait_for_company(self) -> None:
        while self._queue and not self._closed and len(self._queue) < self._max_batch_size:
            left = self._queue[0].arrived + self._max_wait_s - time.monotonic()
            if left <= 0:
                return
            self._changed.wait(left)


def _end(future: Future[Result], outcome: Result | Exception) -> None:
    """End a future, unless closing has ended it already."""
    with contextlib.suppress(InvalidStateError):
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def _as_error(error: BaseException, items: int) -> Exception:
    """What the callers of a batch get to see of what broke it off."""
    if not isinstance(error, SynaptoRouteError):
        logger.error("a batch of %d queries failed", items, exc_info=error)
    return error if isinstance(error, Exception) else SynaptoRouteError(f"the batch failed: {error!r}")
