"""The database's layout, as numbered steps. A step is never edited once released: add another."""

from __future__ import annotations

import sqlite3

from synaptoroute_core.errors import StorageError

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE encoder (
            only INTEGER PRIMARY KEY CHECK (only = 1),
            fingerprint TEXT NOT NULL,
            dim INTEGER NOT NULL CHECK (dim > 0)
        )""",
        """CREATE TABLE routes (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE,
            description TEXT NOT NULL,
            threshold REAL,
            metadata TEXT NOT NULL
        )""",
        """CREATE TABLE utterances (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            route_id INTEGER NOT NULL REFERENCES routes (id) ON DELETE CASCADE,
            text TEXT NOT NULL,
            vector BLOB NOT NULL,
            UNIQUE (route_id, text)
        )""",
        """CREATE TABLE changes (
            revision INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            routes TEXT NOT NULL,
            committed_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
        )""",
    ),
    (
        """CREATE TABLE heads (
            digest TEXT PRIMARY KEY,
            content BLOB NOT NULL
        )""",
        """CREATE TABLE fits (
            position INTEGER PRIMARY KEY,
            kind TEXT NOT NULL CHECK (kind IN ('thresholds', 'head', 'calibration')),
            threshold REAL,
            head TEXT REFERENCES heads (digest),
            fresh INTEGER NOT NULL CHECK (fresh IN (0, 1)),
            replaced TEXT NOT NULL,
            details TEXT NOT NULL
        )""",
    ),
    (
        """CREATE TABLE epoch (
            only INTEGER PRIMARY KEY CHECK (only = 1),
            value TEXT NOT NULL
        )""",
        "INSERT INTO epoch VALUES (1, lower(hex(randomblob(8))))",
    ),
)


def require_known(connection: sqlite3.Connection, path: str) -> None:
    """Check that no newer version of the library made the database.

    Raises:
        StorageError: A newer version of the library made the database.
    """
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise StorageError(
            f"the database {path} has layout {version}, this version of the library knows up to {len(MIGRATIONS)}: "
            "upgrade the library"
        )


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a database to the newest layout, each step and its number in one transaction."""
    version = _version(connection)
    for number, statements in enumerate(MIGRATIONS, start=1):
        if number > version:
            _run(connection, number, statements)


def _run(connection: sqlite3.Connection, number: int, statements: tuple[str, ...]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been here while this one waited for the lock.
        if _version(connection) < number:
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number:d}")  # takes no bound parameter
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
