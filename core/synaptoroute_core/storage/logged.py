"""What stores with a log have in common: what they tell of the past, and how a change falls into steps.

A store keeps the routes as they are and a log of which routes each revision touched, not what it did
to them. Whoever is behind gets the touched routes anew, as they are now, which is right however often
each was changed and however much was missed.
"""

from __future__ import annotations

import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from synaptoroute_core.changes import (
    AddUtterances,
    Change,
    DropRoutes,
    DropUtterances,
    EncodedRoute,
    Feed,
    PutRoutes,
    SetFits,
    SetThresholds,
    Vectors,
    moves_utterances,
)
from synaptoroute_core.errors import EncoderMismatchError, StorageError
from synaptoroute_core.fits import Fit
from synaptoroute_core.types import Route

LOG_LENGTH = 10_000
RESET, DROP = "reset", "drop"
VECTOR = np.dtype("<f4")
UNIT_TOLERANCE = 1e-3


class State(NamedTuple):
    """Where a store is.

    Attributes:
        oldest: First revision in the log; 1 if there is none.
        newest: Last revision in the log; 0 if there is none.
        fingerprint: The encoder of the vectors; None while there are none.
        dim: Their length; None while there are none.
        epoch: Drawn when the store was made; None where it is not to be told.
    """

    oldest: int
    newest: int
    fingerprint: str | None
    dim: int | None
    epoch: str | None


class Mark(NamedTuple):
    """A revision, told from others of its number.

    A store that lost its newest changes, as a restored backup has, gives their numbers out again.

    Attributes:
        epoch: Drawn when the store was made.
        revision: Its number.
        token: Drawn for it; None where there is none, or it is no longer known.
    """

    epoch: str
    revision: int
    token: str | None


def draw_epoch() -> str:
    """An epoch for a new store, which no other has."""
    return secrets.token_hex(8)


UNKNOWN = -1
"""The revision of whoever knows nothing of this store: everything is told anew."""


