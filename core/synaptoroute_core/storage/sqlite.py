"""Routes in a SQLite file: write-ahead log, full synchronisation, one transaction a change."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synaptoroute_core.changes import Change, EncodedRoute, Feed, Vectors
from synaptoroute_core.errors import StorageError
from synaptoroute_core.fits import Fit
from synaptoroute_core.sqlite_files import BUSY_TIMEOUT_S, make_private, set_up
from synaptoroute_core.storage.fitting import FitTables
from synaptoroute_core.storage.logged import LoggedStore, Mark, State, describe, pack
from synaptoroute_core.storage.migrations import migrate, require_known

MEMORY = ":memory:"
PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
)


class SqliteStore(LoggedStore):
    """A store in one SQLite file, or in memory. Several processes may have the same file open.

    The file must lie on a local disk: write-ahead logging does not work over a network.

    Args:
        path: The file, made if it is not there; or ``:memory:``.

    Raises:
        StorageError: The file cannot be opened, is no SQLite database, or is of a newer version.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        super().__init__(f"the database {self._path}")
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
        self._file = Path(self._path).absolute()
        self._identity = _identify(self._file) if self.shared else None
        self._fit_tables = FitTables(self._connection, self.place)

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
            feed = self._feed(self._known(since, self._holds))
            mark = self._mark(feed.revision)
            version = self._read_data_version()
        self._seen_version = version
        self._seen = mark
        return feed

    def commit(self, since: int, fingerprint: str, prepare: Callable[[Feed], Change | None]) -> int:
        """Write one change as one transaction; see :meth:`Store.commit`."""
        with self._transaction("IMMEDIATE", "write"):
            feed = self._feed(self._known(since, self._holds))
            mark = self._mark(feed.revision)
            change = self._ask(prepare, feed, mark)
            if change is not None:
                self._require_encoder(feed.fingerprint, fingerprint, change)
                self._write(change, fingerprint)
                self._append_to_log(feed.revision + 1, change)
                mark = self._mark(feed.revision + 1)
        self._seen = mark
        return mark.revision

    def changed(self) -> bool:
        """Whether another connection has committed since the last successful read or commit."""
        self._require_same_file()
        return self._read_data_version() != self._seen_version

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    # --- transactions --------------------------------------------------------------------------

    def _require_same_file(self) -> None:
        """Check that others who open the path get this file: what is written to one that is gone is lost."""
        if self.shared and _identify(self._file, otherwise=self._identity) != self._identity:
            raise StorageError(f"{self.place} was moved, removed or replaced while it was open: open a new router")

    @contextmanager
    def _transaction(self, mode: str, verb: str) -> Iterator[None]:
        self._require_same_file()
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
            raise StorageError(f"cannot {verb} {self.place}: {error}") from error

    def _read_data_version(self) -> int:
        with self._translated("read"):
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    # --- history -------------------------------------------------------------------------------

    def _mark(self, revision: int) -> Mark:
        """A revision; its moment tells it from others of its number."""
        row = self._connection.execute(
            "SELECT committed_at, kind, routes FROM changes WHERE revision = ?", (revision,)
        ).fetchone()
        return Mark(self._epoch(), revision, None if row is None else " ".join(map(str, row)))

    def _epoch(self) -> str:
        row = self._connection.execute("SELECT value FROM epoch").fetchone()
        if row is None:
            raise StorageError(f"{self.place} is damaged: its table epoch has no row")
        return str(row[0])

    def _holds(self, mark: Mark) -> bool:
        return self._mark(mark.revision) == mark

    # --- reading -------------------------------------------------------------------------------

    def _state(self) -> State:
        oldest, newest = self._connection.execute("SELECT min(revision), max(revision) FROM changes").fetchone()
        encoder = self._connection.execute("SELECT fingerprint, dim FROM encoder").fetchone()
        fingerprint, dim = encoder or (None, None)
        return State(oldest or 1, newest or 0, fingerprint, dim, self._epoch() if self.shared else None)

    def _log(self, since: int) -> Iterable[tuple[str, str]]:
        return self._connection.execute("SELECT kind, routes FROM changes WHERE revision > ?", (since,))

    def _has_routes(self) -> bool:
        return bool(self._connection.execute("SELECT count(*) FROM routes").fetchone()[0])

    def _routes(self, names: Collection[str] | None, dim: int) -> tuple[EncodedRoute, ...]:
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
                raise StorageError(f"{self.place} is damaged: an utterance belongs to no route")
            by_route[route_id].append((text, vector))
        return tuple(
            self._decode(row[1:], [text for text, _ in own], [vector for _, vector in own], dim)
            for row, own in ((row, by_route[row[0]]) for row in routes)
        )

    def _fits(self) -> tuple[Fit, ...]:
        return self._fit_tables.read()

    # --- writing -------------------------------------------------------------------------------

    def _set_encoder(self, fingerprint: str | None, dim: int | None) -> None:
        self._connection.execute("DELETE FROM encoder")
        if fingerprint is not None:
            self._connection.execute("INSERT INTO encoder VALUES (1, ?, ?)", (fingerprint, dim))

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
        self._add_utterances(route.name, route.utterances, encoded.vectors)

    def _drop(self, names: Sequence[str]) -> None:
        self._connection.executemany("DELETE FROM routes WHERE name = ?", [(name,) for name in names])

    def _drop_all(self) -> None:
        self._connection.execute("DELETE FROM routes")

    def _add_utterances(self, name: str, texts: Sequence[str], vectors: Vectors) -> None:
        self._connection.executemany(
            "INSERT INTO utterances (route_id, text, vector) VALUES ((SELECT id FROM routes WHERE name = ?), ?, ?)",
            [(name, text, pack(vector)) for text, vector in zip(texts, vectors, strict=True)],
        )

    def _drop_utterances(self, name: str, texts: Sequence[str]) -> None:
        self._connection.executemany(
            "DELETE FROM utterances WHERE text = ?2 AND route_id = (SELECT id FROM routes WHERE name = ?1)",
            [(name, text) for text in texts],
        )

    def _set_thresholds(self, thresholds: Mapping[str, float | None]) -> None:
        self._connection.executemany("UPDATE routes SET threshold = ?2 WHERE name = ?1", list(thresholds.items()))

    def _set_fits(self, fits: tuple[Fit, ...]) -> None:
        self._fit_tables.write(fits)

    def _age_fits(self) -> None:
        self._fit_tables.age()

    def _append_to_log(self, revision: int, change: Change) -> None:
        self._connection.execute(
            "INSERT INTO changes (revision, kind, routes) VALUES (?, ?, ?)", (revision, *describe(change))
        )
        self._connection.execute("DELETE FROM changes WHERE revision <= ?", (revision - self.log_length,))


def _identify(path: Path, otherwise: tuple[int, int] | None = None) -> tuple[int, int] | None:
    """Which file a path leads to; None = there is none, ``otherwise`` if that cannot be found out."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError:
        return otherwise
    return found.st_dev, found.st_ino
