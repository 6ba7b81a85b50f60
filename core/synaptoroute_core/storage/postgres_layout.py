"""The tables in PostgreSQL. They are made once, by whoever comes first."""

from __future__ import annotations

from typing import Any, LiteralString

from synaptoroute_core.errors import StorageError
from synaptoroute_core.storage.logged import draw_epoch
from synaptoroute_core.storage.postgres_driver import psycopg, sql
from synaptoroute_core.storage.postgres_sessions import Connection

VERSION = 1
ENCODINGS = ("UTF8", "SQL_ASCII")
"""Of databases that hold any text; the second takes bytes as they are."""
LAYOUT: dict[str, LiteralString] = {
    "state": """CREATE TABLE {state} (
        lone integer PRIMARY KEY CHECK (lone = 1),
        layout integer NOT NULL,
        epoch text NOT NULL,
        revision bigint NOT NULL,
        fingerprint text,
        dim integer CHECK (dim > 0),
        fits text NOT NULL
    )""",
    "routes": """CREATE TABLE {routes} (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL UNIQUE,
        description text NOT NULL,
        threshold double precision,
        metadata text NOT NULL
    )""",
    "utterances": """CREATE TABLE {utterances} (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        route_id bigint NOT NULL REFERENCES {routes} (id) ON DELETE CASCADE,
        text text NOT NULL,
        vector bytea NOT NULL
    )""",
    "changes": """CREATE TABLE {changes} (
        revision bigint PRIMARY KEY,
        kind text NOT NULL,
        routes text NOT NULL,
        token text NOT NULL,
        committed_at timestamptz NOT NULL DEFAULT now()
    )""",
    "heads": """CREATE TABLE {heads} (
        digest text PRIMARY KEY,
        content bytea NOT NULL
    )""",
}
"""Tables by name. The epoch, drawn when they are made, tells one history of revisions from another."""


def create_layout(connection: Connection, namespace: str, place: str) -> None:
    """Make the tables if they are not there.

    Raises:
        StorageError: They are of a newer version of the library, or something else's.
    """
    cause: Exception | None = None
    try:
        layout = _find_or_create(connection, namespace, place)
    except (psycopg.errors.DuplicateTable, psycopg.errors.UndefinedColumn) as error:
        layout, cause = None, error
    if layout is None:
        raise StorageError(
            f"{place}: a table there is something else's, or was left behind: choose another namespace"
        ) from cause
    if layout > VERSION:
        raise StorageError(
            f"{place} has layout {layout}, this version of the library knows up to {VERSION}: upgrade the library"
        )


def _find_or_create(connection: Connection, namespace: str, place: str) -> int | None:
    """The number of the layout that is there, or was made; None if it is no layout."""
    names = {name: sql.Identifier(namespace, name) for name in LAYOUT}
    with connection.transaction(), connection.cursor() as cursor:
        if not _exists(cursor, namespace):
            # Of many that come first at once, one makes them: CREATE ... IF NOT EXISTS alone fails for the others.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"synaptoroute {namespace}",))
            if not _exists(cursor, namespace):
                _require_encoding(cursor, place)
                # With IF NOT EXISTS, it takes the right to create schemas even where there is one.
                cursor.execute("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s", (namespace,))
                if cursor.fetchone() is None:
                    cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(namespace)))
                for statement in LAYOUT.values():
                    cursor.execute(sql.SQL(statement).format(**names))
                cursor.execute(sql.SQL("CREATE INDEX ON {utterances} (route_id)").format(**names))
                cursor.execute(
                    sql.SQL("INSERT INTO {state} VALUES (1, %s, %s, 0, NULL, NULL, '[]')").format(**names),
                    (VERSION, draw_epoch()),
                )
        cursor.execute(sql.SQL("SELECT layout FROM {state}").format(**names))
        row = cursor.fetchone()
    return None if row is None else int(row[0])


def _require_encoding(cursor: Any, place: str) -> None:
    """Check that the database can hold any text."""
    cursor.execute("SHOW server_encoding")
    encoding = cursor.fetchone()[0]
    if encoding not in ENCODINGS:
        raise StorageError(
            f"{place}: the database has the encoding {encoding}, which cannot hold every text: use one that was made "
            "with ENCODING 'UTF8' TEMPLATE template0"
        )


def _exists(cursor: Any, namespace: str) -> bool:
    # Not to_regclass, which may remember from before the lock was waited for that there was none.
    cursor.execute(
        "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace AS space "
        "ON space.oid = relnamespace WHERE nspname = %s AND relname = 'state')",
        (namespace,),
    )
    return bool(cursor.fetchone()[0])
