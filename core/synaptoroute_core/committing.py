"""How a change gets from its author to the store and to memory, and how others' changes do.

Nothing is visible before it is on disk, and what is acknowledged is visible to the next query. One
thread owns the store and is the only one to change the index, whether a change comes from a caller,
from a restart or from another process.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from synaptoroute_core.changes import Change, EncodedRoute, Feed, PutRoutes, Vectors
from synaptoroute_core.config import RouterConfig
from synaptoroute_core.encoders import Encoder, encode_texts
from synaptoroute_core.errors import (
    ConfigurationError,
    EncoderError,
    EncoderMismatchError,
    RevisionConflictError,
    RouterClosedError,
    shorten,
)
from synaptoroute_core.index import RouteIndex
from synaptoroute_core.owner import OwnerThread
from synaptoroute_core.storage import Store, open_store
from synaptoroute_core.types import Receipt, Route

logger = logging.getLogger(__name__)

Plan = Callable[[], tuple[Change | None, int]]
"""Decides, while others are kept out of the store, on a change and how much it touches."""


class Committer:
    """Commits changes to the store, applies them to the index, and follows other processes.

    Args:
        store: The store or the path of one.
        index: What is changed in memory.
        encoder: Encodes utterances, in the thread of the caller.
        config: Settings.
    """

    def __init__(self, store: Store | str | Path, index: RouteIndex, encoder: Encoder, config: RouterConfig) -> None:
        self._index = index
        self._encoder = encoder
        self._pid = os.getpid()
        self._store = open_store(store)
        follows = self._store.shared and config.follow_interval_s > 0
        self._owner = OwnerThread(
            "synaptoroute-store", idle=self._follow, interval_s=config.follow_interval_s if follows else None
        )
        self._mismatch_reported = False
        #: Called in the owner's thread when another process's changes were put in force.
        self.on_followed: Callable[[], None] | None = None
        try:
            self._owner.run(lambda: self._load(reencode=config.on_encoder_change == "reencode"))
        except BaseException:
            self.close()
            raise

    @property
    def shared(self) -> bool:
        """Whether other processes may open the same store."""
        return self._store.shared

    def close(self) -> None:
        """Finish what was handed in, then let go of the store."""
        if os.getpid() == self._pid:
            self._owner.close()
            self._store.close()

    # --- commit and apply ----------------------------------------------------------------------

    def _require_usable(self) -> None:
        """Check, before anything is encoded, that the store can be reached at all."""
        if os.getpid() != self._pid:
            raise RouterClosedError(
                f"this router belongs to process {self._pid} and cannot be changed in its forked child: "
                "open one in the child"
            )
        self._owner.require_open()

    def _commit(self, plan: Plan, expected: int | None = None) -> Receipt:
        """Carry out a plan.

        Args:
            plan: Decides on the change.
            expected: The revision that the routes must be at; None = any.

        Raises:
            RevisionConflictError: They are at another one.
            StorageError: It could not be stored.
        """
        self._require_usable()
        if expected is not None and (isinstance(expected, bool) or not isinstance(expected, int)):
            raise ConfigurationError(f"expected_revision = {shorten(expected)}: give a revision's number, or None")
        return self._owner.run(lambda: self._write(plan, expected))

    def _write(self, plan: Plan, expected: int | None) -> Receipt:
        planned: list[tuple[Change | None, int]] = []

        def prepare(missed: Feed) -> Change | None:
            self._absorb(missed)
            if expected is not None and expected != self._index.revision:
                raise RevisionConflictError(expected, self._index.revision)
            planned.append(plan())
            return planned[0][0]

        revision = self._store.commit(self._index.revision, self._encoder.fingerprint, prepare)
        change, changed = planned[0]
        if change is not None:
            self._index.apply([change], revision)
        return Receipt(revision=revision, changed=changed)

    def _absorb(self, feed: Feed) -> None:
        """Apply what other processes committed."""
        if self._is_foreign(feed):
            raise EncoderMismatchError(str(feed.fingerprint), self._encoder.fingerprint)
        self._index.apply(feed.changes, feed.revision)

    def _follow(self) -> None:
        if not self._store.changed():
            return
        feed = self._store.read(self._index.revision)
        if self._is_foreign(feed):
            if not self._mismatch_reported:
                self._mismatch_reported = True
                logger.error(
                    "the store was re-encoded by %r; its changes no longer reach this router", feed.fingerprint
                )
            return
        self._index.apply(feed.changes, feed.revision)
        if self.on_followed is not None:
            self.on_followed()

    def _is_foreign(self, feed: Feed) -> bool:
        return feed.fingerprint not in (None, self._encoder.fingerprint)

    # --- loading -------------------------------------------------------------------------------

    def _load(self, *, reencode: bool) -> None:
        """Read everything. In the owner's thread, so that nothing is followed before it is known."""
        feed = self._store.read(0)
        if self._is_foreign(feed):
            if not reencode:
                raise EncoderMismatchError(str(feed.fingerprint), self._encoder.fingerprint)
            feed = self._reencode(feed)
        self._require_dim(feed)
        self._index.apply(feed.changes, feed.revision)

    def _require_dim(self, feed: Feed) -> None:
        """Check that an encoder of the same name gives vectors of the same length."""
        for change in feed.changes:
            for encoded in change.routes if isinstance(change, PutRoutes) else ():
                if encoded.vectors.shape[1] != self._encoder.dim:
                    raise EncoderError(
                        f"the stored vectors have {encoded.vectors.shape[1]} numbers, this encoder gives "
                        f"{self._encoder.dim}, and both call themselves {self._encoder.fingerprint!r}: "
                        "give different encoders different fingerprints"
                    )

    def _reencode(self, feed: Feed) -> Feed:
        """Encode all stored texts with the present encoder and store the vectors."""
        routes = [
            encoded.route for change in feed.changes if isinstance(change, PutRoutes) for encoded in change.routes
        ]
        change = PutRoutes(tuple(self.encode_routes(routes)), reset=True)

        def prepare(missed: Feed) -> Change | None:
            # Changed meanwhile: leave it as it is now and start over.
            return change if missed.revision == feed.revision else None

        self._store.commit(feed.revision, self._encoder.fingerprint, prepare)
        newest = self._store.read(0)
        return self._reencode(newest) if self._is_foreign(newest) else newest

    # --- encoding ------------------------------------------------------------------------------

    def encode_routes(self, routes: list[Route]) -> list[EncodedRoute]:
        """Routes with their vectors; utterances that the index has already are not encoded again."""
        known = {route.name: self._index.vectors_of(route.name) for route in routes}
        missing = [(route.name, text) for route in routes for text in route.utterances if text not in known[route.name]]
        encoded = encode_texts(self._encoder, [text for _, text in missing])
        for (name, text), vector in zip(missing, encoded, strict=True):
            known[name][text] = vector
        return [EncodedRoute(route, _stack(known[route.name], route)) for route in routes]


def _stack(vectors: Mapping[str, Vectors], route: Route) -> Vectors:
    return np.stack([vectors[text] for text in route.utterances])
