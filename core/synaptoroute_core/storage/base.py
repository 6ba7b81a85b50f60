"""What a store of routes is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from synaptoroute_core.changes import Change, Feed


@runtime_checkable
class Store(Protocol):
    """Keeps routes, vectors and a gap-free log of revisions. All calls come from one thread.

    Attributes:
        shared: Whether other processes may change it, so that it is worth looking at again.
    """

    @property
    def shared(self) -> bool:
        """See above."""
        ...

    def read(self, since: int) -> Feed:
        """What leads from a revision to the newest: changes of the routes touched in between.

        Args:
            since: The revision that is known; 0 = nothing is.

        Raises:
            StorageError: It cannot be read, or what is in it is damaged.
        """
        ...

    def commit(self, since: int, fingerprint: str, prepare: Callable[[Feed], Change | None]) -> int:
        """Write one change as one transaction and one new revision, on disk when this returns.

        Others are kept out from before ``prepare`` until the end, so what it decides from the feed
        still holds when the change is written.

        Args:
            since: The revision that the caller knows.
            fingerprint: The encoder of the change's vectors.
            prepare: Called with what the caller has missed, which it takes over unless it raises
                ``EncoderMismatchError``; returns the change, or None for nothing to do. If it raises,
                nothing is written. Called again where another has come between meanwhile.

        Returns:
            The new revision; the newest one if there was nothing to do.

        Raises:
            EncoderMismatchError: The store has vectors of another encoder.
            StorageError: It could not be written; it is as before.
        """
        ...

    def changed(self) -> bool:
        """Whether another process may have changed it since it was last read; cheap."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


@runtime_checkable
class RemoteStore(Store, Protocol):
    """A store on another machine: looking at it takes a round trip, and it can tell when it is worth it.

    Attributes:
        poll_interval_s: How often to look whether another router has changed it, whatever it tells.
    """

    @property
    def poll_interval_s(self) -> float:
        """See above."""
        ...

    def wake_with(self, wake: Callable[[], None]) -> None:
        """Call ``wake``, from any thread, when another router may have changed something: a hint, no more."""
        ...
