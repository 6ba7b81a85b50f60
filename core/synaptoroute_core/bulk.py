"""Many items for a bounded queue, handed in as room becomes free."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from synaptoroute_core.errors import RouterClosedError, RouterOverloadedError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Bulk(Generic[Item, Result]):
    """Feeds many items to a queue, never more than a window of them at once.

    Args:
        submit: Hands in one item; may raise what :meth:`MicroBatcher.submit` raises.
        items: The items.
        ranking: Their numbers in the order in which to hand them in.
        window: Most items that wait or run at once.
    """

    def __init__(
        self,
        submit: Callable[[Item], Future[Result]],
        items: Sequence[Item],
        ranking: Sequence[int],
        window: int,
    ) -> None:
        self._submit = submit
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
        future = self._submit(self._items[number])
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
