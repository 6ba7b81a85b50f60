"""How a change gets from its author to the store and to memory, and how others' changes do.

Nothing is visible before it is on disk, and what is acknowledged is visible to the next query. One
thread owns the store and is the only one to change the index, whether a change comes from a caller,
from a restart or from another process.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from synaptoroute_core.changes import Change, EncodedRoute, Feed, PutRoutes, SetFits, Vectors
from synaptoroute_core.config import RouterConfig
from synaptoroute_core.contact import Contact, SyncStatus, digest_routes
from synaptoroute_core.encoders import Encoder, encode_texts
from synaptoroute_core.errors import (
    ConfigurationError,
    EncoderError,
    EncoderMismatchError,
    RevisionConflictError,
    RouterClosedError,
    StorageError,
    shorten,
)
from synaptoroute_core.index import RouteIndex, Version
from synaptoroute_core.owner import OwnerThread
from synaptoroute_core.storage import RemoteStore, Store, open_store
from synaptoroute_core.types import Receipt, Route

logger = logging.getLogger(__name__)

FOLLOW_FILE_S = 0.25

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
        self._contact = Contact()
        self._digested: tuple[Version, str] | None = None
        self._mismatch_reported = False
        self._closing = False
        self._behind = False
        #: Called in the owner's thread when another process's changes were put in force.
        self.on_followed: Callable[[], None] | None = None
        interval_s = _follow_interval(self._store, config)
        self._owner = OwnerThread("synaptoroute-store", idle=self._follow, interval_s=interval_s)
        try:
            self._owner.run(lambda: self._begin(reencode=config.on_encoder_change == "reencode"))
            if interval_s is not None and isinstance(self._store, RemoteStore):
                self._store.wake_with(self._owner.nudge)
        except BaseException:
            self.close()
            raise

    @property
    def shared(self) -> bool:
        """Whether other processes may open the same store."""
        return self._store.shared

    @property
    def behind_s(self) -> float:
        """Seconds since the router last knew that it had all that is in the store."""
        return self._contact.state()[0] if self.shared else 0.0

    def status(self) -> SyncStatus:
        """How close the router is to its store."""
        behind_s, failing = self._contact.state()
        return SyncStatus(
            revision=self._index.revision,
            shared=self.shared,
            behind_s=behind_s if self.shared else 0.0,
            failing=failing,
            digest=self._digest(),
            epoch=self._index.epoch,
        )

    def _digest(self) -> str:
        digested = self._digested
        if digested is None or digested[0] != self._index.version:
            version, routes, fits = self._index.content()
            self._digested = digested = version, digest_routes(version.revision, routes, fits)
        return digested[1]

    def close(self) -> None:
        """Finish what was handed in, then let go of the store."""
        if os.getpid() == self._pid:
            self._closing = True
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
        failing = self._contact.state()[1]
        if self._closing and failing is not None:
            # Otherwise, each of many would wait for an answer, one after another.
            raise StorageError(f"the router is being closed, and its store could not be reached: {failing}")
        planned: list[tuple[Change | None, int]] = []

        def prepare(missed: Feed) -> Change | None:
            # A number that the store gave out again is not the one that was seen, and so is one of another store.
            told_again = bool(missed.changes) and missed.revision <= self._index.revision
            again = told_again or missed.epoch != self._index.epoch
            self._absorb(missed)
            if expected is not None and (again or expected != self._index.revision):
                raise RevisionConflictError(expected, self._index.revision)
            planned.append(plan())
            return planned[-1][0]

        revision = self._store.commit(self._index.revision, self._encoder.fingerprint, prepare)
        self._contact.reached()
        change, changed = planned[-1]  # a store may have had to begin anew
        if change is not None:
            self._index.apply([change], revision, self._index.epoch)
        return Receipt(revision=revision, changed=changed)

    def _absorb(self, feed: Feed) -> None:
        """Apply what other processes committed."""
        if self._is_foreign(feed):
            raise EncoderMismatchError(str(feed.fingerprint), self._encoder.fingerprint)
        self._require_contents(feed)
        self._index.apply(feed.changes, feed.revision, feed.epoch)

    def _follow(self) -> float | None:
        """Look whether others changed the store; say how long to wait for the next look if it cannot be reached."""
        began = time.monotonic()
        try:
            changed = self._behind or self._store.changed()
            if changed:
                self._behind = True  # until it is in force: the store tells of a change once
                feed = self._own(self._store.read(self._index.revision))
                self._require_contents(feed)
                self._index.apply(feed.changes, feed.revision, feed.epoch)
                self._behind = False
        except (StorageError, EncoderError) as error:
            return self._contact.failed(str(error), time.monotonic() - began)
        self._contact.reached()
        if changed and self.on_followed is not None:
            self.on_followed()
        return None

    def _require_contents(self, feed: Feed) -> None:
        """Check that a store with routes was not replaced by an empty one, which is a loss and no change.

        Raises:
            StorageError: It was; the routes in memory stay.
        """
        if feed.revision == 0 < self._index.revision:
            raise StorageError(
                "the store was made anew and has nothing in it; this router keeps its routes until there are others: "
                "bring the data of the store back, or open a new router with the routes"
            )

    def _own(self, feed: Feed) -> Feed:
        """A feed with vectors of this router's encoder: those of another are made anew, and its heads left out."""
        if not self._is_foreign(feed):
            return feed
        if not self._mismatch_reported:
            self._mismatch_reported = True
            logger.warning(
                "the store has vectors of %r now; this router makes its own of what others change, and cannot change "
                "the store itself",
                feed.fingerprint,
            )
        changes: list[Change] = []
        for change in feed.changes:
            match change:
                case PutRoutes(routes=routes):
                    changes.append(replace(change, routes=tuple(self.encode_routes([each.route for each in routes]))))
                case SetFits():
                    changes.append(SetFits(()))
                case _:
                    changes.append(change)
        return replace(feed, changes=tuple(changes))

    def _is_foreign(self, feed: Feed) -> bool:
        return feed.fingerprint not in (None, self._encoder.fingerprint)

    # --- loading -------------------------------------------------------------------------------

    def _begin(self, *, reencode: bool) -> None:
        """Read everything. In the owner's thread, so that nothing is followed before it is known."""
        try:
            self._load(reencode=reencode)
        except BaseException:
            self._owner.close()  # at once: to look at a store that does not answer would take its time again
            raise

    def _load(self, *, reencode: bool) -> None:
        feed = self._store.read(0)
        if self._is_foreign(feed):
            if not reencode:
                raise EncoderMismatchError(str(feed.fingerprint), self._encoder.fingerprint)
            feed = self._reencode(feed)
        self._require_dim(feed)
        self._index.apply(feed.changes, feed.revision, feed.epoch)

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


def _follow_interval(store: Store, config: RouterConfig) -> float | None:
    """Seconds between two looks at the store; None = never."""
    if not store.shared or config.follow_interval_s == 0:
        return None
    if config.follow_interval_s is not None:
        return config.follow_interval_s
    return store.poll_interval_s if isinstance(store, RemoteStore) else FOLLOW_FILE_S
