"""What stores on a server have in common: their arguments, and how they are opened, shown and pickled."""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from synaptoroute_core.errors import ConfigurationError, shorten
from synaptoroute_core.storage.logged import LoggedStore

TIMEOUT_S = 3.0
"""A router is up to date this and a moment after a network is whole again that swallowed everything, as it may have
begun to wait for an answer just before. A change waits for at most three answers that do not come."""


class Listening(Protocol):
    """Hears, in a thread of its own, that others may have changed something."""

    def close(self) -> None:
        """End it."""
        ...


class ServerStore(LoggedStore):
    """A store on a server that other machines reach as well. Subclasses say which namespaces there can be.

    Args:
        url: The server's.
        namespace: Which of several sets of routes there.
        timeout_s: How long the server may leave a request without any answer; afterwards it counts as away.
        notify: Whether to listen for others' changes.
        poll_interval_s: How often to look whether there are any.

    Raises:
        ConfigurationError: An argument is not valid.
        StorageError: The server cannot be reached, or what is there is something else's.
    """

    shared = True
    namespaces: ClassVar[re.Pattern[str]]
    namespaces_are: ClassVar[str]

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "synaptoroute",
        timeout_s: float = TIMEOUT_S,
        notify: bool = True,
        poll_interval_s: float = 2.0,
    ) -> None:
        if not self.namespaces.fullmatch(namespace):
            raise ConfigurationError(f"namespace = {shorten(namespace)}: use {self.namespaces_are}")
        for name, seconds in (("timeout_s", timeout_s), ("poll_interval_s", poll_interval_s)):
            if not 0.0 < seconds < math.inf:
                raise ConfigurationError(f"{name} = {shorten(seconds)}: give a number of seconds above 0")
        self._url = url
        self._arguments = {
            "namespace": namespace,
            "timeout_s": timeout_s,
            "notify": notify,
            "poll_interval_s": poll_interval_s,
        }
        self._namespace = namespace
        self._timeout_s = timeout_s
        self._notify = notify
        self.poll_interval_s = poll_interval_s
        self._listener: Listening | None = None
        super().__init__(self._prepare())
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.place})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Where it is, to be opened anew: a connection belongs to its process."""
        return _reopen, (type(self), self._url, self._arguments)

    def wake_with(self, wake: Callable[[], None]) -> None:
        """Call ``wake``, from another thread, whenever others may have changed something."""
        if self._notify and self._listener is None:
            self._listener = self._listen(wake)

    def close(self) -> None:
        """Let go of the connections."""
        if self._listener is not None:
            self._listener.close()
        self._hang_up()

    @abstractmethod
    def _prepare(self) -> str:
        """Make ready to connect, and say what the store is called in messages: no password in it."""

    @abstractmethod
    def _open(self) -> None:
        """Connect, and make what is kept there if there is nothing."""

    @abstractmethod
    def _listen(self, wake: Callable[[], None]) -> Listening:
        """Begin to listen."""

    @abstractmethod
    def _hang_up(self) -> None:
        """Close the connection."""


def _reopen(kind: type[ServerStore], url: str, arguments: dict[str, Any]) -> ServerStore:
    return kind(url, **arguments)