class LoggedStore(ABC):
    """The part of a store that does not know where things are kept. Primitives run within one transaction.

    Args:
        place: What the store is called in messages.

    Attributes:
        place: As given.
        log_length: Revisions kept in the log; who knows an older one gets everything anew.
    """

    log_length = LOG_LENGTH

    def __init__(self, place: str) -> None:
        self.place = place
        self._seen: Mark | None = None
        """What whoever reads the store has taken over."""

    # --- history -------------------------------------------------------------------------------

    def _known(self, since: int, holds: Callable[[Mark], bool]) -> int:
        """``since``, if the store still has the history that it was read from: if it ``holds`` the mark."""
        seen = self._seen
        known = since == 0 or (seen is not None and seen.revision == since and holds(seen))
        return since if known else UNKNOWN

    def _ask(self, prepare: Callable[[Feed], Change | None], feed: Feed, mark: Mark) -> Change | None:
        """Have a change decided on. The caller takes over what it is told, even if it then refuses to change it."""
        try:
            change = prepare(feed)
        except EncoderMismatchError:
            raise  # what it cannot take over
        except BaseException:
            self._seen = mark
            raise
        self._seen = mark
        return change

    # --- reading -------------------------------------------------------------------------------

    def _feed(self, since: int) -> Feed:
        state = self._state()
        if state.newest == since:
            return Feed(since, state.fingerprint, (), state.epoch)
        if state.fingerprint is None or state.dim is None:
            return Feed(state.newest, None, self._nothing(), state.epoch)
        touched = self._touched(since) if max(state.oldest - 1, 1) <= since < state.newest else None
        if touched is None:
            everything = PutRoutes(self._routes(None, state.dim), reset=True)
            return Feed(state.newest, state.fingerprint, (everything, SetFits(self._fits())), state.epoch)
        names, dropped = touched
        routes = self._routes(names, state.dim)
        # One that was dropped and is there again is dropped too, so that it moves to the end here as well.
        gone = dropped | (names - {encoded.route.name for encoded in routes})
        changes = DropRoutes(tuple(sorted(gone))), PutRoutes(routes), SetFits(self._fits())
        return Feed(state.newest, state.fingerprint, changes, state.epoch)

    def _nothing(self) -> tuple[Change, ...]:
        """What leads to an empty store, which is all that a store without an encoder can be."""
        if self._has_routes():
            raise StorageError(f"{self.place} is damaged: it has routes and no encoder")
        return (PutRoutes((), reset=True),)

    def _touched(self, since: int) -> tuple[set[str], set[str]] | None:
        """Names of the routes changed and of those dropped after a revision; None if all may be changed."""
        touched: set[str] = set()
        dropped: set[str] = set()
        for kind, routes in self._log(since):
            if kind == RESET:
                return None
            try:
                names = set(json.loads(routes))
            except (ValueError, TypeError) as error:
                raise StorageError(f"the log of {self.place} is damaged: {error}") from error
            touched |= names
            if kind == DROP:
                dropped |= names
        return touched, dropped

    def _decode(
        self, settings: tuple[str, str, float | None, str], texts: Sequence[str], vectors: Sequence[bytes], dim: int
    ) -> EncodedRoute:
        """A route from what is stored of it.

        Args:
            settings: Name, description, threshold, and metadata as JSON.
            texts: Its utterances.
            vectors: Theirs.
            dim: Length of each.

        Raises:
            StorageError: They cannot be those of a route.
        """
        name, description, threshold, metadata = settings
        try:
            if any(len(vector) != dim * VECTOR.itemsize for vector in vectors):
                raise ValueError(f"a vector is not {dim} numbers long")
            rows = np.frombuffer(b"".join(vectors), VECTOR).reshape(len(texts), dim).astype(np.float32)
            with np.errstate(over="ignore"):
                lengths = np.linalg.norm(rows, axis=1)
            if not (np.abs(lengths - 1.0) <= UNIT_TOLERANCE).all():
                raise ValueError("a vector is not of length 1")
            route = Route(name, texts, description=description, threshold=threshold, metadata=json.loads(metadata))
            if len(route.utterances) != len(texts):
                raise ValueError("two utterances are the same")
        except (ValueError, TypeError) as error:
            raise StorageError(f"the route {name!r} in {self.place} is damaged: {error}") from error
        return EncodedRoute(route, rows)

    # --- writing -------------------------------------------------------------------------------

    def _require_encoder(self, stored: str | None, fingerprint: str, change: Change) -> None:
        """Check that a change has the encoder of what is stored, or replaces all of it."""
        resets = isinstance(change, PutRoutes) and change.reset
        if stored not in (None, fingerprint) and not resets:
            raise EncoderMismatchError(str(stored), fingerprint)

    def _write(self, change: Change, fingerprint: str) -> None:
        match change:
            case SetThresholds(thresholds=thresholds):
                self._set_thresholds(thresholds)
            case SetFits(fits=fits, thresholds=thresholds):
                self._set_fits(fits)
                self._set_thresholds(thresholds)
            case _:
                if moves_utterances(change):
                    self._age_fits()
                self._write_utterances(change, fingerprint)

    def _write_utterances(
        self, change: PutRoutes | DropRoutes | AddUtterances | DropUtterances, fingerprint: str
    ) -> None:
        match change:
            case PutRoutes(routes=routes, reset=reset):
                if reset:
                    self._drop_all()
                if reset or not self._has_routes():
                    self._set_encoder(fingerprint if routes else None, routes[0].vectors.shape[1] if routes else None)
                for encoded in routes:
                    self._put(encoded)
            case DropRoutes(names=names):
                self._drop(names)
            case AddUtterances(name=name, texts=texts, vectors=vectors):
                self._add_utterances(name, texts, vectors)
            case DropUtterances(name=name, texts=texts):
                self._drop_utterances(name, texts)

    # --- primitives ----------------------------------------------------------------------------

    @abstractmethod
    def _state(self) -> State:
        """Where the store is."""

    @abstractmethod
    def _log(self, since: int) -> Iterable[tuple[str, str]]:
        """Kind, and names as a JSON array, of each revision after ``since``, as :func:`describe` gave them."""

    @abstractmethod
    def _has_routes(self) -> bool:
        """Whether there is any route."""

    @abstractmethod
    def _routes(self, names: Collection[str] | None, dim: int) -> tuple[EncodedRoute, ...]:
        """Those of the named routes that are there, or all, in the order in which they were added."""

    @abstractmethod
    def _fits(self) -> tuple[Fit, ...]:
        """What was learned, the newest last."""

    @abstractmethod
    def _set_encoder(self, fingerprint: str | None, dim: int | None) -> None:
        """Put the encoder of what follows on record; None where nothing does."""

    @abstractmethod
    def _put(self, encoded: EncodedRoute) -> None:
        """Add a route, or replace the one of its name in its place."""

    @abstractmethod
    def _drop(self, names: Sequence[str]) -> None:
        """Remove routes; those that are not there are passed over."""

    @abstractmethod
    def _drop_all(self) -> None:
        """Remove all routes."""

    @abstractmethod
    def _add_utterances(self, name: str, texts: Sequence[str], vectors: Vectors) -> None:
        """Append utterances to a route."""

    @abstractmethod
    def _drop_utterances(self, name: str, texts: Sequence[str]) -> None:
        """Remove utterances of a route."""

    @abstractmethod
    def _set_thresholds(self, thresholds: Mapping[str, float | None]) -> None:
        """Set thresholds of routes."""

    @abstractmethod
    def _set_fits(self, fits: tuple[Fit, ...]) -> None:
        """Put fits in the place of all there are."""

    @abstractmethod
    def _age_fits(self) -> None:
        """Note that what was learned is of utterances that have changed."""


def describe(change: Change) -> tuple[str, str]:
    """A change for the log: its kind, and the names of the routes that it touches as a JSON array."""
    kind, names = kind_and_names(change)
    return kind, json.dumps(names)


def kind_and_names(change: Change) -> tuple[str, list[str]]:
    """A change's kind, and the names of the routes that it touches."""
    match change:
        case PutRoutes(routes=routes, reset=reset):
            return (RESET if reset else "put"), [encoded.route.name for encoded in routes]
        case DropRoutes(names=names):
            return DROP, list(names)
        case AddUtterances(name=name):
            return "add_utterances", [name]
        case DropUtterances(name=name):
            return "drop_utterances", [name]
        case SetThresholds(thresholds=thresholds):
            return "set_thresholds", list(thresholds)
        case SetFits(thresholds=thresholds):
            return "fit", list(thresholds)


def pack(vectors: Vectors) -> bytes:
    """Vectors as they are stored, one after another."""
    return vectors.astype(VECTOR).tobytes()
