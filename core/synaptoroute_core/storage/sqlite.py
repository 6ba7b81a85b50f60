"""Routes in a SQLite file: write-ahead log, full synchronisation, one transaction a change."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
from synaptoroute_core.sqlite_files import BUSY_TIMEOUT_S, make_private, set_up
from synaptoroute_core.storage.fitting import FitTables
from synaptoroute_core.storage.migrations import migrate, require_known
from synaptoroute_core.types import Route

MEMORY = ":memory:"
LOG_LENGTH = 10_000
"""Revisions kept in the log; who knows an older one gets everything anew."""
RESET, DROP = "reset", "drop"
VECTOR = np.dtype("<f4")
UNIT_TOLERANCE = 1e-3
PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
)


class SqliteStore:
    """A store in one SQLite file, or in memory. Several processes may have the same file open.

    The file must lie on a local disk: write-ahead logging does not work over a network.

    Args:
        path: The file, made if it is not there; or ``:memory:``.

    Raises:
        StorageError: The file cannot be opened, is no SQLite database, or is of a newer version.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        self.shared = self._path != MEMORY
        self._seen_version = -1
        if self.shared:
            make_private(Path(self._path), "database")
        with self._translated("open"):
            # The router calls from one thread of its own, which need not be the one that constructs.
            self._connection = sqlite3.connect(
                self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            try:
                require_known(self._connection, self._path)
                set_up(self._prepare)
            except BaseException:
                self._connection.close()
                raise
        self._fits = FitTables(self._connection, self._path)

    def _prepare(self) -> None:
        for pragma in PRAGMAS:
            self._connection.execute(pragma)
        migrate(self._connection)

    def __repr__(self) -> str:
        return f"SqliteStore({self._path!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """The file, to be opened anew: a connection belongs to its process."""
        if not self.shared:
            raise TypeError("a store in memory cannot be pickled: it is nowhere else; use a file")
        return type(self), (str(Path(self._path).absolute()),)

    def read(self, since: int) -> Feed:
        """What leads from a revision to the newest; see :meth:`Store.read`."""
        with self._transaction("DEFERRED", "read"):
            feed = self._feed(since)
            version = self._read_data_version()
        self._seen_version = version
        return feed

    def commit(self, since: int, fingerprint: str, prepare: Callable[[Feed], Change | None]) -> int:
        """Write one change as one transaction; see :meth:`Store.commit`."""
        with self._transaction("IMMEDIATE", "write"):
            feed = self._feed(since)
            change = prepare(feed)
            if change is None:
                return feed.revision
            self._set_encoder(feed.fingerprint, fingerprint, change)
            self._write(change)
            self._log(feed.revision + 1, change)
            return feed.revision + 1

    def changed(self) -> bool:
        """Whether another connection has committed since the last successful read or commit."""
        return self._read_data_version() != self._seen_version

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    # --- transactions --------------------------------------------------------------------------

    @contextmanager
    def _transaction(self, mode: str, verb: str) -> Iterator[None]:
        with self._translated(verb):
            # IMMEDIATE takes the write lock at once. A transaction that reads first and asks for it
            # later fails when another has written in between, whatever the busy timeout.
            self._connection.execute(f"BEGIN {mode}")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _translated(self, verb: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(f"cannot {verb} the database {self._path}: {error}") from error

    def _read_data_version(self) -> int:
        with self._translated("read"):
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    # --- reading -------------------------------------------------------------------------------

    def _feed(self, since: int) -> Feed:
        row = self._connection.execute("SELECT min(revision), max(revision) FROM changes").fetchone()
        oldest, newest = (int(row[0]), int(row[1])) if row[0] is not None else (1, 0)
        encoder = self._connection.execute("SELECT fingerprint, dim FROM encoder").fetchone()
        if newest == since:
            return Feed(newest, encoder[0] if encoder else None, ())
        if encoder is None:
            return Feed(newest, None, self._nothing())
        in_log = oldest - 1 <= since < newest and since > 0
        touched = self._touched(since) if in_log else None
        if touched is None:
            everything = PutRoutes(self._encoded_routes(None, int(encoder[1])), reset=True)
            return Feed(newest, encoder[0], (everything, SetFits(self._fits.read())))
        names, dropped = touched
        routes = self._encoded_routes(names, int(encoder[1]))
        # One that was dropped and is there again is dropped too, so that it moves to the end here as well.
        gone = dropped | (names - {encoded.route.name for encoded in routes})
        changes = DropRoutes(tuple(sorted(gone))), PutRoutes(routes), SetFits(self._fits.read())
        return Feed(newest, encoder[0], changes)

    def _nothing(self) -> tuple[Change, ...]:
        """What leads to an empty store, which is all that a store without an encoder can be."""
        if self._connection.execute("SELECT count(*) FROM routes").fetchone()[0]:
            raise StorageError(f"the database {self._path} is damaged: it has routes and no encoder")
        return (PutRoutes((), reset=True),)

    def _touched(self, since: int) -> tuple[set[str], set[str]] | None:
        """Names of the routes changed and of those dropped after a revision; None if all may be changed."""
        touched: set[str] = set()
        dropped: set[str] = set()
        rows = self._connection.execute("SELECT kind, routes FROM changes WHERE revision > ?", (since,))
        for kind, routes in rows:
            if kind == RESET:
                return None
            try:
                names = json.loads(routes)
            except ValueError as error:
                raise StorageError(f"the log of the database {self._path} is damaged: {error}") from error
            touched.update(names)
            if kind == DROP:
                dropped.update(names)
        return touched, dropped

    def _encoded_routes(self, names: set[str] | None, dim: int) -> tuple[EncodedRoute, ...]:
        wanted = None if names is None else json.dumps(sorted(names))
        routes = self._connection.execute(
            "SELECT id, name, description, threshold, metadata FROM routes "
            "WHERE ?1 IS NULL OR name IN (SELECT value FROM json_each(?1)) ORDER BY id",
            (wanted,),
        ).fetchall()
        utterances = self._connection.execute(
            "SELECT route_id, text, vector FROM utterances "
            "WHERE ?1 IS NULL OR route_id IN "
            "(SELECT id FROM routes WHERE name IN (SELECT value FROM json_each(?1))) ORDER BY id",
            (wanted,),
        )
        by_route: dict[int, list[tuple[str, bytes]]] = {row[0]: [] for row in routes}
        for route_id, text, vector in utterances:
            if route_id not in by_route:
                raise StorageError(f"the database {self._path} is damaged: an utterance belongs to no route")
            by_route[route_id].append((text, vector))
        return tuple(self._decode(row, by_route[row[0]], dim) for row in routes)

    def _decode(self, row: tuple[Any, ...], utterances: list[tuple[str, bytes]], dim: int) -> EncodedRoute:
        _, name, description, threshold, metadata = row
        try:
            if any(len(vector) != dim * VECTOR.itemsize for _, vector in utterances):
                raise ValueError(f"a vector is not {dim} numbers long")
            joined = np.frombuffer(b"".join(vector for _, vector in utterances), VECTOR)
            vectors = joined.reshape(len(utterances), dim).astype(np.float32)
            with np.errstate(over="ignore"):
                lengths = np.linalg.norm(vectors, axis=1)
            if not (np.abs(lengths - 1.0) <= UNIT_TOLERANCE).all():
                raise ValueError("a vector is not of length 1")
            route = Route(
                name,
                [text for text, _ in utterances],
                description=description,
                threshold=threshold,
                metadata=json.loads(metadata),
            )
            if len(route.utterances) != len(utterances):
                raise ValueError("two utterances are the same")
        except (ValueError, TypeError) as error:
            raise StorageError(f"the route {name!r} in the database {self._path} is damaged: {error}") from error
        return EncodedRoute(route, vectors)

    # --- writing -------------------------------------------------------------------------------

    def _set_encoder(self, stored: str | None, fingerprint: str, change: Change) -> None:
        """Put the change's encoder on record, if it may be changed."""
        resets = isinstance(change, PutRoutes) and change.reset
        if stored not in (None, fingerprint) and not resets:
            raise EncoderMismatchError(str(stored), fingerprint)
        if not isinstance(change, PutRoutes):
            return
        empty = resets or not self._connection.execute("SELECT count(*) FROM routes").fetchone()[0]
        if empty:
            self._connection.execute("DELETE FROM encoder")
        if change.routes:
            dim = change.routes[0].vectors.shape[1]
            self._connection.execute("INSERT OR IGNORE INTO encoder VALUES (1, ?, ?)", (fingerprint, dim))

    def _write(self, change: Change) -> None:
        match change:
            case SetThresholds(thresholds=thresholds):
                self._set_thresholds(thresholds)
            case SetFits(fits=fits, thresholds=thresholds):
                self._fits.write(fits)
                self._set_thresholds(thresholds)
            case _:
                if moves_utterances(change):
                    self._fits.age()
                self._write_utterances(change)

    def _write_utterances(self, change: PutRoutes | DropRoutes | AddUtterances | DropUtterances) -> None:
        match change:
            case PutRoutes(routes=routes, reset=reset):
                if reset:
                    self._connection.execute("DELETE FROM routes")
                for encoded in routes:
                    self._put(encoded)
            case DropRoutes(names=names):
                self._connection.executemany("DELETE FROM routes WHERE name = ?", [(name,) for name in names])
            case AddUtterances(name=name, texts=texts, vectors=vectors):
                self._insert_utterances(name, texts, vectors)
            case DropUtterances(name=name, texts=texts):
                self._connection.executemany(
                    "DELETE FROM utterances WHERE text = ?2 AND route_id = (SELECT id FROM routes WHERE name = ?1)",
                    [(name, text) for text in texts],
                )

    def _set_thresholds(self, thresholds: Mapping[str, float | None]) -> None:
        self._connection.executemany("UPDATE routes SET threshold = ?2 WHERE name = ?1", list(thresholds.items()))

    def _put(self, encoded: EncodedRoute) -> None:
        route = encoded.route
        self._connection.execute(
            "INSERT INTO routes (name, description, threshold, metadata) VALUES (?1, ?2, ?3, ?4) "
            "ON CONFLICT (name) DO UPDATE SET description = ?2, threshold = ?3, metadata = ?4",
            (route.name, route.description, route.threshold, json.dumps(route.metadata)),
        )
        self._connection.execute(
            "DELETE FROM utterances WHERE route_id = (SELECT id FROM routes WHERE name = ?)", (route.name,)
        )
        self._insert_utterances(route.name, route.utterances, encoded.vectors)

    def _insert_utterances(self, name: str, texts: Iterable[str], vectors: Vectors) -> None:
        self._connection.executemany(
            "INSERT INTO utterances (route_id, text, vector) VALUES ((SELECT id FROM routes WHERE name = ?), ?, ?)",
            [(name, text, vector.astype(VECTOR).tobytes()) for text, vector in zip(texts, vectors, strict=True)],
        )

    def _log(self, revision: int, change: Change) -> None:
        kind, names = _describe(change)
        self._connection.execute(
            "INSERT INTO changes (revision, kind, routes) VALUES (?, ?, ?)", (revision, kind, json.dumps(names))
        )
        self._connection.execute("DELETE FROM changes WHERE revision <= ?", (revision - LOG_LENGTH,))


def _describe(change: Change) -> tuple[str, list[str]]:
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
