"""The routers that a process has open for its batches: one for each set of routes, however often that is unpickled."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable

from synaptoroute_core import AdaptiveRouter


class Opened:
    """A router that is closed when nobody holds this any more.

    Attributes:
        router: The router.
        process: The process that it works in.
    """

    def __init__(self, router: AdaptiveRouter) -> None:
        self.router = router
        self.process = os.getpid()
        weakref.finalize(self, _close, router, self.process)

    @property
    def usable(self) -> bool:
        """Whether it belongs to this process, and not to the one that this was forked from."""
        return self.process == os.getpid()


class OpenedRouters:
    """Finds again what is open.

    Spark and Dask unpickle a function for each task that they hand to a process. Routers are kept under a token that
    is pickled with it, as long as anybody uses them; and the one that was used last, for the next task to come.
    """

    def __init__(self) -> None:
        self._begin()
        if hasattr(os, "register_at_fork"):
            # A child inherits routers without their threads, and maybe a lock that nobody will release.
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._by_token: weakref.WeakValueDictionary[str, Opened] = weakref.WeakValueDictionary()
        self._latest: Opened | None = None

    def get(self, token: str, make: Callable[[], AdaptiveRouter]) -> Opened:
        """The router of a token, made if this process has none: once, however many threads ask."""
        with self._lock:
            found = self._by_token.get(token)
            if found is None:
                self._latest = None  # before there are two
                found = self._by_token[token] = Opened(make())
            self._latest = found
            return found


def _close(router: AdaptiveRouter, process: int) -> None:
    if os.getpid() == process:
        router.close()


ROUTERS = OpenedRouters()
"""Those of this process."""
