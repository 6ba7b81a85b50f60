"""Many items for a bounded queue, handed in as room becomes free."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from synaptoroute_core.errors import RouterClosedError, SynaptoRouteError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Bulk(Generic[Item, Result]):
    """Feeds many items to a queue, never more than a window of them at once.

    Args:
        offer: Hands in one item; None if there is no room for it now.
        refusal: Makes the error for a list of which nothing is admitted.
        items: The items.
        ranking: Their numbers in the order in which to hand them in.
        window: Gives, each time, the most items that are to wait or run at once.
    """

    def __init__(
        self,
        offer: Callable[[Item], Future[Result] | None],
        refusal: Callable[[], Exception],
        items: Sequence[Item],
        ranking: Sequence[int],
        window: Callable[[], int],
    ) -> None:
        self._offer = offer
        self._refusal = refusal
        self._items = items
        self._ranking = ranking
        self._window = window
        self._lock = threading.RLock()
        self._feeding = False
        self._next = 0
        self._waiting: set[Future[Result]] = set()
        self._results: list[Result | Exception] = [RouterClosedError("never handed in")] * len(items)
        self._done: Future[list[Result | Exception]] = Future()

    def start(self) -> Future[list[Result | Exception]]:
        """Hand in the first window; the rest follows as items end."""
        self._done.add_done_callback(self._stop)
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
                while len(self._waiting) < self._window() and self._next < len(self._items):
                    if not self._offer_next():
                        break
            except SynaptoRouteError as error:  # the queue was closed
                self._finish(error)
                return
            finally:
                self._feeding = False
            if not self._waiting:
                self._finish(self._refuse_rest())

    def _offer_next(self) -> bool:
        number = self._ranking[self._next]
        future = self._offer(self._items[number])
        if future is None:
            return False
        self._next += 1
        self._waiting.add(future)
        future.add_done_callback(lambda ended: self._ended(number, ended))
        return True

    def _refuse_rest(self) -> Exception | None:
        """Give up what is left over: others fill the queue, and no end of ours will make room.

        Returns:
            What the whole list fails with; None if some of it was admitted.
        """
        left = self._ranking[self._next :]
        if not left:
            return None
        error = self._refusal()
        for number in left:
            self._results[number] = error
        return None if self._next else error

    def _ended(self, number: int, future: Future[Result]) -> None:
        with self._lock:
            self._waiting.discard(future)
            if not future.cancelled():
                error = future.exception()
                self._results[number] = error if isinstance(error, Exception) else future.result()
            self._feed()

    def _stop(self, done: Future[list[Result | Exception]]) -> None:
        """Nobody wants the results any more: give up the items that wait."""
        if done.cancelled():
            with self._lock:
                waiting = list(self._waiting)
            for future in waiting:
                future.cancel()

    def _finish(self, error: Exception | None) -> None:
        # False: the caller cancelled.
        if not self._done.done() and self._done.set_running_or_notify_cancel():
            if error is None:
                self._done.set_result(self._results)
            else:
                self._done.set_exception(error)
