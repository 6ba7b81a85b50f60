"""The tables in PostgreSQL. They are made once, by whoever comes first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


def create_layout(connection: Connection, namespace: str, place: str, answered: Callable[[], None]) -> None:
    """Make the tables if they are not there.

    Args:
        connection: To the database.
        namespace: The schema's name.
        place: What the store is called in messages.
        answered: Called after each answer.

    Raises:
        StorageError: They are of a newer version of the library, or something else's.
    """
    cause: Exception | None = None
    try:
        layout = _find_or_create(connection, namespace, place, answered)
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


def _find_or_create(connection: Connection, namespace: str, place: str, answered: Callable[[], None]) -> int | None:
    """The number of the layout that is there, or was made; None if it is no layout."""
    with connection.transaction(), connection.cursor() as cursor:
        answered()
        if not _exists(cursor, namespace):
            # Of many that come first at once, one makes them: CREATE ... IF NOT EXISTS alone fails for the others.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"synaptoroute {namespace}",))
            answered()
            if not _exists(cursor, namespace):
                _require_encoding(cursor, place)
                for statement in _creation(cursor, namespace):
                    cursor.execute(statement)
                    answered()
        cursor.execute(sql.SQL("SELECT layout FROM {}").format(sql.Identifier(namespace, "state")))
        row = cursor.fetchone()
    return None if row is None else int(row[0])


def _creation(cursor: Any, namespace: str) -> Iterator[sql.Composed]:
    """The statements that make the tables."""
    # With IF NOT EXISTS, it takes the right to create schemas even where there is one.
    cursor.execute("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s", (namespace,))
    if cursor.fetchone() is None:
        yield sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(namespace))
    names = {name: sql.Identifier(namespace, name) for name in LAYOUT}
    for statement in (*LAYOUT.values(), "CREATE INDEX ON {utterances} (route_id)"):
        yield sql.SQL(statement).format(**names)
    first = "INSERT INTO {state} VALUES (1, {version}, {epoch}, 0, NULL, NULL, '[]')"
    yield sql.SQL(first).format(**names, version=sql.Literal(VERSION), epoch=sql.Literal(draw_epoch()))


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
