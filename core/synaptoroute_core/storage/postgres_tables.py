"""The statements of the store in PostgreSQL: each within the transaction of the cursor that is in hand."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any, LiteralString

from synaptoroute_core.changes import Change, EncodedRoute, Vectors
from synaptoroute_core.errors import StorageError, shorten
from synaptoroute_core.fits import Fit
from synaptoroute_core.storage.logged import VECTOR, Mark, State, describe
from synaptoroute_core.storage.postgres_driver import psycopg, sql
from synaptoroute_core.storage.postgres_layout import LAYOUT
from synaptoroute_core.storage.postgres_sessions import Session
from synaptoroute_core.storage.server import ServerStore
from synaptoroute_core.storage.shelf import FitDocuments

CHUNKS_SINCE = 170_000
STREAMED = 100 if psycopg.pq.version() >= CHUNKS_SINCE else 1
"""Rows that are handed over at once; libpq before 17 knows single ones only."""
SENT_BYTES = 256_000
"""About so much goes into one statement, which has to arrive and to be answered in time."""


class PostgresTables(ServerStore):
    """Reads and writes the tables of one schema."""

    _session: Session
    _cursor: psycopg.Cursor[tuple[Any, ...]]

    @cached_property
    def _documents(self) -> FitDocuments:
        return FitDocuments(self.place, f"set fits to '[]' in the table {self._namespace}.state")

    # --- statements ----------------------------------------------------------------------------

    def _execute(self, statement: LiteralString, values: Sequence[Any] = ()) -> None:
        self._cursor.execute(self._named(statement), values)
        self._session.answered()

    def _rows(self, statement: LiteralString, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """Rows as they come: there may be more of them than arrive in the time for one answer."""
        for row in self._cursor.stream(self._named(statement), values, size=STREAMED):
            self._session.answered()
            yield row

    def _one(self, statement: LiteralString) -> tuple[Any, ...]:
        self._execute(statement)
        row = self._cursor.fetchone()
        if row is None:
            raise StorageError(f"{self.place} is damaged: its table state has no row")
        return row

    def _named(self, statement: LiteralString) -> sql.Composed:
        """The statement with the names of the tables in it."""
        return sql.SQL(statement).format(**{name: sql.Identifier(self._namespace, name) for name in LAYOUT})

    # --- history -------------------------------------------------------------------------------

    def _mark(self, *, lock: bool = False) -> Mark:
        """The newest revision; with the lock that all who write take, if that is wished."""
        row = self._one(
            "SELECT epoch, revision FROM {state} FOR UPDATE" if lock else "SELECT epoch, revision FROM {state}"
        )
        return Mark(row[0], row[1], self._token(row[1]))

    def _token(self, revision: int) -> str | None:
        self._execute("SELECT token FROM {changes} WHERE revision = %s", (revision,))
        row = self._cursor.fetchone()
        return None if row is None else str(row[0])

    def _holds(self, mark: Mark) -> bool:
        return self._one("SELECT epoch FROM {state}")[0] == mark.epoch and self._token(mark.revision) == mark.token

    # --- reading -------------------------------------------------------------------------------

    def _state(self) -> State:
        revision, fingerprint, dim, epoch, oldest = self._one(
            "SELECT revision, fingerprint, dim, epoch, (SELECT min(revision) FROM {changes}) FROM {state}"
        )
        return State(oldest or revision + 1, revision, fingerprint, dim, epoch)

    def _log(self, since: int) -> Iterable[tuple[str, str]]:
        self._execute("SELECT kind, routes FROM {changes} WHERE revision > %s ORDER BY revision", (since,))
        return [(kind, routes) for kind, routes in self._cursor.fetchall()]

    def _has_routes(self) -> bool:
        return bool(self._one("SELECT EXISTS (SELECT 1 FROM {routes})")[0])

    def _routes(self, names: Collection[str] | None, dim: int) -> tuple[EncodedRoute, ...]:
        wanted = None if names is None else sorted(names)
        self._execute(
            "SELECT id, name, description, threshold, metadata FROM {routes} "
            "WHERE %s::text[] IS NULL OR name = ANY (%s::text[]) ORDER BY id",
            (wanted, wanted),
        )
        rows = self._cursor.fetchall()
        own: dict[int, list[tuple[int, str, bytes]]] = {row[0]: [] for row in rows}
        # Sorted here: the database would be silent until it had sorted all of them.
        for route_id, number, text, vector in self._rows(
            "SELECT route_id, id, text, vector FROM {utterances} WHERE route_id = ANY (%s)", (list(own),)
        ):
            own[route_id].append((number, _read_text(text, self.place), bytes(vector)))
        return tuple(self._decode_row(row, own[row[0]], dim) for row in rows)

    def _decode_row(self, row: tuple[Any, ...], own: list[tuple[int, str, bytes]], dim: int) -> EncodedRoute:
        own.sort(key=itemgetter(0))
        self._session.answered()  # it is not the database that takes its time here
        _, name, description, threshold, metadata = row
        settings = name, _read_text(description, self.place), threshold, metadata
        return self._decode(settings, [text for _, text, _ in own], [vector for *_, vector in own], dim)

    def _fits(self) -> tuple[Fit, ...]:
        return self._documents.decode(self._one("SELECT fits FROM {state}")[0], self._load_head)

    def _load_head(self, digest: str) -> bytes | None:
        self._execute("SELECT content FROM {heads} WHERE digest = %s", (digest,))
        row = self._cursor.fetchone()
        return None if row is None else bytes(row[0])

    # --- writing -------------------------------------------------------------------------------

    def _set_encoder(self, fingerprint: str | None, dim: int | None) -> None:
        self._execute("UPDATE {state} SET fingerprint = %s, dim = %s", (fingerprint, dim))

    def _put(self, encoded: EncodedRoute) -> None:
        route = encoded.route
        self._execute(
            "INSERT INTO {routes} (name, description, threshold, metadata) VALUES (%s, %s, %s, %s) ON CONFLICT (name) "
            "DO UPDATE SET description = excluded.description, threshold = excluded.threshold, "
            "metadata = excluded.metadata",
            (route.name, _text(route.description), route.threshold, json.dumps(route.metadata)),
        )
        self._execute(
            "DELETE FROM {utterances} WHERE route_id = (SELECT id FROM {routes} WHERE name = %s)", (route.name,)
        )
        self._add_utterances(route.name, route.utterances, encoded.vectors)

    def _drop(self, names: Sequence[str]) -> None:
        self._execute("DELETE FROM {routes} WHERE name = ANY (%s)", (list(names),))

    def _drop_all(self) -> None:
        self._execute("DELETE FROM {routes}")

    def _add_utterances(self, name: str, texts: Sequence[str], vectors: Vectors) -> None:
        size = max(1, SENT_BYTES // (vectors.shape[1] * VECTOR.itemsize))
        for start in range(0, len(texts), size):
            rows = slice(start, start + size)
            self._execute(
                "INSERT INTO {utterances} (route_id, text, vector) SELECT route.id, given.text, given.vector "
                "FROM unnest(%s::text[], %b::bytea[]) WITH ORDINALITY AS given (text, vector, place) "
                "JOIN {routes} AS route ON route.name = %s ORDER BY given.place",
                ([_text(text) for text in texts[rows]], [row.tobytes() for row in vectors[rows].astype(VECTOR)], name),
            )

    def _drop_utterances(self, name: str, texts: Sequence[str]) -> None:
        self._execute(
            "DELETE FROM {utterances} WHERE text = ANY (%s) AND route_id = (SELECT id FROM {routes} WHERE name = %s)",
            ([_text(text) for text in texts], name),
        )

    def _set_thresholds(self, thresholds: Mapping[str, float | None]) -> None:
        self._execute(
            "UPDATE {routes} AS route SET threshold = given.threshold "
            "FROM unnest(%s::text[], %s::double precision[]) AS given (name, threshold) WHERE route.name = given.name",
            (list(thresholds), list(thresholds.values())),
        )

    def _set_fits(self, fits: tuple[Fit, ...]) -> None:
        document, heads = self._documents.encode(fits)
        for head in heads.items():
            self._execute("INSERT INTO {heads} VALUES (%s, %s) ON CONFLICT DO NOTHING", head)
        self._execute("UPDATE {state} SET fits = %s", (document,))
        self._execute("DELETE FROM {heads} WHERE NOT digest = ANY (%s)", (list(heads),))

    def _age_fits(self) -> None:
        aged = self._documents.aged(self._one("SELECT fits FROM {state}")[0])
        self._execute("UPDATE {state} SET fits = %s", (aged,))

    def _append_to_log(self, revision: int, change: Change, token: str) -> None:
        kind, names = describe(change)
        self._execute(
            "INSERT INTO {changes} (revision, kind, routes, token) VALUES (%s, %s, %s, %s)",
            (revision, kind, names, token),
        )
        self._execute("UPDATE {state} SET revision = %s", (revision,))
        self._execute("DELETE FROM {changes} WHERE revision <= %s", (revision - self.log_length,))


def _text(text: str) -> str:
    """A text as a JSON string: PostgreSQL's own cannot hold the character 0."""
    return json.dumps(text, ensure_ascii=False)


def _read_text(stored: str, place: str) -> str:
    try:
        text = json.loads(stored)
    except ValueError as error:
        raise StorageError(f"{place} is damaged: {shorten(stored)} is no text") from error
    return str(text)
