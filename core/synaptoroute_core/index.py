"""The routes in memory: cheap to change, compiled when a query next asks.

A change writes its rows behind the others and marks its routes; nothing is copied or sorted. The
first query after it compiles a :class:`Snapshot`, and pays for the routes that changed, not for the
rest. Rows are never written twice while a snapshot can see them: removed ones stay behind until
there are as many of them as live ones, and are then left out of a new matrix.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.changes import (
    AddUtterances,
    Change,
    DropRoutes,
    DropUtterances,
    EncodedRoute,
    PutRoutes,
    SetFits,
    SetThresholds,
    Vectors,
    moves_utterances,
)
from synaptoroute_core.fits import Fit, FittedRule, rule_of
from synaptoroute_core.scoring import centre_of
from synaptoroute_core.snapshot import Snapshot
from synaptoroute_core.text import utterance_key
from synaptoroute_core.types import Route

FIRST_CAPACITY = 64
GROWTH = 1.5
MAX_IDLE_ROWS = 1024
"""Rows that may lie idle however few are live."""
NO_CENTRE = -1


class Version(NamedTuple):
    """Tells one state of an index from every other that it was or will be in.

    Revisions alone do not: a store that lost its newest changes, as a backup has, gives their numbers out again.

    Attributes:
        revision: The store's number of the newest change.
        edits: How often utterances were changed here, all anew included, since the index was made.
    """

    revision: int
    edits: int


@dataclass(slots=True)
class _Entry:
    """One route: its settings, its rows by utterance key, and the sum of its vectors."""

    settings: Route  # without utterances: those are in the rows
    total: NDArray[np.float64]
    rows: dict[str, int] = field(default_factory=dict)
    centre: int = NO_CENTRE
    nearest_weight: float = 1.0

    @property
    def row_array(self) -> NDArray[np.intp]:
        return np.fromiter(self.rows.values(), np.intp, len(self.rows))

    @property
    def threshold(self) -> float:
        return np.nan if self.settings.threshold is None else self.settings.threshold


class RouteIndex:
    """All routes with their vectors. Changes come from one thread, snapshots go to any.

    Args:
        dim: Length of the vectors.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.version = Version(0, 0)
        self.epoch: str | None = None
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._fits: tuple[Fit, ...] = ()
        self._new_matrix(FIRST_CAPACITY)
        self._stale: set[str] = set()  # routes that changed since the last snapshot
        self._last: Snapshot | None = None  # the newest one compiled, perhaps out of date
        self._current: Snapshot | None = None  # the same if it is up to date

    # --- reading -------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The newest version; compiles what changed since the last call."""
        current = self._current
        if current is not None:
            return current
        with self._lock:
            if self._current is None:
                self._current = self._last = self._compile()
            return self._current

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def fits(self) -> tuple[Fit, ...]:
        """What was learned, the newest last."""
        return self._fits

    @property
    def revision(self) -> int:
        """The revision in force."""
        return self.version.revision

    @property
    def edits(self) -> int:
        """Counts changes of utterances; see :attr:`Snapshot.edits`."""
        return self.version.edits

    @property
    def utterance_count(self) -> int:
        """Utterances of all routes."""
        with self._lock:
            return sum(len(entry.rows) for entry in self._entries.values())

    def names(self) -> list[str]:
        """Route names in the order in which they were added."""
        with self._lock:
            return list(self._entries)

    def route(self, name: str) -> Route:
        """The route as it is now.

        Raises:
            KeyError: There is no such route.
        """
        with self._lock:
            return self._route(name)

    def content(self) -> tuple[Version, list[Route], tuple[Fit, ...]]:
        """All that there is at one version: the routes, in the order in which they were added, and the fits."""
        with self._lock:
            return self.version, [self._route(name) for name in self._entries], self._fits

    def _route(self, name: str) -> Route:
        entry = self._entries[name]
        texts = tuple(self._texts[row] for row in entry.rows.values())
        metadata = deepcopy(entry.settings.metadata)
        return entry.settings.model_copy(update={"utterances": texts, "metadata": metadata})

    def keys_of(self, name: str) -> frozenset[str]:
        """Keys of the route's utterances (see ``utterance_key``); empty if there is no such route."""
        with self._lock:
            entry = self._entries.get(name)
            return frozenset(entry.rows) if entry else frozenset()

    def vectors_of(self, name: str) -> dict[str, Vectors]:
        """Vector of each utterance of a route, by its text; empty if there is no such route."""
        with self._lock:
            entry = self._entries.get(name)
            rows = entry.rows.values() if entry else ()
            return {self._texts[row]: self._matrix[row] for row in rows}

    # --- changing ------------------------------------------------------------------------------

    def apply(self, changes: Iterable[Change], revision: int, epoch: str | None = None) -> None:
        """Put stored changes in force, all at once; the next snapshot shows them.

        Args:
            changes: In the order in which they are to be applied.
            revision: Where they lead.
            epoch: Which store it is one of; None where that is not told.
        """
        with self._lock:
            edits = self.version.edits
            for change in changes:
                edits += moves_utterances(change)
                self._apply(change)
            if self._idle > max(MAX_IDLE_ROWS, self._used // 2):
                self._leave_idle_rows()
            self.version = Version(revision, edits)
            self.epoch = epoch
            self._current = None

    def _apply(self, change: Change) -> None:
        if moves_utterances(change):
            self._fits = tuple(replace(fit, fresh=False) for fit in self._fits)
        if isinstance(change, SetThresholds | SetFits):
            self._set_thresholds(change.thresholds)
            self._fits = change.fits if isinstance(change, SetFits) else self._fits
            return
        match change:
            case PutRoutes(routes=routes, reset=reset):
                self._put(routes, reset=reset)
            case DropRoutes(names=names):
                for name in names:
                    self._drop(name)
            case AddUtterances(name=name, texts=texts, vectors=vectors):
                self._append(name, texts, vectors)
            case DropUtterances(name=name, texts=texts):
                self._remove(name, texts)

    def _put(self, routes: Iterable[EncodedRoute], *, reset: bool) -> None:
        if reset:
            for name in list(self._entries):
                self._drop(name)
        for encoded in routes:
            route = encoded.route
            before = self._entries.get(route.name)
            if before is not None:
                self._abandon(before)
            # Metadata is copied: nobody who changes what is in hand changes the router's.
            settings = route.model_copy(update={"utterances": (), "metadata": deepcopy(route.metadata)})
            entry = _Entry(settings, np.zeros(self.dim))
            self._entries[route.name] = entry
            self._append(route.name, route.utterances, encoded.vectors)

    def _drop(self, name: str) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._abandon(entry)
            self._stale.add(name)

    def _append(self, name: str, texts: Iterable[str], vectors: Vectors) -> None:
        entry = self._touch(name)
        for row, text in enumerate(texts, start=self._write(vectors)):
            entry.rows[utterance_key(text)] = row
            self._texts.append(text)
        # One by one, so that the sum has the same bits however the utterances came in: a router and
        # its restart then agree to the last digit.
        for vector in vectors:
            entry.total += vector

    def _remove(self, name: str, texts: Iterable[str]) -> None:
        entry = self._touch(name)
        for text in texts:
            if entry.rows.pop(utterance_key(text), None) is not None:
                self._idle += 1
        entry.total = np.zeros(self.dim)
        for row in entry.rows.values():
            entry.total += self._matrix[row]

    def _set_thresholds(self, thresholds: Mapping[str, float | None]) -> None:
        for name, threshold in thresholds.items():
            entry = self._entries[name]
            entry.settings = entry.settings.model_copy(update={"threshold": threshold})
            self._stale.add(name)

    def _touch(self, name: str) -> _Entry:
        """The entry of a route whose utterances are about to change: its centre no longer holds."""
        entry = self._entries[name]
        self._idle += entry.centre != NO_CENTRE
        entry.centre = NO_CENTRE
        self._stale.add(name)
        return entry

    def _abandon(self, entry: _Entry) -> None:
        self._idle += len(entry.rows) + (entry.centre != NO_CENTRE)

    # --- rows ----------------------------------------------------------------------------------

    def _new_matrix(self, capacity: int) -> None:
        self._matrix: Vectors = np.empty((capacity, self.dim), np.float32)
        self._texts: list[str] = []
        self._used = 0
        self._idle = 0

    def _write(self, vectors: Vectors) -> int:
        """Copy rows behind the others; returns the place of the first."""
        first, end = self._used, self._used + len(vectors)
        if end > len(self._matrix):
            grown = np.empty((max(end, int(len(self._matrix) * GROWTH)), self.dim), np.float32)
            grown[:first] = self._matrix[:first]
            self._matrix = grown
        self._matrix[first:end] = vectors
        self._used = end
        return first

    def _leave_idle_rows(self) -> None:
        """Move the live rows to a new matrix; snapshots in use keep the old one."""
        self._last = None  # it points to rows that are about to move
        matrix, texts = self._matrix, self._texts
        live = sum(len(entry.rows) for entry in self._entries.values())
        self._new_matrix(max(FIRST_CAPACITY, int((live + len(self._entries)) * GROWTH)))
        for entry in self._entries.values():
            rows = list(entry.rows.values())
            first = self._write(matrix[rows])
            self._texts.extend(texts[row] for row in rows)
            entry.rows = dict(zip(entry.rows, range(first, first + len(rows)), strict=True))
            entry.centre = NO_CENTRE

    # --- compiling -----------------------------------------------------------------------------

    def _compile(self) -> Snapshot:
        last, stale = self._last, self._stale
        self._stale = set()
        # As many routes as before and no unknown name among the changed ones: the same routes.
        if last is None or len(last.names) != len(self._entries) or not stale <= last.positions.keys():
            compiled = self._rebuild()
        else:
            compiled = self._patch(last, sorted(last.positions[name] for name in stale))
        rule = rule_of(self._fits)
        if rule.head is not None and not rule.head.covers(compiled.names, self.dim):
            rule = FittedRule()  # a store that others wrote to may hold anything
        return replace(compiled, rule=rule, edits=self.version.edits)

    def _rebuild(self) -> Snapshot:
        """A snapshot from all routes: when routes came or went, or rows moved."""
        names = tuple(sorted(self._entries))
        entries = [self._entries[name] for name in names]
        for entry in entries:
            self._renew_centre(entry)
        counts = np.array([len(entry.rows) for entry in entries], np.intp)
        return Snapshot(
            revision=self.revision,
            names=names,
            positions={name: position for position, name in enumerate(names)},
            thresholds=np.array([entry.threshold for entry in entries], np.float64),
            matrix=self._matrix[: self._used],
            texts=self._texts,
            order=np.concatenate([np.empty(0, np.intp), *(entry.row_array for entry in entries)]),
            starts=np.cumsum(counts) - counts,
            centres=np.array([entry.centre for entry in entries], np.intp),
            nearest_weights=np.array([entry.nearest_weight for entry in entries], np.float32),
        )

    def _patch(self, last: Snapshot, positions: list[int]) -> Snapshot:
        """The last snapshot with the parts of some routes exchanged."""
        thresholds, centres = last.thresholds.copy(), last.centres.copy()
        weights, counts = last.nearest_weights.copy(), np.diff(last.starts, append=len(last.order))
        pieces, done = [], 0
        for position in positions:
            entry = self._entries[last.names[position]]
            self._renew_centre(entry)
            thresholds[position], centres[position] = entry.threshold, entry.centre
            weights[position] = entry.nearest_weight
            start = last.starts[position]
            pieces += [last.order[done:start], entry.row_array]
            done = start + counts[position]
            counts[position] = len(entry.rows)
        return replace(
            last,
            revision=self.revision,
            thresholds=thresholds,
            matrix=self._matrix[: self._used],
            texts=self._texts,
            order=np.concatenate([*pieces, last.order[done:]]),
            starts=np.cumsum(counts) - counts,
            centres=centres,
            nearest_weights=weights,
        )

    def _renew_centre(self, entry: _Entry) -> None:
        if entry.centre == NO_CENTRE:
            row, entry.nearest_weight = centre_of(entry.total, len(entry.rows))
            entry.centre = self._write(row.astype(np.float32)[np.newaxis])
            self._texts.append("")
